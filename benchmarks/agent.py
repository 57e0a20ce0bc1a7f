"""What the agent's loop costs with a full house: CPU and prompt tokens, without a database.

20 tools, 6 KB of guidelines, 40 messages of history, the same for both: ``runner.run`` and a bare pydantic-ai ``Agent``
with ``OpenAIChatModel``, made once, in turns within one process; the model is ``simulator.fake_llm`` in another. Asked
once plainly (one request) and once with a tool (two requests). Tokens are ``agents.memory``'s estimate of what a turn
with one search brings the model, beside a prompt that holds 1,000 passages and all that was said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from _report import Report, console, median

TARGETS = {"cpu_vs_bare": ("<=", 1.0), "cpu_vs_bare_with_a_tool": ("<=", 1.0), "requests": ("<=", 1.0), "requests_with_a_tool": ("<=", 2.0)}  # fmt: skip
PORT = 8709
MODEL = "openai-chat:stub"
HISTORY = 40
QUESTION = "Vocês entregam no sábado à tarde, e qual o prazo?"
SAID = (
    "Bom dia, queria saber se vocês têm o produto que vi no anúncio de ontem, na cor azul e no tamanho médio.",
    "Bom dia! Temos sim, em azul e em verde. O tamanho médio está disponível, com a cor da foto.",
)
RULE = "Entregas de segunda a sábado em toda a cidade; trocas com a nota fiscal; cartão, Pix ou dinheiro na entrega.\n"
GUIDELINES = "Você é a Lia, atendente da Casa Boa Vista. Responda com frases curtas e gentis.\n" + RULE * 56
PASSAGES = 1000
"""What a shop with a site of a hundred pages knows, each as long as those of the labelled set."""
DOCUMENTS = Path(__file__).parents[1] / "tests" / "knowledge" / "shop.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=20, help="in one batch")
    options = parser.parse_args()
    os.environ |= {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{PORT}/v1",
        "OPENAI_API_KEY": "none",
        "PROSA_SECRET_KEY": "only-for-benchmarks-only-for-benchmarks",
        "DATABASE_URL": "postgresql:///unused",
    }
    report = Report("agent", TARGETS)
    with subprocess.Popen([sys.executable, "-m", "prosa.simulator.fake_llm", "--port", str(PORT)]) as stub:
        try:
            uvloop.run(_measure(report, options.rounds, options.turns))
        finally:
            stub.terminate()
    report.show(as_json=options.json)


async def _measure(report: Report, rounds: int, turns: int) -> None:
    import aiohttp

    from prosa.agents import runner

    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            try:
                await session.get(f"http://127.0.0.1:{PORT}/v1/models")
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
    for name, tool in (("", False), ("_with_a_tool", True)):
        ours, bare, requests = _contestants(searching=tool)
        report.figures[f"requests{name}"] = await requests()
        spent: dict[Callable[[], Awaitable[None]], list[float]] = {ours: [], bare: []}
        for each in (ours, bare):
            await _cpu(each, 10)
        for number in range(rounds):
            order = [ours, bare]
            random.shuffle(order)
            for each in order:
                spent[each].append(await _cpu(each, turns))
            console.print(f"round {number + 1}: {spent[ours][-1]:.1f} ms, bare {spent[bare][-1]:.1f} ms")
        report.ratios[f"cpu_vs_bare{name}"] = median(spent[ours]) / median(spent[bare])
        report.figures[f"cpu_ms{name}"] = median(spent[ours])
    report.figures |= await _tokens()
    report.ratios["tokens_vs_everything"] = report.figures["prompt_tokens"] / report.figures["prompt_tokens_everything"]
    await runner.close()


async def _cpu(each: Callable[[], Awaitable[None]], turns: int) -> float:
    """Milliseconds of CPU of this process for one turn, of several one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(turns):
        await each()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / turns


