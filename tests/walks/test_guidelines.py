"""What is published is obeyed by the very next reply; a draft by none; and the trace says which rules were told."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from tests.walks.house import House, says
from tests.walks.payloads import said

from prosa.business import publishing
from prosa.business.guidance import Rule
from prosa.business.models import Business
from prosa.contracts import Turn, TurnResult


async def test_the_next_reply_obeys_what_is_published(house: House, business: Business):
    async def think(turn: Turn) -> TurnResult:
        return says(turn.guidelines)

    house.mind.answer = think
    await house.work()
    rules = [Rule(1, "chover", "ofereça chá").row(), Rule(2, "nevar", "ria", channels=("rest",)).row()]
    guideline = business.guideline

    async def ask(number: int) -> Turn:
        assert await house.post(said("oi", f"question{number}")) == 200
        await house.until(lambda: len(house.outcomes()) == number)
        await house.quiet()
        return house.mind.turns[-1]

    assert (await ask(1)).guidelines == "Seja gentil."
    draft = await sync_to_async(publishing.save_draft)(guideline, "Seja breve.", rules, 0, 1, None)
    assert (await ask(2)).guidelines == "Seja gentil."
    await sync_to_async(publishing.publish_draft)(guideline, draft.revision, 1, "n", None)
    turn = await ask(3)
    assert turn.guidelines == "Seja breve.\n\n## When … then …\n- When chover, then ofereça chá"
    assert turn.guideline_version == 2
    await sync_to_async(publishing.roll_back)(guideline, 1, 2, "n", None)
    assert ((await ask(4)).guidelines, house.mind.turns[-1].guideline_version) == ("Seja gentil.", 3)
    told = house.rows("select trace->'rules' from prosa_conversations_turn order by id")
    assert [[(one["rule"], one["reason"]) for one in row[0]] for row in told] == [
        [],
        [],
        [(1, "fits"), (2, "channel")],
        [],
    ]


async def test_where_not_all_rules_fit_those_nearest_to_the_question_are_told(house: House, business: Business):
    filler = [
        Rule(number, f"falarem do assunto {number}", "responda com calma " * 12).row() for number in range(10, 60)
    ]
    rules = [Rule(1, "perguntarem do frete ou da entrega", "diga que é grátis").row(), Rule(2, "for rude", "siga gentil", always=True, priority=0).row()]  # fmt: skip
    guideline = business.guideline
    guideline.rules = [*filler, *rules]
    await guideline.asave()
    await house.work()
    await house.post(said("qto fica o frte pra Campinas, vcs entregam?", "1"))
    await house.until(house.carrier.texts)
    await house.quiet()
    told = house.mind.turns[0].guidelines
    assert "diga que é grátis" in told
    assert "siga gentil" in told
    weighed = {rule["rule"]: rule for rule in house.one("select trace->'rules' from prosa_conversations_turn")}
    assert weighed[1]["reason"] == "words"
    assert weighed[1]["score"] > 0
    assert weighed[2]["reason"] == "always"
    left_out = [number for number, rule in weighed.items() if rule["reason"] == "unrelated"]
    assert left_out
    assert not any(f"assunto {number}," in told for number in left_out)
