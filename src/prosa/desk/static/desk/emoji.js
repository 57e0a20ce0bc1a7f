// The emoji people use with customers: a grid to walk with the arrows, and a search by name in the desk's three languages.

// sign, then its names: English · Portuguese · Spanish
const SIGNS = `
😀 grin smile · sorriso · sonrisa
😃 happy · feliz · feliz
😄 laugh eyes · riso olhos · risa ojos
😁 beaming · radiante · radiante
😆 laughing · gargalhada · carcajada
😅 sweat relief · suor alívio · sudor alivio
😂 tears of joy · chorando de rir · llorar de risa
🤣 rolling laughing · rolando de rir · partirse de risa
😊 blush kind · corado gentil · sonrojado amable
🙂 slight smile · sorriso leve · sonrisa leve
🙃 upside down · de cabeça para baixo · al revés
😉 wink · piscadela · guiño
😍 heart eyes love · apaixonado · enamorado
🥰 hearts love · corações carinho · corazones cariño
😘 kiss · beijo · beso
😋 yummy · delícia · delicioso
😎 cool sunglasses · óculos legal · gafas genial
🤩 star struck · encantado · encantado
🥳 party · festa · fiesta
🤗 hug · abraço · abrazo
🤔 thinking · pensando · pensando
🤓 nerd · estudioso · empollón
🧐 monocle check · monóculo analisar · monóculo revisar
😐 neutral · neutro · neutral
😬 grimace oops · careta ops · mueca ups
🙄 eye roll · revirar olhos · ojos en blanco
😌 relieved · aliviado · aliviado
😴 sleep · sono dormir · sueño dormir
😷 mask sick · máscara doente · mascarilla enfermo
🤒 ill fever · febre doente · fiebre enfermo
😕 confused · confuso · confundido
🙁 sad · triste · triste
😔 pensive sorry · pensativo desculpa · pensativo perdón
😢 cry · choro · llanto
😭 sobbing · chorando muito · llorando
😮 surprise wow · surpresa · sorpresa
😱 scream shock · susto grito · susto grito
😡 angry · raiva · enfado
😤 huff · bufar · resoplar
🥺 please · por favor · por favor
🤝 handshake deal · acordo aperto de mãos · acuerdo apretón de manos
👍 thumbs up yes · joinha sim · pulgar arriba sí
👎 thumbs down no · não polegar · pulgar abajo no
👏 clap applause · palmas · aplauso
🙌 hooray hands · viva mãos · viva manos
🙏 thanks please pray · obrigado por favor · gracias por favor
👋 hello wave bye · oi tchau aceno · hola adiós
👌 ok perfect · ok perfeito · ok perfecto
✌️ peace victory · paz vitória · paz victoria
🤞 fingers crossed luck · dedos cruzados sorte · dedos cruzados suerte
💪 strong · força · fuerza
👉 right point · direita aponta · derecha señala
👈 left point · esquerda aponta · izquierda señala
👆 up point · cima aponta · arriba señala
👇 down below · baixo aponta · abajo señala
✍️ write · escrever · escribir
👀 eyes look · olhos olhar · ojos mirar
❤️ heart red · coração vermelho · corazón rojo
🧡 heart orange · coração laranja · corazón naranja
💛 heart yellow · coração amarelo · corazón amarillo
💚 heart green · coração verde · corazón verde
💙 heart blue · coração azul · corazón azul
💜 heart purple · coração roxo · corazón morado
🖤 heart black · coração preto · corazón negro
🤍 heart white · coração branco · corazón blanco
💔 broken heart · coração partido · corazón roto
💖 sparkling heart · coração brilhante · corazón brillante
✨ sparkles new · brilho novo · brillo nuevo
⭐ star · estrela · estrella
🌟 glowing star · estrela brilhante · estrella brillante
🔥 fire hot · fogo quente · fuego
🎉 celebrate tada · celebrar festa · celebrar fiesta
🎊 confetti · confete · confeti
🎁 gift present · presente · regalo
🎂 cake birthday · bolo aniversário · pastel cumpleaños
🎈 balloon · balão · globo
🌹 rose flower · rosa flor · rosa flor
🌸 blossom flower · flor · flor
🌻 sunflower · girassol · girasol
🌞 sun · sol · sol
🌈 rainbow · arco-íris · arcoíris
☔ rain umbrella · chuva guarda-chuva · lluvia paraguas
☕ coffee · café · café
🍕 pizza · pizza · pizza
🍰 dessert cake · sobremesa · postre
🍫 chocolate · chocolate · chocolate
🐶 dog · cachorro · perro
🐱 cat · gato · gato
✅ check done · feito certo · hecho listo
☑️ box checked · marcado · marcado
❌ cross no · não errado · no error
⚠️ warning · aviso atenção · aviso atención
❗ exclamation important · exclamação importante · exclamación importante
❓ question · pergunta · pregunta
ℹ️ information · informação · información
🚫 forbidden · proibido · prohibido
🆗 ok button · ok botão · ok botón
🆕 new · novo · nuevo
🔝 top · topo · arriba
💯 hundred · cem · cien
⏰ alarm clock · despertador hora · despertador hora
⏳ hourglass wait · ampulheta esperar · reloj de arena esperar
🕒 clock time · relógio hora · reloj hora
📅 calendar date · calendário data · calendario fecha
📆 calendar day · agenda dia · agenda día
📍 place pin · local endereço · lugar dirección
🗺️ map · mapa · mapa
🏠 house home · casa · casa
🏪 shop store · loja · tienda
🏥 hospital · hospital · hospital
🚚 delivery truck · entrega caminhão · entrega camión
📦 package parcel · pacote encomenda · paquete
✈️ plane · avião · avión
🚗 car · carro · coche auto
🛵 scooter · moto · moto
🛒 cart · carrinho compra · carrito compra
🛍️ shopping bags · sacolas compras · bolsas compras
🏷️ price tag · etiqueta preço · etiqueta precio
💰 money · dinheiro · dinero
💳 card payment · cartão pagamento · tarjeta pago
💸 money paid · dinheiro pago · dinero pago
🧾 receipt · recibo nota · recibo factura
📄 document page · documento página · documento página
📝 note memo · anotação · nota
📎 paperclip attachment · clipe anexo · clip adjunto
📷 camera photo · câmera foto · cámara foto
🎥 video · vídeo · vídeo
🎧 headphones · fone · auriculares
🎤 microphone · microfone · micrófono
📱 phone mobile · celular · móvil celular
☎️ telephone · telefone · teléfono
📞 call · ligação · llamada
💬 message speech · mensagem · mensaje
📧 e-mail · e-mail · correo
🔔 bell · sino lembrete · campana aviso
🔗 link · link · enlace
🔒 lock secure · cadeado seguro · candado seguro
🔑 key · chave · llave
🔍 search · busca lupa · búsqueda lupa
🔧 repair wrench · conserto chave · reparar llave
⚙️ settings gear · configuração · ajustes
💡 idea · ideia · idea
🚀 rocket fast · foguete rápido · cohete rápido
🏆 trophy · troféu · trofeo
🥇 medal first · medalha primeiro · medalla primero
🩺 doctor · médico · médico
💊 pill · remédio · medicina
💄 lipstick beauty · batom beleza · labial belleza
💅 nails · unhas · uñas
👗 dress · vestido · vestido
👟 shoe · tênis sapato · zapatilla
🇧🇷 Brazil flag · Brasil bandeira · Brasil bandera
`.trim().split("\n").map((line) => {
  const space = line.indexOf(" ");
  return { sign: line.slice(0, space), names: line.slice(space + 1).split(" · ") };
});

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const spoken = { pt: 1, es: 2 }[(document.documentElement.lang || "en").slice(0, 2)] ?? 0;

