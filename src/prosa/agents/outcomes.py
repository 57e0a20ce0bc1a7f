"""Whether what a draft says was done has been done.

A model may promise to look or offer to book; it may say "booked" only when a tool booked. Every outcome a draft states as
a fact must stand on a tool that succeeded in this turn, on what a tool other than the search read, or on what our side had said
before. Passages never bear an outcome out: they say what happens in general. Tables in Portuguese, Spanish and English; pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prosa.contracts import Tool

VERDICT = "it says that something was done, and no tool did it"
OURS = frozenset({"bot", "agent", "owner_phone"})
"""Authors whose earlier words may be repeated: drafts of the bot's passed this check, people know what they did."""

# Words are matched in folded text: lower case, no accents but that of a past tense ("agendé" is "agendə", for "agende" is a wish).
_EVENT = (
    r"(?:foi|foram|ficou|ficaram|acab(?:a|aram|ou) de ser|fue|fueron|quedo|quedaron|(?:se )?ha(?: sido)?|(?:se )?han(?: sido)?|"
    r"was|were|(?:has|have|had)(?: just| now| already)? been|['’](?:s|ve) been)"
)
_STATE = r"(?:esta|estao|estan)"
_NOW = r"(?:(?:ja|agora|ya|ahora|now|already|just|all|successfully|com sucesso|con exito|tudo|todo)\s+){0,2}"
_DONE = r"(?:(?:ja|ya|te|lhe|le|la|lo|se|os?|as?)\s+){0,4}"
_SURE = r"^\W*(?:(?:pronto|certo|feito|ok|okay|perfeito|otimo|sim|yes|listo|perfecto|claro|done|great|perfect|sure|all set)\W+)*"
_MINE = r"\b(?:seu|sua|seus|suas|teu|tua|sus?|tu|your|visita|consulta|agendamento|cita|reserva|mesa|sessao|turno)\b[^,.!?]{0,40}?"
_I = r"\b(?:i|we)(?:['’]ve| have)?\s+(?:(?:just|already|now|also|successfully)\s+)*"
_OPENED = r"(?:pedidos?|chamado|ticket|tiquete|protocolo|ocorrencia|solicitacao|reclamacao|ordem|orden|caso|incidencia|solicitud|reclamo|order|case|request|claim)"
_CHANGED = r"(?:pedido|endereco|cadastro|agendamento|horario|consulta|reserva|dados|senha|plano|e-?mail|telefone|cita|turno|visita|direccion|datos|plan|order|address|booking|appointment|account|details|reservation|entrega|delivery)"
_POSTED = r"(?=\s+(?:[\w-]+\s+){0,5}(?:e-?mail|sms|codigo|boleto|nota|pedido|produto|encomenda|pacote|code|invoice|order|package|parcel|factura|paquete|correo)\b)"
_TEAM = r"(?=\s+(?:[\w]+\s+){0,2}(?:equipe|time|atendente|equipo|humano|pessoa|persona|agente|team|person|agent|colleague)\b)"
_TAIL = r"(?=\s*(?:$|[!,:;—–-]|com sucesso|con exito|successfully|para\b|pra\b|pro\b|for\b|on\b|sob\b|under\b))"


@dataclass(frozen=True, slots=True)
class _Kind:
    """``participles`` after a copula, ``subjects`` they need (empty: any); ``past``: words that say it in the first person.

    ``nouns``: how it opens a sentence with its noun. ``tools``: stems of the name of a tool that does it. ``slot``: "is booked" said of
    nothing of the customer's is about somebody else's hour.
    """

    name: str
    participles: str
    past: str
    english: str
    tools: str
    nouns: str = ""
    subjects: str = ""
    slot: bool = False


