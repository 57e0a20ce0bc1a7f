"""Who may see the desk, of which business, and do what there.

Every view of the desk is wrapped in :func:`desk`, and gets a :class:`Seat`: nobody else turns a request into a business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.conversations.models import Conversation
from prosa.desk.models import SignedIn

CHOSEN = "prosa_business"
"""Where the session keeps which of their businesses a person looks at."""
FOR_BUSINESS = "for_business"
"""The field of a form that says of which business the page was it stands in (the filter ``of_business`` writes it)."""
ASK, SURE = "ask", "sure"
"""The fields of a form that cannot be undone: what is asked first (the tag ``ask`` writes it), and that the answer was yes."""
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
    if getattr(user, "is_superuser", False):
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


_noted: tuple[datetime | None, set[str]] = (None, set())


def noted(request: HttpRequest) -> None:
    """Write down that a session was used at the desk, to the hour, and once an hour from each process."""
    global _noted  # noqa: PLW0603  a memory of this process
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    if _noted[0] != hour:
        _noted = (hour, set())
    key = request.session.session_key
    if key and key not in _noted[1]:
        _noted[1].add(key)
        SignedIn.objects.filter(session_key=key).exclude(seen_at__gte=hour).update(seen_at=hour)


View = Callable[..., HttpResponseBase]


def trouble(request: HttpRequest, status: int, *, may_return: bool = True, **context: Any) -> HttpResponse:
    """A page of the desk that says what is not there (404), not allowed (403) or not to be kept (400, 409), and the way on."""
    if status == 400:
        title, text = (
            _("This cannot be kept"),
            _("The text holds a character no database keeps (NUL). Write it again without."),
        )
    elif status == 409:
        title, text = (
            _("Another business is open"),
            _("This page was of another business than the one you look at now. Nothing was changed."),
        )
    elif status == 404:
        title, text = _("Not here"), _("It was removed, or it belongs to another business of yours.")
    elif may_return:
        title, text = _("Not for your role"), _("An administrator of the business can do this, or change your role.")
    else:
        title, text = _("You work nowhere here yet"), _("Ask an administrator of the business to invite you.")
    context |= {"title": title, "text": text, "may_return": may_return}
    return render(request, "desk/trouble.html", context, status=status)


def _held_up(request: HttpRequest, place: Seat) -> HttpResponse | None:
    """Why what was sent is not done (yet): it cannot be stored, it is meant for another business, or nobody said they are sure."""
    given = request.POST
    if any("\x00" in text for name, texts in given.lists() for text in (name, *texts)):
        return trouble(request, 400)
    meant = given.get(FOR_BUSINESS, "")
    if meant and meant != str(place.business.pk):
        then = next((each for each in seats(request.user) if str(each.business_id) == meant), None)
        return trouble(request, 409, then=then, now=place)
    if given.get(ASK) and not given.get(SURE):
        before = request.headers.get("Referer", "")
        here = url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure())
        context = {
            "question": given[ASK],
            "kept": [(name, text) for name, texts in given.lists() if name != "csrfmiddlewaretoken" for text in texts],
            "back": before if here else reverse("desk:dashboard"),
        }
        return render(request, "desk/sure.html", context)
    return None


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
            if request.method == "POST" and (held_up := _held_up(request, place)) is not None:
                return held_up
            noted(request)
            try:
                return view(request, place, *args, **kwargs)
            except (PermissionDenied, Http404) as error:
                return trouble(request, 404 if isinstance(error, Http404) else 403)

        return seated

    return wrap
