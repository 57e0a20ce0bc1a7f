"""The page of a reply explains it to the owner of a shop, whatever its trace holds, and executes none of it."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.admin.test_conversations import page_of, say, think

from prosa.contacts.models import Fact
from prosa.conversations.traces import account, trace, tracing

TOLD = {
    "attempts": [
        {"model": "openai-chat:a", "ok": False, "ms": 30000, "status": "timeout", "error": "no answer within 30 s"},
        {"model": "openai-chat:b", "ok": True, "ms": 900, "error": "", "tools": 2, "input_tokens": 700, "output_tokens": 20},
        {"model": "openai-chat:b", "ok": False, "ms": 500, "error": "figures", "status": "ungrounded"},
        {"model": "openai-chat:b", "ok": True, "ms": 400, "error": "", "input_tokens": 800, "output_tokens": 30},
    ],
    "history": {"kept": 4, "dropped": 2, "tokens": 300},
    "guideline_version": 1,
    "sources": [5],
    "approved": [{"id": 5, "question": "Trocam?", "answer": "Sim.", "score": 0.4}],
    "tools": [
        {"tool": "search_knowledge", "arguments": {"query": "troca"}, "ok": True, "ms": 12.5, "result": "…"},
        {"tool": "order_status", "arguments": {"order": "A1", "api_key": "s3cr3t"}, "ok": False, "ms": 80, "result": "away"},
    ],
    "passages": [
        {"id": 9, "source": "Trocas.pdf, Prazos", "score": 0.83, "title": "Trocas.pdf", "section": "Prazos", "date": "2026-01-02",
         "url": "https://loja.example/trocas", "document": "trocas", "text": "A troca pode ser pedida em 30 dias. Ligue (11) 3333-4444."},
        {"id": 10, "source": "Fretes", "score": 0.5, "url": "javascript:alert(1)"},
    ],
    "rejected": [{"model": "openai-chat:b", "draft": "Custa R$ 30.", "figures": ["R$ 30"]}],
    "budget": {"step": "cheaper", "day_spent": "0.5", "limit": "day", "spent": "0.5"},
    "rules": [
        {"rule": 2, "when": "pedir troca", "chosen": True, "reason": "fits", "tokens": 9},
        {"rule": 5, "when": "natal", "chosen": False, "reason": "not_yet", "tokens": 9},
    ],
    "gates": [{"gate": "owner", "passed": True}, {"gate": "facts", "passed": True, "detail": "1"}],
    "handoff": {"reason": "keyword", "team": ""},
    "weather": {"sky": "clear"},
}  # fmt: skip
STAGES = {"queue_ms": 1500, "begin_ms": 4, "approved_ms": 3, "prompt_ms": 2, "model_ms": 31800, "total_ms": 31830}


@pytest.fixture
def reply(conversation):
    turn = think(
        conversation, model="openai-chat:b", input_tokens=1500, output_tokens=50, requests=3, cost=Decimal("0.00040000"), guideline_version=1,
        stages=STAGES, trace=TOLD,
    )  # fmt: skip
    say(conversation, "vocês trocam?", turn=turn)
    say(conversation, "Em até 30 dias.", bot=True, turn=turn)
    return turn


def address(turn, name="turn"):
    return reverse(f"admin:prosa_conversations_conversation_{name}", args=[turn.conversation_id, turn.pk])


def test_an_owner_reads_why(admin_client, reply, conversation):
    assert address(reply) in admin_client.get(page_of(conversation)).content.decode(), "the bubble leads there"
    page = admin_client.get(address(reply))
    assert page.context["account"].sentences == [
        "The customer asked: “vocês trocam?”.",
        "It used version 1 of the guidelines.",
        "This rule was applied: 2 (its dates and channel fit).",
        "It looked at 1 approved answer: “Trocam?”.",
        "It read 2 passages of the documents, the nearest in “Trocas.pdf”, section “Prazos” (2026-01-02).",
        "It tried “order status”, which did not work.",
        "A draft was refused because “R$ 30” stands in no source.",
        "To keep to the budget: Cheaper model. Answers come from the cheaper model.",
        "openai-chat:a gave no answer (no answer within 30 s).",
        "openai-chat:b answered in 31.8 s, with 3 requests, for US$ 0.00040.",
        "The conversation was passed to a person: the customer asked for a person.",
        "2 older messages were left out for lack of room.",
    ]
    shown = page.content.decode()
    assert "(11) 3333-4444" in shown, "the business's own words are shown as they were"
    assert "s3cr3t" not in shown
    assert 'href="https://loja.example/trocas"' in shown
    assert "javascript:" not in re.findall(r'href="([^"]*)"', shown.split("prosa-reply")[1])
    assert "weather" in shown
    assert [round(part.percent) for part in page.context["account"].parts] == [5, 0, 0, 0, 95, 0]
    version = reverse("admin:prosa_business_guideline_version", args=[conversation.business.guideline.pk, 1])
    assert version in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"outcome": "withheld", "draft": "Custa 5."}, "A person took over while the answer was being made"),
        ({"outcome": "superseded", "draft": "Custa 5."}, "this draft was dropped"),
        ({"outcome": "silent"}, "had nothing to say"),
        ({"outcome": "notice", "requests": 0}, "only a notice was sent"),
        ({"outcome": "failed", "error": "It broke."}, "The attempt to answer failed."),
        ({"model": "offline", "requests": 0, "trace": {"offline": "approved"}}, "The approved answer was said word by word"),
        ({"model": "offline", "requests": 0, "trace": {"offline": "passage"}}, "were quoted word by word"),
        ({"model": "offline", "requests": 0, "trace": {"offline": "unknown"}}, "said that it does not know"),
        ({"model": "", "requests": 0, "trace": {"handoff": {"reason": "budget"}}}, "the budget is used up"),
        ({"model": "m", "requests": 1, "cost": None}, "its price is not known"),
        ({"trace": {"specialist": {"name": "sales"}}}, "The specialist “sales” answered."),
        ({"trace": {"specialist": {"name": "support", "from": "sales", "reason": "it broke"}}}, "“sales” passed it on to “support”: it broke."),
        ({"trace": {"rejected": [{"outcomes": ["I booked it"]}]}}, "claimed what was not done: “I booked it”."),
        ({"trace": {"strict": "prices", "rejected": [{"strict": "prices"}]}}, "of “prices” only approved answers may be said"),
    ],
)  # fmt: skip
def test_every_ending_explains_itself(admin_client, conversation, fields, told):
    page = admin_client.get(address(think(conversation, **fields)))
    assert told in " ".join(page.context["account"].sentences)
    if fields.get("draft"):
        assert fields["draft"] in page.content.decode()


def test_what_was_remembered_is_shown_as_long_as_it_is(admin_client, conversation):
    facts = [
        Fact.objects.create(business=conversation.business, contact=conversation.contact, text=text, key=text)
        for text in ("wears size M", "lives in Recife")
    ]
    memory = {"facts": [fact.pk for fact in facts], "summary": "They asked about <b>parking</b>.", "through": 3}
    turn = think(conversation, model="openai-chat:b", requests=1, trace={"memory": memory})
    page = admin_client.get(address(turn))
    told = page.context["account"].sentences
    assert "It read a summary of what was said before." in told
    assert "It knew 2 facts the customer told earlier." in told
    shown = page.content.decode()
    assert "wears size M" in shown
    assert "They asked about &lt;b&gt;parking&lt;/b&gt;." in shown
    assert "erased since" not in shown
    facts[0].delete()
    page = admin_client.get(address(turn)).content.decode()
    assert "wears size M" not in page
    assert "erased since" in page
    exported = json.loads(admin_client.get(address(turn, "turn_export")).content)
    assert exported["memory"] == {
        "facts": [{"id": memory["facts"][0], "text": ""}, {"id": facts[1].pk, "text": "lives in Recife"}],
        "summary": "They asked about <b>parking</b>.", "through": 3,
    }  # fmt: skip


@pytest.mark.parametrize("language", ["pt-br", "es", "en"])
def test_in_every_language(admin_client, reply, language):
    page = admin_client.get(address(reply), headers={"accept-language": language})
    assert page.status_code == 200
    assert len(page.context["account"].sentences) == 12
    assert f'lang="{language}"' in page.content.decode()


def test_a_failed_delivery_is_told(admin_client, conversation):
    turn = think(conversation, model="m")
    say(conversation, "x", bot=True, turn=turn, status="failed", error_code="131047")
    assert "could not be delivered (131047)" in " ".join(admin_client.get(address(turn)).context["account"].sentences)


def test_the_export_has_the_documented_shape(admin_client, reply):
    response = admin_client.get(address(reply, "turn_export"))
    assert response.headers["Content-Disposition"] == f'attachment; filename="trace-{reply.pk}.json"'
    told = json.loads(response.content)
    assert set(told) == set(trace.Trace.model_fields)
    assert trace.Trace.model_validate(told).model_dump(mode="json") == told
    assert [said["text"] for said in told["question"]] == ["vocês trocam?"]
    assert told["usage"]["cost"] == "0.0004"
    assert told["passages"][0]["title"] == "Trocas.pdf"
    assert "s3cr3t" not in response.content.decode()


def test_only_for_those_who_may_and_only_where_it_belongs(client, staff, admin_client, reply, conversation):
    for name in ("turn", "turn_export"):
        assert "/login/" in client.get(address(reply, name)).headers.get("Location", "") or name
        other = reverse(f"admin:prosa_conversations_conversation_{name}", args=[conversation.pk + 1, reply.pk])
        assert admin_client.get(other).status_code == 404
        unknown = reverse(f"admin:prosa_conversations_conversation_{name}", args=[conversation.pk, 10**25])
        assert admin_client.get(unknown).status_code == 404
    assert staff().get(address(reply)).status_code == 403


class Seen(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(["<script>x</script>", "javascript:x", "\ud800", '" onload="x', "{{ x }}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from([*TOLD, "tool", "arguments", "score", "legs", "url", "text", "title", "rule", "reason"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip
odd = (
    st.dictionaries(st.sampled_from([*TOLD, "offline", "asked"]) | st.text(max_size=8), anything, max_size=8) | anything
)


@settings(max_examples=150, deadline=None)
@given(odd, odd, st.sampled_from(["answered", "withheld", "superseded", "notice", "<b>", ""]))
def test_any_json_renders_and_nothing_executes(stored, stages, outcome):
    turn = {"id": 1, "conversation_id": 1, "outcome": outcome, "trace": stored, "stages": stages, "model": "m", "requests": 1, "finished_at": datetime.now(UTC)}  # fmt: skip
    found = tracing.read(turn)
    found.model_dump_json().encode()
    with override("pt-br"):
        page = render_to_string("prosa/admin/trace.html", {"account": account.of(found)}, HttpRequest())
    page.encode()
    seen = Seen()
    seen.feed(page)
    assert {"script", "img", "iframe", "svg", "b"}.isdisjoint(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert all(re.match("https?://", value) for name, value in seen.attributes if name in {"href", "src"})


def test_the_reference_names_every_field():
    from tests.house.test_documents import ROOT

    page = (ROOT / "docs/reference/trace.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    schema = trace.Trace.model_json_schema()
    fields = set(schema["properties"]) | {name for part in schema["$defs"].values() for name in part["properties"]}
    assert fields - named == set()
