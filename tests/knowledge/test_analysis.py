"""What of a question is looked for, however a chat spells it."""

import pytest

from prosa.knowledge import analysis, language, words


def looked_for(text: str) -> list[str]:
    return [word.written for word in analysis.words(1, text)]


@pytest.mark.parametrize(
    ("chat", "spelled"),
    [
        ("vc sabe qto custa a entrega hj?", "você sabe quanto custa a entrega hoje?"),
        ("blz? pq o boleto n chega tb", "beleza ok? porque o boleto não chega também"),
        ("oie, q dia chega a msg do pgto", "oi, que dia chega a mensagem do pagamento"),
        ("xq el paquete no llega tmb pa cordoba", "por qué el paquete no llega también para córdoba"),
        ("¿ud me manda un msg k dia llega el paquete d zapatos?", "¿usted me manda un mensaje que día llega el paquete de zapatos?"),
        ("can u send me a msg when r u shipping the shoes thx", "can you send me a message when are you shipping the shoes thanks"),
        ("can u deliver 2 Boston pls", "can you deliver to Boston please"),
        ("do you have gifts 4 my mother", "do you have gifts for my mother"),
        ("preçoooo da camisetaaa", "preço da camiseta"),
    ],
)  # fmt: skip
def test_chat_spelling_asks_the_same(chat: str, spelled: str):
    asked = looked_for(chat)
    assert asked
    assert asked == [word for word in looked_for(spelled) if word != "beleza"]


@pytest.mark.parametrize(
    "text",
    [
        "do u have shoes in size 4 pls",
        "i want a table for 4 please",
        "quero 4 camisetas azuis, vc tem?",
        "quiero 4 camisas azules xq son lindas",
        "i need 4",
    ],
)
def test_digits_that_count_stay(text: str):
    assert "4" in looked_for(text)


@pytest.mark.parametrize(
    ("chat", "out"),
    [
        ("Hi, can u tell me wat program u have 4 display file?", "Hi, can you tell me what program you have for display file?"),
        ("how to pay 2 bills in 4 days", "how to pay 2 bills in 4 days"),
        ("oi, vc tem 4 camisetas?", "oi, vc tem 4 camisetas?"),
        ("¿y cuánto cuesta el envío?", "¿y cuánto cuesta el envío?"),
    ],
)  # fmt: skip
def test_models_that_read_sentences_get_english_written_out(chat: str, out: str):
    assert analysis.written_out(chat) == out


def test_accents_and_case_ask_the_same():
    assert looked_for("PROMOÇÃO de INVERNO") == looked_for("promocao de inverno")


def test_tables_are_folded_and_name_known_languages():
    tables = [words.SPELLINGS, *words.SPELLINGS_IN.values()]
    assert words.SPELLINGS_IN.keys() <= set(language.LANGUAGES)
    for table in tables:
        for spelled, meant in table.items():
            assert (spelled, meant) == (analysis.fold(spelled), analysis.fold(meant))
