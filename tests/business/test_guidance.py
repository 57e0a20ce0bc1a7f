"""Which conditional guidelines are told, and which do not go together."""

from datetime import UTC, date, datetime

import pytest

from prosa.business.guidance import Conflict, Near, Rule, choose, compose, conflicts

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def told(rules, channel="whatsapp_cloud", budget=1000):
    return {one.rule.number: (one.chosen, one.reason) for one in choose(rules, NOW, channel, budget)}


def test_a_rule_survives_its_storage():
    rule = Rule(3, "a", "b", 70, ("rest",), date(2026, 1, 1), date(2026, 2, 1), False, True, (1, 2))
    assert Rule.read(rule.row()) == rule


def test_dates_channel_and_switch_decide():
    rules = [
        Rule(1, "a", "x", begins=date(2026, 3, 10), ends=date(2026, 3, 10)),
        Rule(2, "b", "x", ends=date(2026, 3, 9)),
        Rule(3, "c", "x", begins=date(2026, 3, 11)),
        Rule(4, "d", "x", channels=("rest",)),
        Rule(5, "e", "x", channels=("rest", "whatsapp_cloud")),
        Rule(6, "f", "x", active=False, always=True),
    ]
    assert told(rules) == {
        1: (True, "fits"), 2: (False, "over"), 3: (False, "not_yet"), 4: (False, "channel"), 5: (True, "fits"), 6: (False, "off"),
    }  # fmt: skip


def test_order_is_always_first_then_priority_then_as_written():
    rules = [
        Rule(1, "a", "x"),
        Rule(2, "b", "x", priority=90),
        Rule(3, "c", "x", priority=10, always=True),
        Rule(4, "d", "x"),
    ]
    assert [one.rule.number for one in choose(rules, NOW, "")] == [3, 2, 1, 4]


def test_the_budget_never_takes_what_is_always_kept():
    long = "x" * 350
    rules = [Rule(1, "a", long, always=True), Rule(2, "b", long, priority=90), Rule(3, "c", "short", priority=10)]
    assert told(rules, budget=130) == {1: (True, "always"), 2: (False, "budget"), 3: (True, "fits")}
    assert told(rules, budget=0) == {1: (True, "always"), 2: (False, "budget"), 3: (False, "budget")}


def test_a_chosen_rule_leaves_out_the_ones_it_excludes():
    rules = [Rule(1, "a", "x", priority=90, excludes=(2,)), Rule(2, "b", "x", excludes=(3,)), Rule(3, "c", "x")]
    assert told(rules) == {1: (True, "fits"), 2: (False, "excluded"), 3: (True, "fits")}
    assert next(one.by for one in choose(rules, NOW, "") if one.rule.number == 2) == 1
    assert told([Rule(1, "a", "x", active=False, priority=90, excludes=(2,)), Rule(2, "b", "x")])[2] == (True, "fits")


def test_the_text_comes_first_and_only_chosen_rules_follow():
    rules = [Rule(1, "it\nrains", "offer tea"), Rule(2, "b", "x", active=False)]
    assert (
        compose("Be kind.\n", choose(rules, NOW, "")) == "Be kind.\n\n## When … then …\n- When it rains, then offer tea"
    )
    assert compose("Be kind.", choose([], NOW, "")) == "Be kind."
    assert compose("", ()) == ""


SAME = {"when": "Pergunta de PREÇO?", "then": "x"}


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (Rule(1, "pergunta de preco", "y"), Rule(2, **SAME), [Conflict("contradiction", 1, 2)]),
        (Rule(1, "pergunta de preco", "X."), Rule(2, **SAME), []),
        (Rule(1, "pergunta de preco", "y", ends=date(2026, 1, 1)), Rule(2, **SAME, begins=date(2026, 1, 2)), []),
        (Rule(1, "pergunta de preco", "y", channels=("rest",)), Rule(2, **SAME, channels=("twilio",)), []),
        (Rule(1, "pergunta de preco", "y", channels=("rest",)), Rule(2, **SAME), [Conflict("contradiction", 1, 2)]),
        (Rule(1, "pergunta de preco", "y", active=False), Rule(2, **SAME), []),
        (Rule(1, "pergunta de preco", "y", excludes=(2,)), Rule(2, **SAME), []),
        (Rule(1, "a", "x", excludes=(2,)), Rule(2, "b", "x", excludes=(1,)), [Conflict("mutual", 1, 2)]),
        (Rule(1, "a", "x"), Rule(2, "b", "x", excludes=(1,)), [Conflict("powerless", 2, 1)]),
        (Rule(1, "a", "x", excludes=(7,)), Rule(2, "b", "x"), [Conflict("unknown", 1, 7)]),
        (Rule(1, "a", "x", begins=date(2026, 2, 1), ends=date(2026, 1, 1)), Rule(2, "b", "x"), [Conflict("dates", 1)]),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_found(first, second, found):
    assert conflicts([first, second]) == found


