"""The words a business sorts its conversations by: made, renamed, coloured and removed by its administrators."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from prosa.business.people import Role
from prosa.conversations.models import LABEL_COLOURS, Label
from prosa.desk import audit
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, refused, show

MOST = 100
LONGEST = 40


@require_GET
@desk(Role.ADMIN)
def labels(request: HttpRequest, seat: Seat) -> HttpResponse:
    """All labels and how many conversations carry them."""
    rows = seat.business.labels.annotate(carried=Count("conversations"))
    return show(
        request, seat, "desk/labels.html", "labels", {"labels": rows, "colours": LABEL_COLOURS, "longest": LONGEST}
    )


@require_POST
@desk(Role.ADMIN)
def keep(request: HttpRequest, seat: Seat, label_id: int | None = None) -> HttpResponse:
    """Make a label, or change one: ``name`` and ``colour``."""
    label = Label(business=seat.business) if label_id is None else _label(seat, label_id)
    label.name = " ".join(request.POST.get("name", "").replace("\x00", "").split())
    colour = request.POST.get("colour", "")
    label.colour = colour if colour in dict(LABEL_COLOURS) else "grey"
    if not label.name or len(label.name) > LONGEST:
        return refused(request, _("A label has a name of at most %d characters.") % LONGEST, "labels")
    if label_id is None and seat.business.labels.count() >= MOST:
        return refused(request, _("More than %d labels help nobody. Remove one first.") % MOST, "labels")
    if seat.business.labels.filter(name__iexact=label.name).exclude(pk=label.pk).exists():
        return refused(request, _("There is a label of this name already."), "labels")
    try:
        with transaction.atomic():
            label.save()
            kind = "label_made" if label_id is None else "label_changed"
            audit.record(kind, seat.member.user, seat.business, label.name, request=request)
    except IntegrityError:  # a colleague was faster
        return refused(request, _("There is a label of this name already."), "labels")
    return done(request, _("Kept."), "labels")


@require_POST
@desk(Role.ADMIN)
def remove(request: HttpRequest, seat: Seat, label_id: int) -> HttpResponse:
    """Take a label off every conversation and forget it."""
    label = _label(seat, label_id)
    with transaction.atomic():
        audit.record("label_removed", seat.member.user, seat.business, label.name, request=request)
        label.delete()
    return done(request, _("Removed."), "labels")


def _label(seat: Seat, label_id: int) -> Label:
    found = seat.business.labels.filter(pk=label_id).first()
    if found is None:
        raise Http404
    return found
