"""Conversations with twenty messages behind them, questions to them, and the moment each is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg

from _installation import Installation

HISTORY = 20
QUESTION = "Oi! Vocês entregam no sábado à tarde no bairro Boa Vista, e quanto fica o frete para dois pedidos?"
SAID = (
    "Bom dia, queria saber se vocês têm o produto que vi no anúncio de ontem, na cor azul e no tamanho médio.",
    "Bom dia! Temos sim, em azul e em verde. O tamanho médio está disponível e sai por R$ 129,90 no cartão em até três vezes.",
)
GUIDELINES = (
    """Você é a Lia, atendente da Casa Boa Vista. Responda com frases curtas e gentis.
Entregas: de segunda a sábado, das 9h às 18h, em toda a cidade. Frete de R$ 12,00 por pedido; grátis acima de R$ 200,00.
Trocas: em até 30 dias, com a nota fiscal. Pagamento: cartão em até três vezes, PIX com 5% de desconto.
Horário da loja: de segunda a sexta das 9h às 19h, sábados das 9h às 14h.
"""
    * 3
)


def seed(here: Installation, count: int) -> None:
    """``count`` contacts ``user:1`` … of the REST inbox, each with a conversation of ``HISTORY`` messages."""
    with psycopg.connect(here.dsn) as connection:
        connection.execute("UPDATE prosa_business_guideline SET text = %s", (GUIDELINES,))
        connection.execute(
            """
            CREATE TEMP TABLE rest ON COMMIT DROP AS SELECT id AS inbox_id, business_id FROM prosa_channels_inbox WHERE kind = 'rest' LIMIT 1;
            CREATE TEMP TABLE person ON COMMIT DROP AS SELECT n, nextval('prosa_contacts_contact_id_seq') AS id FROM generate_series(1, %(count)s::int) n;
            INSERT INTO prosa_contacts_contact (id, business_id, name) SELECT id, business_id, 'Cliente ' || n FROM person, rest;
            INSERT INTO prosa_contacts_identity (business_id, contact_id, key) SELECT business_id, id, 'user:' || n FROM person, rest;
            INSERT INTO prosa_conversations_conversation (business_id, inbox_id, contact_id) SELECT business_id, inbox_id, id FROM person, rest ORDER BY n;
            INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status)
            SELECT c.id, c.business_id, c.inbox_id, CASE k %% 2 WHEN 0 THEN 'in' ELSE 'out' END, CASE k %% 2 WHEN 0 THEN 'customer' ELSE 'bot' END,
                   CASE k %% 2 WHEN 0 THEN %(asked)s ELSE %(said)s END, CASE k %% 2 WHEN 0 THEN 'received' ELSE 'delivered' END
            FROM generate_series(0, %(history)s::int - 1) k, prosa_conversations_conversation c ORDER BY k, c.id;
            """.replace("%(count)s", str(count))
            .replace("%(history)s", str(HISTORY))
            .replace("%(asked)s", _quoted(SAID[0]))
            .replace("%(said)s", _quoted(SAID[1]))
            .replace("%%", "%")
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def forget(here: Installation) -> None:
    """Take the last questions and answers away again, so that every round asks after the same history."""
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM prosa_conversations_message WHERE provider_id IS NOT NULL")


class Customers:
    """Asks questions through ``Receiver`` and notes when conversations have their answer."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._numbers = iter(range(1, 10**9))
        self.asked: dict[int, float] = {}
        """Conversation → the moment the question was committed."""
        self._news: set[int] = set()
        self.took: list[float] = []
        """Seconds from commit to the answer's commit, one for each answer."""

    async def open(self) -> None:
        from prosa.channels.inboxes import Inboxes
        from prosa.conversations.receiver import Receiver
        from prosa.postgres.connections import Listener, connect

        known = Inboxes()
        async with await connect(self._here.dsn) as connection:
            await known.load(connection)
            rows = await (
                await connection.execute(
                    "SELECT i.key, c.id FROM prosa_conversations_conversation c JOIN prosa_contacts_identity i USING (contact_id) ORDER BY c.id"
                )
            ).fetchall()
        self.conversations = [(key.removeprefix("user:"), number) for key, number in rows]
        self._inbox = known.of_kind("rest")[0]
        self._receiver = Receiver(self._here.dsn)
        await self._receiver.start()
        listener = Listener(self._here.dsn, ["prosa_realtime"], self._heard)
        self._listening = asyncio.create_task(listener.run())
        await listener.connected.wait()

    async def close(self) -> None:
        self._listening.cancel()
        await self._receiver.stop()

    async def ask(self, which: int) -> None:
        """One question in the conversation of this index."""
        from prosa.contracts import Identity, InboundMessage
        from prosa.conversations.inbound import Arrival

        user, conversation = self.conversations[which]
        message = InboundMessage(
            f"bench-{next(self._numbers)}", "", (Identity("user", user),), "text", QUESTION, datetime.now(UTC)
        )
        # Before the commit returns: the answer must find it here. Set again after.
        self.asked[conversation] = time.perf_counter()
        self._news.add(conversation)
        await self._receiver.accept(
            Arrival("rest", b"{}", "application/json", self._inbox, messages=[(self._inbox, message)])
        )
        if conversation in self.asked:
            self.asked[conversation] = time.perf_counter()

    def _heard(self, _channel: str, payload: str) -> None:
        topic, _colon, numbers = payload.partition(":")
        for number in map(int, numbers.split(",")) if topic == "conversation" else ():
            if number in self._news:  # the door tells of the question first
                self._news.discard(number)
            elif (started := self.asked.pop(number, None)) is not None:
                self.took.append(time.perf_counter() - started)

    async def all_answered(self, patience_s: float = 120) -> None:
        """Until no question is open and nothing is left to deliver."""
        async with asyncio.timeout(patience_s):
            while self.asked:
                await asyncio.sleep(0.02)
            async with await psycopg.AsyncConnection.connect(self._here.dsn, autocommit=True) as connection:
                while (
                    await (
                        await connection.execute(
                            "SELECT count(*) FROM prosa_conversations_dispatch WHERE run_at IS NOT NULL OR owner IS NOT NULL"
                        )
                    ).fetchone()
                ) != (0,):
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def customers(here: Installation) -> AsyncIterator[Customers]:
    them = Customers(here)
    await them.open()
    try:
        yield them
    finally:
        await them.close()
