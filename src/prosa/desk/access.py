"""Who may see the desk, of which business, and do what there.

Every view of the desk is wrapped in :func:`desk`, and gets a :class:`Seat`: nobody else turns a request into a business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.conversations.models import Conversation

CHOSEN = "prosa_business"
"""Where the session keeps which of their businesses a person looks at."""
SECOND_STEP = "prosa_second_step"
"""Set in the session of whoever gave the password and still owes the code of their second step: nothing is shown to them."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A person at the desk of one business."""

    member: Membership
    business: Business

    def may(self, role: Role) -> bool:
        """Is this person allowed what ``role`` is allowed?"""
        return self.member.may(role)

    @property
    def actor(self) -> str:
        """As timelines name them."""
        return f"user:{self.member.user_id}"

    def conversation(self, pk: int) -> Conversation:
        """One of this business's conversations.

        :raises Http404: there is none of that number here.
        """
        found = (
            Conversation.objects.select_related("contact", "inbox", "business", "assignee__user", "team")
            .filter(business=self.business, pk=pk)
            .first()
        )
        if found is None:
            raise Http404
        return found


def seats(user: Any) -> list[Membership]:
    """Where this user works. A superuser works everywhere, and gets an owner's place where they have none."""
    mine = {
        each.business_id: each
        for each in Membership.objects.filter(user=user, left_at=None).select_related("business", "user")
    }
    if user.is_superuser:
        for business in Business.objects.exclude(pk__in=mine):
            made, _new = Membership.objects.get_or_create(
                business=business, user=user, defaults={"role": Role.OWNER, "capacity": 0}
            )
            if made.left_at is None:
                mine[business.pk] = made
    return sorted(mine.values(), key=lambda each: (each.business.name, each.business_id))


def seat_of(request: HttpRequest) -> Seat | None:
    """The place of whoever is signed in, in the business they chose, else their first. None: they work nowhere."""
    if SECOND_STEP in request.session:
        return None
    places = seats(request.user)
    chosen = request.session.get(CHOSEN)
    place = next((each for each in places if each.business_id == chosen), places[0] if places else None)
    return Seat(place, place.business) if place else None


View = Callable[..., HttpResponseBase]


def trouble(request: HttpRequest, status: int, *, may_return: bool = True) -> HttpResponse:
    """A page of the desk that says what is not there (404) or not allowed (403), and the way on."""
    if status == 404:
        title, text = _("Not here"), _("It was removed, or it belongs to another business of yours.")
    elif may_return:
        title, text = _("Not for your role"), _("An administrator of the business can do this, or change your role.")
    else:
        title, text = _("You work nowhere here yet"), _("Ask an administrator of the business to invite you.")
    context = {"title": title, "text": text, "may_return": may_return}
    return render(request, "desk/trouble.html", context, status=status)


def desk(role: Role = Role.VIEWER) -> Callable[[View], View]:
    """A view of the desk, for members with at least ``role``. The view gets the request and the :class:`Seat`.

    Who is not signed in goes to the sign-in page (a fragment of a page is told so by its status, 401); who works nowhere
    gets 403.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def seated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated or SECOND_STEP in request.session:
                door = reverse("desk:second" if request.user.is_authenticated else "desk:login")
                if request.headers.get("HX-Request"):
                    return HttpResponse(status=401, headers={"HX-Redirect": door})
                return redirect_to_login(request.get_full_path(), door)
            place = seat_of(request)
            if place is None or not place.may(role):
                return trouble(request, 403, may_return=place is not None)
            try:
                return view(request, place, *args, **kwargs)
            except (PermissionDenied, Http404) as error:
                return trouble(request, 404 if isinstance(error, Http404) else 403)

        return seated

    return wrap
