"""Which of Portuguese, Spanish and English a passage is in.

Common words decide, then letters and endings only one of the three has. Both are counted, so a foreign product name or
a quoted word does not turn a passage. Text too short to tell (a row of a table, a code) takes the document's language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LANGUAGES = ("pt", "es", "en")
MOST_CHARACTERS = 20_000
"""Of a text that are looked at."""
CERTAIN = 0.7
"""How far ahead the best language must be; a common word that two languages share puts neither ahead."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
# Addresses and domains are in no language.
_ADDRESS = re.compile(r"\S*(?:://|www\.|@)\S*")

# Words of two languages stand in both lists. Accents where they tell the languages apart; customers leave them out, so
# the forms without stand here too.
_COMMON = {
    "pt": """
    a o as os um uma uns umas e ou de do da dos das em no na nos nas ao aos à às pelo pela pelos pelas para pra pro por com sem sob sobre entre
    até ate desde após apos que se não nao sim mas mais menos muito muita muitos muitas pouco meu minha meus minhas seu sua seus suas nosso nossa
    nossos nossas você voce vocês voces vc vcs eu ele ela eles elas lhe isso isto esse essa esses essas este esta estes estas aquele aquela
    ser sou é são sao era foi foram estar estou está estão estao tem têm temos tenho ter tinha há haver fazer faz fazem fazemos posso pode podem
    podemos poder quero queria gostaria preciso precisa saber sei ajuda dizer vou vai vão vamos ir vem vir dar também tambem tb então entao já ja
    só so agora hoje amanhã amanha ontem qual quais quando onde como quanto quanta quantos quantas quem porque pq oi olá bom boa dia dias tarde
    noite obrigado obrigada tudo todo toda todos todas cada outro outra outros outras mesmo ainda depois antes sempre nunca aqui lá ali bem
    loja lojas frete pedido pedidos compra compras preço preços prazo prazos entrega entregas entregamos pagamento pagar cartão cartao boleto
    troca trocas devolução garantia produto produtos endereço endereco horário horario segunda terça quarta quinta sexta sábado domingo feira
    úteis uteis mês meses semana ano anos grátis gratis aberto aberta abre abrem fecha fechado fechada aceitamos atendemos atendimento funciona
    cor tamanho azul preto preta branco branca vermelho vermelha verde amarelo quantidade unidade cidade rua telefone cliente clientes nome
    camiseta camisa calça sapato tênis caixa peça peças disponível esgotado novo nova dois três quatro seis sete oito nove dez cancelar
    conta senha ligar falar receber enviar envio chegar chegou demora quanto custa reais janeiro fevereiro março maio junho julho setembro
    outubro novembro dezembro tamanhos cores leite pão queijo frango carne suco água café couro algodão lã seda
    """,
    "es": """
    el la los las un una unos unas y e o u de del al en a por para con sin sobre entre hasta desde tras que se no sí si pero mas más menos muy
    mucho mucha muchos muchas poco mi mis tu tus su sus nuestro nuestra nuestros nuestras usted ustedes ud uds yo él ella ellos ellas lo le les
    nos me te eso esto ese esa esos esas este esta estos estas aquel aquella ser soy es son era fue fueron estar estoy está están estan hay
    tiene tienen tengo tenemos tener hacer hace hacen hacemos puedo puede pueden podemos poder quiero quería queria quisiera necesito necesita
    saber sé ayuda decir voy va van vamos ir viene venir dar también tambien entonces ya sólo solo ahora hoy mañana manana ayer cuál cual cuáles
    cuando cuándo dónde donde cómo como cuánto cuanto cuánta cuanta cuántos cuantos quién quien porque hola bueno buena buenos buenas día dia
    días dias tardes noches gracias todo toda todos todas cada otro otra otros otras mismo aún aun después despues antes siempre nunca aquí aqui
    allí bien tienda tiendas envío envio envíos pedido pedidos compra compras precio precios plazo plazos entrega entregas entregamos pago pagar
    tarjeta efectivo cambio cambios devolución devolucion garantía garantia producto productos dirección direccion horario lunes martes miércoles
    miercoles jueves viernes sábado sabado domingo hábiles habiles mes meses semana año años ano gratis abierto abierta abre abren cierra cerrado
    cerrada aceptamos atendemos atención atencion funciona color talla tamaño azul negro negra blanco blanca rojo roja verde amarillo cantidad
    unidad ciudad calle teléfono telefono cliente clientes nombre camiseta camisa pantalón zapato zapatos caja pieza piezas disponible agotado
    nuevo nueva dos tres cuatro cinco seis siete ocho nueve diez cancelar cuenta contraseña llamar hablar recibir enviar llegar llegó demora
    cuesta pesos enero febrero marzo mayo junio julio septiembre octubre noviembre diciembre colores leche pan queso pollo carne jugo agua
    cuero algodón lana seda
    """,
    "en": """
    a an the and or but of in on at to for from with without about by as into over after before until between is are am was were be been being
    do does did done have has had can could will would shall should may might must i you he she it we they me him her us them my your his its
    our their this that these those there here not no yes if then than so very too also just only more most less some any all every each other
    which what when where how who whom whose why much many hi hello hey good morning afternoon evening night please thanks thank want need like
    know tell help get got make take give go come see find use new open opens opened close closed closes today tomorrow yesterday now day days week weeks
    month months year years monday tuesday wednesday thursday friday saturday sunday store shop order orders price prices shipping delivery
    deliver delivered pay payment card cash return returns refund exchange warranty product products address hours business free size color colour
    blue black white red green yellow quantity unit city street phone customer customers name shirt shoes pants box piece available sold out
    one two three four five six seven eight nine ten cancel account password call speak talk receive send arrive arrived cost costs dollars
    january february march april june july august september october november december milk bread cheese chicken beef juice water coffee leather
    cotton wool silk per within
    """,
}
_ENDINGS = {
    "pt": ("ção", "ções", "cao", "coes", "são", "sões", "ões", "ães", "ão", "inho", "inha", "lho", "lha", "lhos", "lhas", "nho", "nha", "agem",
           "eiro", "eira", "eiros", "eiras", "dade", "vel", "veis", "ância", "ência", "ém"),
    "es": ("ción", "ciones", "cion", "sión", "siones", "illo", "illa", "illos", "illas", "dad", "ero", "eros", "aje", "ía", "ías", "ué", "ón", "ñ", "uelo"),
    "en": ("ing", "tion", "tions", "ness", "ment", "ments", "ally", "ful", "less", "ship", "'s", "n't", "'ll", "'re", "'ve", "ght", "ck", "sh",
           "ough", "ed", "ty", "ly", "cy", "ry"),
}  # fmt: skip
_LETTERS = {
    "pt": re.compile("[ãõâêôàç]|lh|nh|ss"),
    "es": re.compile("[ñ¿¡]|ll|ch?[ií]ón|ue|ie"),
    "en": re.compile("w|th|sh|ck|oo|ee|ay|y$"),
}

