"""When a customer asks to be answered by voice, and what can be spoken."""

from __future__ import annotations

import pytest

from prosa.contracts import Option, OutboundMessage
from prosa.conversations.media import voicing


@pytest.mark.parametrize(
    "text",
    [
        "me manda um áudio", "Pode mandar áudio?", "responde em áudio por favor", "Você pode me responder por mensagem de voz?",
        "pode ser por áudio", "me envie uma nota de voz", "explica isso num áudio pra mim", "estou dirigindo, manda um audio!",
        "Mándame un audio", "¿me puedes responder con un mensaje de voz?", "envíame una nota de voz", "puede ser por audio",
        "Send me a voice note", "could you reply with a voice message?", "please answer by voice", "I'm driving, send me an audio",
    ],
)  # fmt: skip
def test_it_is_asked_for(text: str) -> None:
    assert voicing.asked_for(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "oi", "vocês receberam meu áudio?", "não manda áudio por favor", "vou mandar um áudio", "posso mandar áudio?",
        "o áudio do fone é bom?", "no me mandes audios", "no mandes audio", "voy a enviar un audio", "¿puedo mandar un audio?",
        "did you get my voice note?", "don't send audio", "can i send a voice note?", "I'll send an audio", "quanto custa a caixa de som?",
    ],
)  # fmt: skip
def test_it_is_not_asked_for(text: str) -> None:
    assert not voicing.asked_for(text)


def test_a_business_has_words_of_its_own() -> None:
    assert voicing.asked_for("Fala pra mim, vai", "canta pra nós\nfala pra mim")
    assert not voicing.asked_for("falaram", "fala\n\n")


def text(words: str, **more: object) -> OutboundMessage:
    return OutboundMessage("text", words, **more)  # type: ignore[arg-type]


def test_one_short_text_is_spoken() -> None:
    (only,) = voicing.spoken([text("Custa *R$ 10*.")])
    assert (only.kind, only.text) == ("audio", "Custa *R$ 10*.")
    assert voicing.is_spoken(only)


@pytest.mark.parametrize(
    "bubbles",
    [
        [],
        [text("a"), text("b")],
        [text("x" * (voicing.LONGEST + 1))],
        [text("Veja https://loja.example/x")],
        [OutboundMessage("buttons", "Qual?", payload={"options": [Option("1", "Um")]})],
    ],
)
def test_what_is_better_read_is_written(bubbles: list[OutboundMessage]) -> None:
    assert voicing.spoken(bubbles) == bubbles
