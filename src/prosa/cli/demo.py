"""The demo business: a small shop in São Paulo, so that the first message gets a sensible answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from prosa.business.models import Business, Guideline
from prosa.channels.models import Inbox
from prosa.costs.models import BY_PERSON, ModelPrice
from prosa.knowledge.models import ApprovedAnswer
from prosa.simulator.demo import demo_inboxes

SLUG = "atelie-aurora"
DOUBLE = "openai*:double"
"""The models of ``prosa up --double``. Their price is a hundred times a real one's, so that a budget can be watched running out."""

GUIDELINES = """\
Você é a Lia, atendente do Ateliê Aurora, uma loja de velas, sabonetes e presentes artesanais em Pinheiros, São Paulo.
Fale com simpatia e seja breve: uma resposta curta por vez, sem enrolação, no máximo um emoji.

Horário de atendimento da loja
- Segunda a sexta, das 9h às 18h. Sábado, das 9h às 13h. Fechada aos domingos e feriados.
- Endereço: Rua dos Pinheiros, 512, Pinheiros, São Paulo.

Produtos e preços
- Vela aromática de lavanda (180 g): R$ 59,00
- Vela aromática de capim-limão (180 g): R$ 59,00
- Difusor de varetas (250 ml): R$ 89,00
- Sabonete vegetal (90 g): R$ 18,00; caixa com 3: R$ 48,00
- Kit presente Aurora (vela, sabonete e difusor): R$ 149,00
Nunca informe preço de produto que não esteja nesta lista: diga que vai confirmar com a equipe.

Entrega
- Motoboy na cidade de São Paulo: R$ 15,00, no mesmo dia para pedidos até as 14h.
- Correios para todo o Brasil: de 3 a 8 dias úteis; o frete depende do CEP.
- Frete grátis acima de R$ 250,00.
- Retirada na loja sem custo, pronta em 2 horas.

Pagamento
- Pix com 5% de desconto, ou cartão em até 3 vezes sem juros.

Troca e devolução
- Arrependimento: até 7 dias corridos depois de receber, com o produto sem uso.
- Defeito ou avaria: até 30 dias; pedimos uma foto e enviamos outro sem custo.

Encaminhe para uma pessoa quem pedir, quem estiver reclamando, e encomendas acima de 20 unidades.
"""

ANSWERS = (
    (
        "Qual o horário de funcionamento?; Que horas abre?; Que horas fecha?; Abre no sábado?; Horário de atendimento",
        "Atendemos de segunda a sexta, das 9h às 18h, e aos sábados das 9h às 13h. Aos domingos e feriados a loja fica fechada.",
    ),
    (
        "Onde fica a loja?; Qual o endereço?; Tem loja física?",
        "Ficamos na Rua dos Pinheiros, 512, em Pinheiros, São Paulo.",
    ),
    (
        "Vocês entregam?; Qual o prazo de entrega?; Quanto custa o frete?; Fazem entrega?",
        "Entregamos! Em São Paulo, por motoboy: R$ 15,00, no mesmo dia para pedidos até as 14h. Para o resto do Brasil, pelos Correios, de 3 a 8 dias úteis. Acima de R$ 250,00 o frete é grátis.",
    ),
    (
        "Posso trocar?; Como faço uma troca?; Qual o prazo para trocar?; Como devolver?; Qual a política de troca?; Chegou quebrado; Veio com defeito",
        "Você pode devolver em até 7 dias corridos depois de receber, com o produto sem uso. Se chegou com defeito, envie uma foto em até 30 dias e mandamos outro sem custo.",
    ),
    (
        "Quais as formas de pagamento?; Aceita Pix?; Aceita cartão?; Parcela?",
        "Aceitamos Pix, com 5% de desconto, e cartão em até 3 vezes sem juros.",
    ),
    (
        "Quanto custa a vela?; Qual o preço da vela?; Quais velas vocês têm?",
        "A vela aromática de 180 g custa R$ 59,00, em lavanda ou capim-limão.",
    ),
    (
        "Tem kit presente?; Quanto custa o kit?; Sugestão de presente",
        "O Kit presente Aurora vem com vela, sabonete e difusor, por R$ 149,00.",
    ),
    (
        "Posso retirar na loja?; Como funciona a retirada?",
        "Pode sim! A retirada é sem custo, e o pedido fica pronto em 2 horas no horário de funcionamento.",
    ),
)


def furnish(port: int, make_inbox: Callable[..., Inbox]) -> Business:
    """Make the demo business with an inbox of each kind, or renew the address of its inboxes. What was edited stays."""
    business, new = Business.objects.get_or_create(slug=SLUG, defaults={"name": "Ateliê Aurora", "locale": "pt-br"})
    if new:
        Guideline.objects.create(business=business, text=GUIDELINES)
        for question, answer in ANSWERS:
            ApprovedAnswer.objects.create(business=business, question=question, answer=answer)
        ModelPrice.objects.get_or_create(
            pattern=DOUBLE, defaults={"valid_from": date(2026, 1, 1), "input": 100, "output": 400, "source": BY_PERSON}
        )
    for wanted in demo_inboxes(port):
        made: Inbox | None = Inbox.objects.filter(kind=wanted["kind"], slug=wanted["slug"]).first()
        credentials: dict[str, Any] = wanted["credentials"]
        if made is not None:
            # Its secrets are known to conversations under way; only the doubles' address follows the port.
            credentials = {name: value for name, value in credentials.items() if name.endswith("_url")} | {
                name: value for name, value in made.credentials.items() if not name.endswith("_url")
            }
        make_inbox(business, wanted["kind"], wanted["name"], wanted["slug"], credentials)
    return business