def _schema(number: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "order": {"type": "string", "description": "The number of the order, as the customer wrote it."},
            "since": {"type": "string", "format": "date", "description": "Nothing before this day."},
            f"most_{number}": {"type": "integer", "minimum": 1, "maximum": 50},
            "sort": {"type": "string", "enum": ["newest", "oldest", "cheapest"]},
        },
        "required": ["order"],
        "additionalProperties": False,
    }


def _turn(*, searching: bool, documents: tuple[str, ...] = ()) -> Any:
    from prosa.contracts import Line, Passage, Tool, ToolContext, ToolResult, Turn

    async def run(_context: ToolContext, _given: dict[str, Any]) -> ToolResult:
        return ToolResult("Nothing of this number.")

    async def passages(_query: str) -> list[Passage]:
        return [
            Passage(number, "Entregas", "Prazos", text, 0.8 - number / 100) for number, text in enumerate(documents[:6])
        ]

    now = datetime.now(UTC)
    tools = tuple(
        Tool(f"look_up_{number}", f"Look up kind {number} of an order of this customer.", _schema(number), run)
        for number in range(20 - searching)
    )
    return Turn(
        business_name="Casa Boa Vista",
        locale="pt-br",
        channel="whatsapp",
        question=(Line("customer", QUESTION, now),),
        now=now,
        history=tuple(
            Line(
                "bot" if number % 2 else "customer", SAID[number % 2], now - timedelta(minutes=HISTORY - number), number
            )
            for number in range(HISTORY)
        ),
        guidelines=GUIDELINES,
        model=MODEL,
        tools=tools,
        passages=passages if searching else None,
        proposals=frozenset(),
    )


def _contestants(*, searching: bool) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]], Any]:
    """Ours, the bare agent, and what counts our requests. The twentieth tool is the search, which the double calls."""
    from pydantic_ai import Agent, Tool
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from prosa.agents import guidelines, memory, runner

    found = ("Entregamos aos sábados até as 14h. O prazo é de 3 dias úteis.",)
    turn = _turn(searching=searching, documents=found)
    remembered = memory.recall(turn.history, turn.history_tokens)
    assert len(remembered.lines) == HISTORY
    told = guidelines.instructions(turn)
    *history, question = guidelines.messages(turn, remembered, told)

    async def look_up(**_given: Any) -> str:
        return "Nothing of this number."

    async def search(query: str) -> str:
        assert query
        return json.dumps({"title": "Entregas", "text": found[0]})

    tools: list[Any] = [
        Tool.from_schema(look_up, tool.name, tool.description, tool.schema, takes_ctx=False) for tool in turn.tools
    ]
    if searching:
        tools.append(Tool(search, name="search_knowledge", description="Search what the business knows."))
    agent = Agent(
        OpenAIChatModel("stub", provider=OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key="none")),
        instructions=told,
        tools=tools,
    )

    async def bare() -> None:
        result = await agent.run(question.parts[0].content, message_history=history)  # type: ignore[union-attr,arg-type]
        assert result.usage.requests == 1 + searching, result.usage

    async def ours() -> None:
        result = await runner.run(turn)
        assert result.model == MODEL, result

    async def requests() -> float:
        return float((await runner.run(turn)).usage.requests)

    return ours, bare, requests


async def _tokens() -> dict[str, float]:
    """What the model reads in a turn with one search, and what it would read of everything there is."""
    from prosa.agents import guidelines, memory, runner

    documents = tuple(
        line for line in DOCUMENTS.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#@?"
    )
    turn = _turn(searching=True, documents=documents)
    result = await runner.run(turn)
    told = guidelines.instructions(turn)
    passages = [documents[number % len(documents)] for number in range(PASSAGES)]
    everything = [told, *(line.text for line in turn.history), QUESTION, *passages]
    return {
        "prompt_tokens": float(result.usage.input_tokens),
        "prompt_tokens_everything": float(sum(memory.tokens(text) for text in everything)),
        "passages": float(PASSAGES),
    }


if __name__ == "__main__":
    began = time.monotonic()
    main()
    console.print(f"{time.monotonic() - began:.0f} s")
