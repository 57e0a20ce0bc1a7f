"""Words known beforehand: those that carry no topic, and how chats spell others.

Folded (lower case, no accents), Portuguese, Spanish and English together.
"""

from __future__ import annotations

# Articles, pronouns, auxiliaries, question words, greetings and thanks.
EMPTY = frozenset(
    """
    a as o os um uma uns umas e ou de do da dos das em no na nos nas ao aos por pelo pela pelos pelas para pra pro com sem sobre entre ate que se
    nao sim mas mais muito muita meu minha meus minhas seu sua seus suas nosso nossa voce voces vc vcs eu ele ela eles elas me mim lhe te ti isso
    isto esse essa este esta aquele aquela ser sou e sao era foi estar estou esta estao tem tenho temos ter tinha ha haver fazer faz fazem fazemos
    posso pode podem poder podemos quero queria gostaria preciso precisa saber sabe ajuda ajudar dizer diz vou vai vao ir vem vir dar da ai ja la
    so tambem entao agora aqui hoje qual quais quando onde como quanto quanta quantos quantas quem porque oi ola bom boa dia tarde noite favor
    obrigado obrigada valeu gente pessoal tudo bem ok uai ne ta to
    el la los las un una unos unas y u del al lo le les su sus mi mis tu tus nuestro nuestra con sin para por en es son soy era fue ser estar
    estoy esta estan hay tiene tienen tengo tener hacer hace hacen puedo puede pueden podria quiero queria quisiera necesito necesita saber sabe
    usted ustedes ud uds yo ella ellos ellas nos eso esto ese esa no si pero mas muy que cual cuales cuando donde como cuanto cuanta cuantos cuantas
    quien porque hola buenos buenas dias tardes noches gracias ya tambien entonces ahora aqui hoy me te se
    the a an and or of in on at to for from with without about is are am was were be been do does did have has had can could would will may i you
    he she it we they me my your his her its our their this that these those not no yes but very what which when where how who whom why much many
    there here hi hello hey good morning afternoon evening please thanks thank want need like know tell help get got just also then now any some
    """.split()  # noqa: SIM905 -- three hundred quoted words would be unreadable
)

