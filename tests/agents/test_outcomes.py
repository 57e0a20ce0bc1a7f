"""Doing is kept apart from promising: what a draft says was done must have been done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prosa.agents import outcomes, runner
from prosa.contracts import Tool, ToolContext, ToolResult, Turn
from prosa.simulator.fake_llm import Control


def tool(name: str, risk: Any = "write") -> Tool:
    async def run(_context: ToolContext, _given: dict[str, Any]) -> ToolResult:
        raise AssertionError

    return Tool(name, "", {"type": "object"}, run, risk)


SEARCH = tool("search_knowledge", "read")

STATED = [
    ("booked", "Seu horário está agendado para terça às 10h."),
    ("booked", "Pronto! Sua visita foi marcada para amanhã."),
    ("booked", "Agendei sua consulta para quinta."),
    ("booked", "Já agendei para você, Ana!"),
    ("booked", "Agendado! Te esperamos às 15h."),
    ("booked", "Agendamento confirmado para sexta."),
    ("booked", "Acabei de reservar sua mesa."),
    ("booked", "Sí, su cita está agendada para el martes."),
    ("booked", "Ya agendé tu turno."),
    ("booked", "Tu mesa ha sido reservada."),
    ("booked", "Your appointment is booked for Tuesday."),
    ("booked", "I've booked you in for 10am."),
    ("booked", "You're all booked!"),
    ("booked", "Seu horário está agendado, se precisar mudar me avise."),
    ("cancelled", "Cancelei o seu pedido."),
    ("cancelled", "Sua assinatura foi cancelada."),
    ("cancelled", "He cancelado tu reserva."),
    ("cancelled", "Your order has been cancelled."),
    ("refunded", "O valor foi reembolsado."),
    ("refunded", "Estornei a compra no cartão."),
    ("refunded", "Reembolso realizado com sucesso."),
    ("refunded", "El importe fue reembolsado."),
    ("refunded", "We've refunded your card."),
    ("opened", "Seu pedido foi registrado, é o de sempre."),
    ("opened", "Pedido aberto!"),
    ("opened", "Abri um chamado para você."),
    ("opened", "Creé un ticket para usted."),
    ("opened", "I've placed your order."),
    ("opened", "Your ticket has been created."),
    ("sent", "O código foi enviado para o seu e-mail."),
    ("sent", "Te enviei o boleto por e-mail."),
    ("sent", "I have sent the invoice to you."),
    ("paid", "Pagamento confirmado!"),
    ("paid", "Your card was charged."),
    ("changed", "Atualizei seu cadastro."),
    ("changed", "Seu endereço foi alterado."),
    ("changed", "Your booking was rescheduled."),
    ("passed on", "Encaminhei para a equipe, já te respondem."),
    ("passed on", "Já avisei a equipe."),
    ("passed on", "I've escalated this to the team."),
]

NOT_STATED = [
    "Posso agendar para terça, às 10h?",
    "Quer que eu agende?",
    "Agende sua visita pelo site ou reserve já.",
    "Se for reembolsado, o valor volta em 7 dias.",
    "Se o pedido foi cancelado, o valor volta ao cartão.",
    "Quando o pagamento foi confirmado, a loja separa o pedido.",
    "Assim que o pedido for enviado, você recebe o código.",
    "Seu horário ainda não está agendado.",
    "Não agendei nada ainda.",
    "Nenhum valor foi cobrado.",
    "Seu pedido foi cancelado?",
    "Vou verificar se dá para agendar.",
    "Seu pedido será reembolsado pela equipe.",
    "A loja está aberta até as 18h.",
    "Esse horário já está reservado; tenho às 11h.",
    "Enviamos para todo o Brasil e reembolsamos em até 7 dias.",
    "Os pedidos são enviados em 2 dias úteis.",
    "Aceitamos pedidos cancelados em até 24 horas.",
    "Puedo agendar su cita cuando quiera.",
    "Si fue reembolsado, lo verá en su tarjeta.",
    "No he cancelado nada.",
    "Su cita no está agendada.",
    "Agende su cita en línea.",
    "I can book that for you.",
    "If your order was cancelled, you get the money back.",
    "Orders are shipped within two days.",
    "Once your payment has been refunded you will see it.",
    "Your appointment is not booked yet.",
    "Nothing was charged.",
    "Saturday at ten is already booked.",
    "Shall I say it was sent?",
    "Pago por transferencia: use el CBU de abajo.",
    "Os preços foram atualizados em março.",
    "Enviei acima as opções que temos.",
    "",
]


@pytest.mark.parametrize(("kind", "draft"), STATED)
def test_an_outcome_stated_as_done_needs_its_tool(kind: str, draft: str):
    assert kind in {claim.kind for claim in outcomes.claims(draft)}
    assert outcomes.unsupported(draft, [], [])


@pytest.mark.parametrize("draft", NOT_STATED)
def test_offers_conditions_negations_and_policies_state_nothing(draft: str):
    assert outcomes.claims(draft) == ()


@pytest.mark.parametrize(
    ("draft", "name"),
    [
        ("Agendei para terça.", "create_appointment"),
        ("Pronto, seu horário está marcado.", "agendar_horario"),
        ("Seu pedido foi cancelado.", "cancel_order"),
        ("O valor foi reembolsado.", "estornar_pagamento"),
        ("Pedido aberto!", "create_order"),
        ("Encaminhei para a equipe.", "bring_in_person"),
    ],
)
def test_the_tool_that_did_it_bears_it_out(draft: str, name: str):
    assert outcomes.unsupported(draft, [(tool(name), "ok")], []) == ()


def test_another_tool_does_not():
    assert outcomes.unsupported("O valor foi reembolsado.", [(tool("create_appointment"), "ok")], [])


def test_a_passage_bears_no_outcome_out():
    passage = "Depois do pagamento você lê: seu horário está agendado."
    assert outcomes.unsupported("Seu horário está agendado.", [(SEARCH, passage)], [])


def test_what_a_status_says_may_be_said():
    status = tool("order_status", "read")
    assert outcomes.unsupported("Seu pedido foi enviado ontem.", [(status, '{"status": "enviado"}')], []) == ()
    assert outcomes.unsupported("Seu pedido foi enviado.", [(status, '{"enviado": false}')], [])
    assert outcomes.unsupported("Seu pedido foi enviado.", [(status, "ainda não foi enviado")], [])


def test_looking_something_up_is_not_doing_it():
    assert outcomes.unsupported("Agendei para terça.", [(tool("list_appointments", "read"), "terça 10h livre")], [])


def test_what_our_side_said_before_may_be_repeated():
    assert outcomes.unsupported("Sim, seu horário está agendado.", [], ["Agendei para terça às 10h."]) == ()
    assert outcomes.unsupported("Sim, seu horário está agendado.", [], ["Posso agendar para terça?"])


def test_the_hint_says_which_sentence():
    told = outcomes.hint(outcomes.unsupported("Oi! Agendei para terça.", [], []))
    assert "Agendei para terça." in told
    assert "Oi!" not in told


# ── in the turn ──


async def test_a_booking_nobody_made_is_asked_again_and_then_offered(models: Control, turn: Callable[..., Turn]):
    said = iter(["Agendei sua visita para terça!", "Posso agendar sua visita para terça?"])
    models.say = lambda _: next(said)
    result = await runner.run(turn())
    assert result.replies[0].text == "Posso agendar sua visita para terça?"
    assert result.trace["rejected"][0]["outcomes"] == ["Agendei sua visita para terça!"]
    assert "Agendei sua visita" in models.requests[-1].body["messages"][-1]["content"]


async def test_a_booking_claimed_twice_never_leaves(models: Control, turn: Callable[..., Turn]):
    models.say = lambda _: "Agendei sua visita para terça!"
    result = await runner.run(turn(words={"unknown": "Não sei.", "offer_person": "Chamo alguém?"}))
    assert (result.replies[0].text, result.model) == ("Não sei. Chamo alguém?", "offline")
    assert result.trace["attempts"][-1]["status"] == "ungrounded"


async def test_after_its_tool_succeeded_it_may_be_said(models: Control, turn: Callable[..., Turn]):
    async def book(_context: ToolContext, _given: dict[str, Any]) -> ToolResult:
        return ToolResult("Terça às 10h.")

    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    booking = Tool("create_appointment", "Books an hour.", schema, book, "write")
    models.call(("create_appointment", {}))
    models.call()
    models.say = lambda _: "Agendei sua visita para terça!"
    result = await runner.run(turn(tools=(booking,)))
    assert result.replies[0].text == "Agendei sua visita para terça!"
    assert "rejected" not in result.trace


async def test_a_choice_claims_no_more_than_words(models: Control, turn: Callable[..., Turn]):
    models.call(("send_options", {"text": "Tudo certo?", "options": ["Consulta agendada!", "Outra coisa"]}))
    models.say = lambda _: "Posso agendar sua consulta?"
    result = await runner.run(turn(proposals=frozenset({"send_options"})))
    assert result.trace["rejected"][0]["outcomes"] == ["Consulta agendada!"]
    assert (result.replies[0].text, result.replies[0].options) == ("Posso agendar sua consulta?", ())