export function draw(panel, take) {
  if (!panel.firstChild) build(panel);
  panel.onclick = (event) => { const button = event.target.closest("button[data-sign]"); if (button) take(button.dataset.sign); };
  const search = panel.querySelector("input");
  search.value = "";
  narrow(panel, "");
  search.focus();
}

function build(panel) {
  const search = document.createElement("input"), grid = document.createElement("div");
  search.type = "search";
  search.placeholder = panel.dataset.search;
  search.setAttribute("aria-label", panel.dataset.search);
  search.addEventListener("input", () => narrow(panel, search.value));
  grid.className = "grid";
  grid.append(...SIGNS.map(({ sign, names }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.sign = sign;
    button.dataset.names = plain(names.join(" "));
    button.textContent = sign;
    button.title = names[spoken];
    button.setAttribute("aria-label", names[spoken]);
    button.tabIndex = -1;
    return button;
  }));
  panel.append(search, grid);
  panel.addEventListener("keydown", (event) => walk(panel, event));
}

function narrow(panel, asked) {
  const shown = [];
  for (const button of panel.querySelectorAll("[data-sign]")) {
    button.hidden = !plain(asked).split(/\s+/).every((word) => button.dataset.names.includes(word));
    button.tabIndex = -1;
    if (!button.hidden) shown.push(button);
  }
  if (shown.length) shown[0].tabIndex = 0; // one stop for Tab; the arrows do the rest
}

function walk(panel, event) {
  const shown = [...panel.querySelectorAll("[data-sign]:not([hidden])")], here = shown.indexOf(document.activeElement);
  const wide = shown.filter((each) => each.offsetTop === shown[0].offsetTop).length || 1;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: here < 0 ? 1 : wide, ArrowUp: -wide }[event.key];
  if (event.key === "Enter" && here < 0) { event.preventDefault(); shown[0]?.click(); return; }
  if (!by || !shown.length || (here < 0 && event.key !== "ArrowDown")) return;
  event.preventDefault();
  if (here + by < 0 && event.key === "ArrowUp") { panel.querySelector("input").focus(); return; }
  const next = shown[Math.min(shown.length - 1, Math.max(0, here + by))];
  for (const each of shown) each.tabIndex = each === next ? 0 : -1;
  next.focus();
}
