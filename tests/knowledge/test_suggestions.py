"""What people answered, beside the approved answers that customers are given today."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from prosa.business.models import Business
from prosa.knowledge import suggestions
from prosa.knowledge.learned import Suggestion
from prosa.knowledge.models import ApprovedAnswer

pytestmark = pytest.mark.django_db
QUESTION, ANSWER = "Vocês consertam relógio antigo?", "Sim, consertamos relógios antigos na loja do centro."


@pytest.fixture
def business() -> Business:
    return Business.objects.create(name="Shop", slug="shop")


def propose(business: Business, answer: str = ANSWER) -> Suggestion:
    given = suggestions.Given(QUESTION, answer, "human", 1, Suggestion.objects.count() + 1, timezone.now())
    made = suggestions.propose(business.pk, given, lambda one, other: True)
    assert made is not None
    return made


def test_an_answer_that_is_given_already_is_a_duplicate(business: Business):
    ApprovedAnswer.objects.create(business=business, question=QUESTION, answer=ANSWER)
    assert propose(business).kind == Suggestion.Kind.DUPLICATE


@pytest.mark.parametrize("more", [{"valid_to": timezone.localdate() - timedelta(days=9)}, {"active": False}])
def test_one_that_is_given_no_more_is_no_reason_to_refuse_it(business: Business, more: dict[str, object]):
    ApprovedAnswer.objects.create(business=business, question=QUESTION, answer=ANSWER, **more)
    made = propose(business)
    assert (made.kind, made.status) == (Suggestion.Kind.NEW, Suggestion.Status.WAITING)


def test_what_went_out_of_force_before_the_approval_is_not_rewritten(business: Business):
    old = ApprovedAnswer.objects.create(business=business, question=QUESTION, answer="Não consertamos relógio nenhum.")
    made = propose(business)
    assert made.kind == Suggestion.Kind.REPLACES
    ApprovedAnswer.objects.update(active=False)
    fresh = suggestions.approve(made, None)
    assert (fresh.answer, fresh.active) == (ANSWER, True)
    old.refresh_from_db()
    assert old.answer == "Não consertamos relógio nenhum."