_KINDS = (
    _Kind(
        "booked",
        r"(?:pre-?)?(?:agendad[oa]s?|marcad[oa]s?|reservad[oa]s?|programad[oa]s?|booked|scheduled|reserved)",
        r"agendei|marquei|reservei|agendə|reservə|programə|(?:he|hemos) (?:agendado|reservado|programado)",
        r"booked|scheduled|reserved",
        r"agend|marca|reserv|book|schedul|appoint|program|cita|turno",
        r"(?:agendamento|reserva|horario|consulta|visita|cita|turno|appointment|booking|reservation)s?"
        r"\s+(?:feit[oa]|confirmad[oa]|marcad[oa]|agendad[oa]|reservad[oa]|realizad[oa]|hech[oa]|confirmed|made|booked|scheduled)",
        slot=True,
    ),
    _Kind(
        "cancelled",
        r"(?:cancelad[oa]s?|desmarcad[oa]s?|anulad[oa]s?|cancell?ed)",
        r"cancelei|desmarquei|cancelə|anulə|(?:he|hemos) (?:cancelado|anulado)",
        r"cancell?ed",
        r"cancel|desmarc|anul",
        r"(?:pedido|agendamento|reserva|consulta|assinatura|cancelamento|cita|suscripcion|order|appointment|booking|subscription|cancellation)"
        r"\s+(?:cancelad[oa]|confirmad[oa]|anulad[oa]|cancell?ed)",
    ),
    _Kind(
        "refunded",
        r"(?:reembolsad[oa]s?|estornad[oa]s?|refunded|reintegrad[oa]s?)",
        r"reembolsei|estornei|reembolsə|(?:he|hemos) (?:reembolsado|reintegrado)",
        r"refunded",
        r"reembols|estorn|refund|reintegr|devol",
        r"(?:reembolso|estorno|refund|devolucao|devolucion)\s+(?:feit[oa]|realizad[oa]|concluid[oa]|efetuad[oa]|aprovad[oa]|hecho|processed|issued|completed)",
    ),
    _Kind(
        "opened",
        r"(?:abert[oa]s?|criad[oa]s?|registrad[oa]s?|gerad[oa]s?|feit[oa]s?|realizad[oa]s?|abiert[oa]s?|cread[oa]s?|generad[oa]s?|hech[oa]s?|opened|created|placed|registered|filed|submitted)",
        rf"(?:abri|criei|registrei|gerei|fiz|creə|registrə|generə|hice|(?:he|hemos) (?:abierto|creado|registrado|generado|hecho))(?=\s+(?:[\w]+\s+){{0,2}}{_OPENED}\b)",
        rf"(?:opened|created|placed|registered|filed|submitted)(?=\s+(?:[\w]+\s+){{0,2}}{_OPENED}\b)",
        r"abr|open|cri(?:a|e)|crea|regist|pedido|order|ticket|chamado|case|caso|claim|protocol",
        rf"{_OPENED}\s+(?:abert[oa]|criad[oa]|registrad[oa]|gerad[oa]|feit[oa]|realizad[oa]|abiert[oa]|cread[oa]|hech[oa]|opened|created|placed|registered|filed)",
        subjects=_OPENED,
    ),
    _Kind(
        "sent",
        r"(?:enviad[oa]s?|despachad[oa]s?|mandad[oa]s?|sent|shipped|dispatched|emailed)",
        rf"(?:enviei|mandei|despachei|enviə|mandə|despachə|(?:he|hemos) (?:enviado|mandado|despachado)){_POSTED}",
        rf"(?:sent|shipped|dispatched|emailed){_POSTED}",
        r"envi|mand|send|despach|ship|dispatch|mail|sms",
    ),
    _Kind(
        "paid",
        r"(?:cobrad[oa]s?|debitad[oa]s?|pag[oa]s?|pagad[oa]s?|charged|paid)",
        r"cobrei|debitei|paguei|cobrə|(?:he|hemos) (?:cobrado|pagado)",
        r"charged|paid",
        r"cobr|debit|pag|charg|pay|pix",
        r"(?:pagamento|pago|payment)\s+(?:confirmad[oa]|recebid[oa]|aprovad[oa]|recibid[oa]|aprobad[oa]|confirmed|received|approved)",
    ),
    _Kind(
        "changed",
        r"(?:alterad[oa]s?|atualizad[oa]s?|remarcad[oa]s?|reagendad[oa]s?|trocad[oa]s?|modificad[oa]s?|actualizad[oa]s?|reprogramad[oa]s?|cambiad[oa]s?|changed|updated|rescheduled|modified)",
        r"alterei|atualizei|remarquei|reagendei|modifiquə|actualicə|reprogramə|cambiə|(?:he|hemos) (?:modificado|actualizado|reprogramado|cambiado)",
        r"changed|updated|rescheduled|modified",
        r"alter|atualiz|remarc|reagend|troc|mud|modif|actualiz|reprogram|cambi|chang|updat|reschedul|edit",
        subjects=_CHANGED,
    ),
    _Kind(
        "passed on",
        r"(?:transferid[oa]s?|encaminhad[oa]s?|repassad[oa]s?|derivad[oa]s?|transferred|forwarded|escalated)",
        rf"transferi|encaminhei|repassei|(?:avisei|chamei|notifiquei|avisə|llamə){_TEAM}|derivə|(?:he|hemos) (?:transferido|derivado)",
        rf"transferred|forwarded|escalated|(?:notified|told|alerted){_TEAM}",
        r"bring_in_person|hand_?off|transfer|encaminh|repass|deriv|forward|escalat|person|atendente",
    ),
)

_SENTENCE = re.compile(r"[^.!?\n;]*(?:[.!?;]+|\n|$)")
# A condition or a doubt before a statement takes it back; "se precisar" and its like are courtesy.
_DOUBT = re.compile(
    r"\b(?:se|caso|quando|assim que|logo que|depois que|depois de|apos|antes|ate que|desde que|para que|sempre que|a menos|talvez|"
    r"si(?!,)|cuando|una vez que|en cuanto|despues de que|antes de que|hasta que|siempre que|tal vez|quizas?|"
    r"if|when|whenever|once (?:you|your|it|the|we|they|payment)|after|before|until|unless|whether|as soon as|maybe|should)\b"
    r"(?!\s+(?:(?:voce|vc|you|tu|usted)\s+)?(?:quis|precis|prefer|desej|tiver|houver|necesit|quier|desea|prefier|need|want|like|have)\w*)"
)
_NOT = re.compile(
    r"\b(?:nao|nunca|nem|sem|ni|sin|not|never|without|cannot|nothing|nada|nenhum\w*|ningun\w*)\b[^,]{0,40}$|\bno\s+(?:\w+\s+)?$"
)