# What stands before the equals sign is never a word of its own in any of the three languages.
_SPELLED = """
vc=voce vcs=voces vcc=voce ce=voce ces=voces vose=voce vosse=voce voceis=voces qto=quanto qtos=quantos qta=quanta qtas=quantas qnto=quanto
qnt=quanto qnts=quantos qdo=quando qnd=quando qndo=quando cmo=como pq=porque pqe=porque pk=porque pqp=porque xq=porque xk=porque porq=porque
tb=tambem tbm=tambem tbn=tambem tmb=tambem tmbn=tambem td=tudo tds=todos tdo=tudo mt=muito mto=muito mta=muita mts=muitos mtos=muitos hj=hoje
amnh=amanha amn=amanha agr=agora dps=depois ants=antes oq=que oqe=que eh=e neh=ne naum=nao nn=nao sn=sem cmg=comigo ctg=contigo
msg=mensagem msgs=mensagens msm=mesmo msma=mesma kd=onde cade=onde aki=aqui aq=aqui ak=aqui qm=quem qlqr=qualquer qq=qualquer qlq=qualquer ql=qual
oie=oi oii=oi qr=quero qro=quero kero=quero keria=queria keru=quero gstaria=gostaria psso=posso poso=posso pd=pode pde=pode podi=pode fzr=fazer fz=faz
tm=tem tnh=tenho ta=esta tah=esta to=estou tou=estou tava=estava blz=ok vlw=obrigado flw=ok obg=obrigado obgd=obrigado brigado=obrigado
pfv=favor pfvr=favor pf=favor pls=please plz=please plis=favor porfa=favor porfis=favor fvr=favor bjs=beijos abs=abracos vdd=verdade nd=nada ngm=ninguem
tlgd=ok min=minutos hrs=horas hr=horas seg=segunda sab=sabado dom=domingo fds=semana smn=semana
pgto=pagamento pgt=pagamento pagto=pagamento pgmto=pagamento pgar=pagar prc=preco prco=preco vlr=valor vlrs=valores
cel=celular tel=telefone fone=telefone zap=whatsapp wpp=whatsapp whats=whatsapp wats=whatsapp wtsp=whatsapp wsp=whatsapp nmr=numero
qtd=quantidade prod=produto prods=produtos entrga=entrega frte=frete ctt=contato contt=contato
gnt=gente pra=para pro=para p=para pa=para d=de c=com q=que k=que ke=que qe=que ki=que n=nao s=sim x=por
xfa=favor xfavor=favor pfa=favor dnd=donde dond=donde cdo=cuando cndo=cuando cuant=cuanto cto=cuanto cnto=cuanto cuantosale=cuanto bn=bien
grax=gracias grcs=gracias grcias=gracias salu2=saludos ntp=ok tqm=te tkm=te hla=hola ola=hola aora=ahora haora=ahora tngo=tengo tnemos=tenemos qiero=quiero
kiero=quiero qiro=quiero kisiera=quisiera nesesito=necesito necesto=necesito pdo=puedo puedn=pueden ustds=ustedes uds=ustedes sta=esta stan=estan
"""
_ENGLISH = """
u=you ur=your urs=yours r=are y=why yr=your thx=thanks thnx=thanks tks=thanks ty=thanks bc=because cuz=because coz=because cos=because wat=what wht=what
wen=when whn=when wer=where whr=where hw=how hv=have hav=have cn=can cud=could shud=should wud=would abt=about w=with wo=without b4=before l8r=later
gr8=great tmrw=tomorrow tmr=tomorrow 2moro=tomorrow 2day=today tdy=today 2nite=tonight asap=soon gimme=give wanna=want gonna=going im=am ive=have
dont=not doesnt=not cant=can idk=know pymt=payment pmt=payment addr=address appt=appointment
"""
SPELLINGS = dict(pair.split("=", 1) for pair in (_SPELLED + _ENGLISH).split())
"""Chat spelling → the word it stands for; used on questions only."""

SPELLINGS_IN = {
    "es": {"msg": "mensaje", "msgs": "mensajes", "msj": "mensaje", "msjs": "mensajes", "prod": "producto", "prods": "productos",
           "tel": "telefono", "fone": "telefono", "nmr": "numero", "cant": "cantidad", "seg": "seguro"},
    "en": {"msg": "message", "msgs": "messages", "prod": "product", "prods": "products", "tel": "phone", "cel": "cell", "min": "minutes",
           "hr": "hour", "hrs": "hours", "dom": "dom", "cos": "because", "seg": "seg"},
}  # fmt: skip
"""Those that mean another word in one language (``es``, ``en``) than in the others."""

ENGLISH = (
    dict(pair.split("=", 1) for pair in _ENGLISH.split()) | SPELLINGS_IN["en"] | {"pls": "please", "plz": "please"}
)
"""What an English chat writes; the other spellings are words or nothing there."""

CHATTY = frozenset(
    """
    u r ur urs y thx thnx tks ty pls plz plis wat wht wen whn wer whr hw hv hav cn cud wud abt b4 gr8 2day
    2nite 2moro
    """.split()  # noqa: SIM905 -- as above
)
"""English words nobody writes so but in a chat."""
SOUNDS = {"2": "to", "4": "for"}
"""Digits that English chats write for a word."""
BEFORE_NAMES = frozenset(
    """
    a an the my your ur our his her their its me u you us him them it this that these those
    """.split()  # noqa: SIM905 -- as above
)
"""After ``2`` or ``4`` they say that it is a word: nobody counts "4 my"."""
NUMBERED = frozenset(
    """
    size number no nr model version v level floor page chapter room step unit part type gen generation option
    table row grade class top only just last first next about than least most over under
    """.split()  # noqa: SIM905 -- as above
)
"""Before ``2`` or ``4`` they say that it is a number."""
