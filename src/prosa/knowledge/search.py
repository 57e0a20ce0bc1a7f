"""Which approved answers fit a question: full text in Portuguese, Spanish and English at once, without extensions.

Accents and case are folded on both sides, each word is matched by its stem in all three languages, and an answer's score
is the share of the question's words it covers: a question about something else covers few and scores low.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from prosa import sql
from prosa.contracts import ApprovedAnswer
from prosa.postgres.connections import Connection

MOST_TERMS = 24
"""Words of a question that are looked at; the rest of a long letter adds nothing."""

queries = sql.load(__file__, "search.sql")
_WORD = re.compile(r"[a-z0-9]+")

# Words that carry no topic: articles, pronouns, auxiliaries, question words, greetings and thanks. Folded, three languages.
_EMPTY = frozenset(
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


def fold(text: str) -> str:
    """Lower case without accents: ``"AÇÃO"`` → ``"acao"``. The database's ``prosa_fold`` does the same to what is stored."""
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))


def terms(text: str) -> list[str]:
    """The words of a question that carry its topic, folded, each once, in order; at most :data:`MOST_TERMS`."""
    words = dict.fromkeys(_WORD.findall(fold(text[:4000])))
    return [word for word in words if word not in _EMPTY and (len(word) > 1 or word.isdecimal())][:MOST_TERMS]


def _forms(term: str) -> str:
    """The word and its neighbours in number, which the stemmers miss for some verbs: ``abre`` finds ``abrem`` and ``abren``."""
    base = term[:-1] if len(term) > 3 and term[-1] in "mns" else term
    return " ".join(dict.fromkeys((term, base, f"{base}m", f"{base}n", f"{base}s"))) if base.isalpha() else term


async def approved(connection: Connection, business_id: int, text: str, limit: int) -> Sequence[ApprovedAnswer]:
    """The approved answers of a business that share words with ``text``, best first, with a ``score`` in 0..1.

    One query on the caller's connection. Empty when the text holds no word that carries a topic.
    """
    asked = terms(text)
    if not asked:
        return []
    cursor = await connection.execute(
        queries.approved,
        {"terms": asked, "forms": [_forms(term) for term in asked], "business_id": business_id, "limit": limit},
    )
    return [ApprovedAnswer(*row) for row in await cursor.fetchall()]