_COMMON_SETS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
COMMON = frozenset().union(*_COMMON_SETS.values())
"""Words of the three languages that are often written, with and without accents."""


def language(text: str, otherwise: str = "", certain: float = CERTAIN) -> str:
    """``pt``, ``es`` or ``en``; ``otherwise`` when the text does not tell: when none is as far ahead as ``certain``."""
    totals = dict.fromkeys(LANGUAGES, 0.0)
    shortened = unicodedata.normalize("NFC", text[:MOST_CHARACTERS]).lower()
    for mark in "¿¡":
        totals["es"] += 2.0 * min(shortened.count(mark), 3)
    for word in _words(shortened):
        for name, points in _points(word):
            totals[name] += points
    ahead, behind = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:2]
    return ahead[0] if ahead[1] - behind[1] >= certain else otherwise


def _words(text: str) -> Iterator[str]:
    yield from _WORD.findall(_ADDRESS.sub(" ", text.replace("’", "'")))


def _points(word: str) -> Iterator[tuple[str, float]]:
    knowing = [name for name in LANGUAGES if word in _COMMON_SETS[name]]
    if knowing:
        # A word of one language alone tells most; one that all three write the same tells nothing.
        points = {1: 1.5, 2: 0.5, 3: 0.0}[len(knowing)]
        yield from ((name, points) for name in knowing)
    for name in LANGUAGES:
        if len(word) > 3 and not knowing and word.endswith(_ENDINGS[name]):
            yield name, 1.0
        if _LETTERS[name].search(word):
            yield name, 0.4 if knowing else 0.3
    if "ã" in word or "õ" in word or "ç" in word:
        yield "pt", 1.0
    if "ñ" in word:
        yield "es", 1.0