def _fold(text: str) -> str:
    lowered = re.sub(r"(?<=\w{3})é\b", "ə", text.lower())
    flat = unicodedata.normalize("NFKD", re.sub(r"\bsí\b", "yes", lowered))
    return "".join(mark for mark in flat if not unicodedata.combining(mark))


def _patterns(kind: _Kind) -> re.Pattern[str]:
    done = rf"\s+{_NOW}(?:{kind.participles})\b"
    of = rf"\b{kind.subjects}\b[^,.!?]{{0,40}}?" if kind.subjects else ""
    ways = [
        rf"{of}\b{_EVENT}{done}",
        rf"(?:\byour\b[^,.!?]{{0,40}}?\b(?:is|are)|\byou(?:['’]re| are)|(?:\bit|\bthat|\beverything)(?:['’]s| is)){done}" if kind.slot else "",
        rf"(?:{_MINE}|{_SURE}(?:(?:ja|ya|tudo|todo)\s+)?)\b{_STATE}{done}" if kind.slot else rf"{of}\b{_STATE}{done}",
        rf"(?:^|[,:;!—–-]\s*|\b(?:e|y|eu|yo|nos|ja|ya|te|lhe|le|la|lo|se|pronto|listo|claro)\s+){_DONE}(?:{kind.past})(?!\w)",
        rf"\b(?:acab(?:ei|amos|o) de)\s+(?:(?:te|lhe|le)\s+)?\w*(?:{kind.tools})\w*",
        rf"{_I}(?:{kind.english})\b",
        "" if kind.subjects or kind.name == "paid" else rf"{_SURE}(?:{kind.participles}){_TAIL}",
        rf"{_SURE}(?:(?:seu|sua|o|a|su|tu|el|la|your|the)\s+)?(?:{kind.nouns}){_TAIL}" if kind.nouns else "",
    ]  # fmt: skip
    return re.compile("|".join(f"(?:{way})" for way in ways if way))


_PATTERNS = tuple((kind.name, _patterns(kind)) for kind in _KINDS)
_STATES = {
    kind.name: re.compile(
        rf"(?<![\w-])(?:{kind.participles}|{kind.nouns or kind.participles})(?![\w-])(?!\"?\s*[:=]\s*(?:false|no\b|null|none|0))"
    )
    for kind in _KINDS
}
_TOOLS = {kind.name: re.compile(kind.tools) for kind in _KINDS}
_SEARCH = "search_knowledge"


@dataclass(frozen=True, slots=True)
class Claim:
    """An outcome a text states as done: its kind, and the sentence that says so."""

    kind: str
    shown: str


def claims(text: str) -> tuple[Claim, ...]:
    """The outcomes a text states as done, each kind once. Offers, conditions, negations and questions state nothing."""
    found: dict[str, Claim] = {}
    for each in _SENTENCE.finditer(re.sub(r"[*_~`]", "", text[:8000])):
        shown = each[0].strip()
        sentence = _fold(shown).rstrip(".!; ")
        if not sentence or shown.endswith("?"):
            continue
        for kind, pattern in _PATTERNS:
            if kind not in found and any(_stated(sentence, match) for match in pattern.finditer(sentence)):
                found[kind] = Claim(kind, shown)
    return tuple(found.values())


def _stated(sentence: str, match: re.Match[str]) -> bool:
    verb = match[0].rstrip().rpartition(" ")[0]
    return not _DOUBT.search(sentence[: match.start()]) and not _NOT.search(f"{sentence[: match.start()]}{verb} ")


def unsupported(draft: str, worked: Sequence[tuple[Tool, str]], before: Iterable[str]) -> tuple[str, ...]:
    """The sentences of ``draft`` that state an outcome nothing bears out.

    ``worked``: the tools that succeeded in this turn, each with what it returned; ``before``: what our side had said.
    """
    wanted = claims(draft)
    if not wanted:
        return ()
    said = {claim.kind for text in before for claim in claims(text)}
    return tuple(
        dict.fromkeys(
            claim.shown
            for claim in wanted
            if claim.kind not in said and not any(_proves(tool, result, claim.kind) for tool, result in worked)
        )
    )


def hint(stated: tuple[str, ...]) -> str:
    """What to tell the model about a rejected draft: which sentences, and that nothing of the kind happened."""
    listed = " / ".join(each[:120] for each in stated[:5])
    return (
        f"Your draft was not sent. It says that something was done, and no tool did it in this answer: {listed} "
        "Call the tool that does it, or write the answer again without saying that it happened: say what you can do, "
        "or offer to bring in a person."
    )


def _proves(tool: Tool, result: str, kind: str) -> bool:
    if tool.name == _SEARCH:
        return False
    does = tool.risk != "read" or kind == "passed on"
    if does and _TOOLS[kind].search(_fold(tool.name)):
        return True
    told = _fold(result)
    return any(
        not _NOT.search(told[max(0, match.start() - 60) : match.start()]) for match in _STATES[kind].finditer(told)
    )