# ── by specialist, and by what is asked ──


def test_a_rule_may_be_one_specialists():
    rules = [Rule(1, "a", "x", specialists=("sales",)), Rule(2, "b", "x"), Rule(3, "c", "x", specialists=("support", "sales"))]  # fmt: skip
    made = {one.rule.number: one.reason for one in choose(rules, NOW, "rest", specialist="support")}
    assert made == {1: "specialist", 2: "fits", 3: "fits"}
    assert {one.rule.number for one in choose(rules, NOW, "rest") if one.chosen} == {2}


def test_rules_of_different_specialists_do_not_contradict():
    sales = Rule(1, "perguntar preço", "a", specialists=("sales",))
    assert conflicts([sales, Rule(2, "perguntar preço", "b", specialists=("support",))]) == []
    assert conflicts([sales, Rule(2, "perguntar preço", "b")]) == [Conflict("contradiction", 1, 2)]


def nearness(**scores):
    asked = []

    def score(texts):
        asked.append(list(texts))
        return [Near(scores.get(text, 0.0), scores.get(text, 0.0)) for text in texts]

    score.asked = asked
    return score


def test_where_all_fit_nothing_is_weighed():
    near = nearness(b=1.0)
    made = choose([Rule(1, "a", "x"), Rule(2, "b", "x")], NOW, "rest", relevance=near)
    assert [one.reason for one in made] == ["fits", "fits"]
    assert near.asked == []
    assert "score" not in made[0].trace()


def test_where_not_all_fit_the_nearest_stay_and_the_always_kept():
    rules = [
        Rule(1, "a", "x" * 60, priority=90),
        Rule(2, "b", "x" * 60),
        Rule(3, "c", "x" * 60, always=True),
        Rule(4, "d", "x" * 60, channels=("twilio",)),
        Rule(5, "e", "x" * 60),
    ]
    near = nearness(b=0.4, e=0.9)
    made = choose(rules, NOW, "rest", 75, relevance=near)
    assert [(one.rule.number, one.reason, one.near.score) for one in made if one.chosen] == [
        (3, "always", 0.0),
        (5, "words", 0.9),
        (2, "words", 0.4),
    ]
    assert {one.rule.number: one.reason for one in made if not one.chosen} == {1: "unrelated", 4: "channel"}
    assert near.asked == [["c", "a", "b", "e"]]
    assert made[1].trace()["score"] == 0.9


def test_room_that_is_left_goes_by_priority():
    rules = [Rule(1, "a", "x" * 60), Rule(2, "b", "x" * 60, priority=60), Rule(3, "c", "x" * 60)]
    made = choose(rules, NOW, "rest", 55, relevance=nearness(c=0.1))
    assert [(one.rule.number, one.reason) for one in made if one.chosen] == [(3, "words"), (2, "fits")]


def test_of_two_that_exclude_each_other_the_nearer_is_told_alone():
    rules = [Rule(1, "a", "x" * 60, priority=90, excludes=(2,)), Rule(2, "b", "x" * 60), Rule(3, "c", "x" * 200)]
    made = choose(rules, NOW, "rest", 80, relevance=nearness(b=0.9))
    assert {one.rule.number: (one.reason, one.by) for one in made} == {
        2: ("words", 0),
        1: ("excluded", 2),
        3: ("unrelated", 0),
    }
