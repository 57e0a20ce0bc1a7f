"""The language of a passage: whole sentences, rows of tables, words that two languages share, spelling without accents."""

import pytest

from prosa.knowledge.language import language

SENTENCES = {
    "pt": """
        Qual é o prazo de entrega para o interior?
        Aceitamos cartão de crédito, boleto e PIX.
        A loja abre de segunda a sábado, das 9h às 18h.
        vc sabe qto custa o frete
        quanto custa o frete pra SP
        nao recebi meu pedido ainda
        Não fazemos troca de peças em promoção.
        O produto tem garantia de 12 meses.
        Entregamos em toda a cidade de Porto Alegre.
        Camiseta azul de algodão
        Sapato preto tamanho 42
        Leite integral 1 litro
        Queijo minas e pão de forma
        Devolução grátis em até 7 dias
        Horário de funcionamento
        Formas de pagamento
        Política de privacidade
        Obrigada, boa noite!
        posso pagar na entrega
        Cadeira de escritório com braço ajustável
        O valor mínimo da compra é R$ 50
        tem estacionamento no local?
        Estamos fechados aos domingos e feriados
        Como faço para cancelar a assinatura?
        Atendimento em português, espanhol e inglês
        """,
    "es": """
        ¿Cuál es el plazo de entrega?
        Aceptamos tarjeta de crédito y efectivo.
        La tienda abre de lunes a sábado, de 9 a 18.
        cuanto cuesta el envio a Cordoba
        no recibi mi pedido todavia
        No hacemos cambios de piezas en oferta.
        El producto tiene garantía de 12 meses.
        Entregamos en toda la ciudad de Montevideo.
        Camiseta azul de algodón
        Zapato negro talla 42
        Leche entera 1 litro
        Queso fresco y pan de molde
        Devolución gratis hasta 7 días
        Horario de atención
        Formas de pago
        Política de privacidad
        ¡Gracias, buenas noches!
        puedo pagar contra entrega
        Silla de oficina con brazo ajustable
        El importe mínimo de la compra es 50 pesos
        hay estacionamiento en el local?
        Estamos cerrados los domingos y feriados
        ¿Cómo hago para cancelar la suscripción?
        Atención en portugués, español e inglés
        """,
    "en": """
        What is the delivery time?
        We accept credit cards and cash.
        The store opens Monday to Saturday, 9 to 6.
        how much is shipping to Lisbon
        i havent received my order
        No returns on sale items.
        The product has a 12 month warranty.
        Free returns within 7 days
        Opening hours
        Payment methods
        Privacy policy
        Thank you, good night!
        Black leather shoes
        Whole milk, one gallon
        Office chair with adjustable arms
        The minimum order is $50
        Is there parking nearby?
        Closed on Sundays and holidays
        How do I cancel my subscription?
        Service in Portuguese, Spanish and English
        """,
}
LABELLED = [(name, line.strip()) for name, lines in SENTENCES.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize(("expected", "text"), LABELLED)
def test_short_sentences(expected, text):
    assert language(text) == expected
    assert language(text.upper()) == expected


def test_the_list_is_long_enough_to_mean_something():
    assert len(LABELLED) >= 60


@pytest.mark.parametrize(
    "text",
    ["", "   ", "| 42 | 19.90 | SKU-8841 |", "https://example.com/the-best-of-the-web", "Samsung A54 128GB", "😀 👍"],
)
def test_what_tells_nothing_takes_the_documents_language(text):
    assert [language(text, otherwise) for otherwise in ("pt", "es", "en", "")] == ["pt", "es", "en", ""]


def test_a_row_of_a_table_with_words_tells():
    assert language("| Notebook 15 polegadas | Grátis | 2 dias úteis |", "es") == "pt"
    assert language("| Portátil de 15 pulgadas | Gratis | 2 días hábiles |", "pt") == "es"


def test_a_foreign_name_does_not_turn_a_passage():
    assert (
        language("O filme The Lord of the Rings não está disponível na loja, mas você pode comprar em dezembro.")
        == "pt"
    )


def test_the_accents_may_be_written_apart():
    assert language("Na\u0303o entregamos aos sa\u0301bados") == "pt"
