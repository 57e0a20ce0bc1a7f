"""Two contacts that are one person: merged because somebody says so, and exactly taken apart again.

Merging moves what the merged contact has (identities, conversations, facts, links to customers) to the one that is kept, so that everything which
looks a person up finds them without knowing of merges. Each row keeps the contact it came from (``origin_id``); whoever
is not merged has none. Undoing sends back what came from the merged contact, and what came since by one of its identities: a
conversation opened with it, a fact told there. What was written into a conversation stays in it.

- Replies go to whoever wrote last (``Conversation.writer_id``), never to another number of the merged person, and tools know
  that one's number alone.
- Both have an unresolved conversation on one inbox: refused, for people must say which of the two goes on.
- Who opted out or was blocked under one name is so under both. Undone, each is as before; what was set in between stays with both.
- The latest merge of a contact is undone first.
- Erasing a fact, or the contact, erases it under every name.

Lock order: merges of the business, the identities' advisory locks (which introductions take), conversations, contacts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from prosa import realtime
from prosa.business.models import Business
from prosa.contacts.links import LIVE, Link
from prosa.contacts.models import Contact, Fact, Identity, Merge
from prosa.conversations.acts.deeds import IdentityProof, PendingAction
from prosa.conversations.models import Conversation, Event, State
from prosa.errors import BadInput, NotAllowed

FLAGS = ("blocked_at", "opted_out_at")
FILLED = ("name", "locale")
"""What the kept contact takes from the merged one where it has none."""
MOST_TOLD = 20
"""Conversations of each side whose timelines tell of a merge, the newest."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What merging would move, and why it cannot be done (``refusal``, empty when it can)."""

    merged: Contact
    identities: Sequence[Identity]
    conversations: int
    facts: int
    stays_out: bool
    """Whether the kept contact would be opted out because the merged one is."""
    blocks: bool
    refusal: str = ""


def standing(business: Business) -> QuerySet[Contact]:
    """The contacts of a business without those that were merged into others."""
    gone = Merge.objects.filter(merged=OuterRef("pk"), undone_at=None)
    return Contact.objects.filter(~Exists(gone), business=business)


def merges(contact: Contact) -> list[Merge]:
    """What is merged into a contact now, the latest first: the first of them can be undone."""
    live = Merge.objects.filter(kept=contact, business_id=contact.business_id, undone_at=None)
    return list(live.select_related("merged", "user").order_by("-id"))


def preview(kept: Contact, merged: Contact) -> Preview:
    """What :func:`merge` would do now."""
    return Preview(
        merged,
        list(merged.identities.order_by("id")),
        Conversation.objects.filter(contact=merged, business_id=kept.business_id).count(),
        Fact.objects.filter(contact=merged, business_id=kept.business_id).count(),
        merged.opted_out_at is not None and kept.opted_out_at is None,
        merged.blocked_at is not None and kept.blocked_at is None,
        _refusal(kept, merged),
    )


def _refusal(kept: Contact, merged: Contact) -> str:
    if kept.pk == merged.pk:
        return _("This is the same contact.\nChoose another one.")
    if kept.business_id != merged.business_id:
        return _("This contact is of another business.\nChoose one of yours.")
    if Merge.objects.filter(merged__in=(kept, merged), undone_at=None).exists():
        return _("One of them was merged with somebody else a moment ago.\nReload the page.")
    mine = Conversation.objects.filter(contact=kept).exclude(state=State.RESOLVED)
    open_ = Conversation.objects.filter(contact=merged, inbox__in=mine.values("inbox")).exclude(state=State.RESOLVED)
    clash = open_.select_related("inbox").first()
    if clash is not None:
        return _("Both have an open conversation on %s.\nResolve one of the two, then merge.") % clash.inbox
    return ""


def merge(kept: Contact, merged: Contact, user: Any) -> Merge:
    """From now on ``merged`` is ``kept``.

    :raises NotAllowed: it cannot be; the message says what to do.
    """
    try:
        with transaction.atomic():
            return _merge(kept, merged, user)
    except IntegrityError:  # a conversation was re-opened in between; the constraint is the last word
        raise NotAllowed(_("Something changed a moment ago.\nLook again, then merge.")) from None


def _merge(kept: Contact, merged: Contact, user: Any) -> Merge:
    business = kept.business_id
    rows = _hold(business, (kept.pk, merged.pk))
    if set(rows) != {kept.pk, merged.pk} and kept.pk != merged.pk:
        raise NotAllowed(_("This contact is not there any more.\nReload the page."))
    kept, merged = rows[kept.pk], rows[merged.pk]
    if refusal := _refusal(kept, merged):
        raise NotAllowed(refusal)
    before = _state(kept)
    for name in FLAGS:
        setattr(kept, name, getattr(kept, name) or getattr(merged, name))
    for name in FILLED:
        setattr(kept, name, getattr(kept, name) or getattr(merged, name))
    kept.save(update_fields=[*FLAGS, *FILLED])
    last_fact = Fact.objects.filter(contact__in=(kept, merged)).aggregate(last=Max("id"))["last"] or 0
    own = Coalesce(F("origin_id"), merged.pk)
    ids = list(Conversation.objects.filter(contact=merged).values_list("pk", flat=True))
    known = Fact.objects.filter(contact=kept, key=OuterRef("key"))
    moved = {
        "identities": Identity.objects.filter(contact=merged).update(contact=kept, origin_id=own),
        "conversations": Conversation.objects.filter(pk__in=ids).update(
            contact=kept, origin_id=own, writer_id=Coalesce(F("writer_id"), merged.pk)
        ),
        # What both told stays below the merged name too, and comes back when this is undone.
        "facts": Fact.objects.filter(~Exists(known), contact=merged).update(contact=kept, origin_id=own),
    }
    linked = Link.objects.filter(contact=kept, kind=OuterRef("kind"), status=LIVE)
    Link.objects.filter(~Exists(linked) | ~Q(status=LIVE), contact=merged).update(contact=kept, origin_id=own)
    _follow(ids, kept.pk)
    made = Merge.objects.create(
        business_id=business, kept=kept, merged=merged, user=user, before=before, after=_state(kept),
        moved=moved, last_fact=last_fact,
    )  # fmt: skip
    _tell("merged", kept, merged, user, ids)
    return made


def undo(found: Merge, user: Any) -> None:
    """Two contacts again, as they were and with what each got since.

    :raises NotAllowed: it was undone already, or another merge must be undone before.
    """
    with transaction.atomic():
        _undo(found, user)


def _undo(found: Merge, user: Any) -> None:
    rows = _hold(found.business_id, (found.kept_id, found.merged_id))
    live = Merge.objects.filter(business_id=found.business_id, undone_at=None)
    row = live.filter(pk=found.pk).first()
    if row is None:
        raise NotAllowed(_("This was undone already.\nReload the page."))
    kept, merged = rows[row.kept_id], rows[row.merged_id]
    later = live.filter(Q(kept=kept, pk__gt=row.pk) | Q(merged=kept)).select_related("merged", "kept").last()
    if later is not None:
        other = later.merged if later.kept_id == kept.pk else later.kept
        raise NotAllowed(_("It was merged with %s later.\nUndo that first.") % other)
    side = merged.names()
    theirs = Q(origin_id__in=side)
    home = NullIf(F("origin_id"), merged.pk)
    ids = list(Conversation.objects.filter(theirs, contact=kept).values_list("pk", flat=True))
    identities = Identity.objects.filter(theirs, contact=kept)
    keys = list(identities.values_list("key", flat=True))
    identities.update(contact=merged, origin_id=home)
    # Also a customer they were linked to since, by what one of these identities proved.
    since = Q(origin_id=None, created_at__gt=row.created_at, proof__in=keys)
    linked = Link.objects.filter(contact=merged, kind=OuterRef("kind"), status=LIVE)
    Link.objects.filter(theirs | since, ~Exists(linked) | ~Q(status=LIVE), contact=kept).update(
        contact=merged, origin_id=home
    )
    # What was told since, in a conversation that goes back; what they know already is not told twice.
    told = Q(origin_id=None, pk__gt=row.last_fact, conversation_id__in=ids)
    known = Fact.objects.filter(contact=merged, key=OuterRef("key"))
    Fact.objects.filter(theirs | told, Exists(known), contact=kept).delete()
    Fact.objects.filter(theirs | told, contact=kept).update(contact=merged, origin_id=home)
    here = Conversation.objects.filter(contact=kept)
    here.filter(~Q(pk__in=ids), writer_id__in=side).update(writer_id=F("origin_id"))
    back = Conversation.objects.filter(pk__in=ids)
    back.filter(Q(writer_id=None) | ~Q(writer_id__in=side)).update(writer_id=F("origin_id"))
    back.update(contact=merged, origin_id=home, writer_id=NullIf(F("writer_id"), merged.pk))
    _follow(ids, merged.pk)
    _restore(row, kept, merged)
    row.undone_at, row.undone_by = timezone.now(), user
    row.save(update_fields=["undone_at", "undone_by"])
    _tell("unmerged", kept, merged, user, ids)


def _restore(row: Merge, kept: Contact, merged: Contact) -> None:
    """What merging changed of the kept contact is as before; what people changed since stays, and an opt-out or a block of that
    time holds for both, for nobody knows whose it was.
    """
    now = _state(kept)
    for name in (*FLAGS, *FILLED):
        if now[name] == row.after[name]:
            value = row.before[name]
            setattr(kept, name, parse_datetime(value) if value and name in FLAGS else value)
        elif name in FLAGS and now[name]:
            setattr(merged, name, getattr(merged, name) or getattr(kept, name))
    kept.save(update_fields=[*FLAGS, *FILLED])
    merged.save(update_fields=[*FLAGS])


def _state(contact: Contact) -> dict[str, str | None]:
    def said(value: datetime | str | None) -> str | None:
        return value.isoformat() if isinstance(value, datetime) else value

    return {name: said(getattr(contact, name)) for name in (*FLAGS, *FILLED)}


def _hold(business: int, pks: Iterable[int]) -> dict[int, Contact]:
    """Lock two contacts and everything that is moved with them; the rows as they are then."""
    pks = set(pks)
    keys: set[str] = set()
    with connection.cursor() as hand:
        hand.execute("SELECT pg_advisory_xact_lock(hashtextextended('merges', %s))", [business])
        # Who is being introduced may get another identity while we wait: look again until there is none.
        while fresh := set(Identity.objects.filter(contact__in=pks).values_list("key", flat=True)) - keys:
            keys |= fresh
            for key in sorted(fresh):
                hand.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [key, business])
    talks = Conversation.objects.filter(contact__in=pks, business_id=business)
    list(talks.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True))
    people = Contact.objects.filter(pk__in=pks, business_id=business)
    return {each.pk: each for each in people.select_for_update(no_key=True).order_by("pk")}


def _follow(conversations: Sequence[int], contact: int) -> None:
    """What waits for a customer's yes, and what they proved, goes with the conversation."""
    for model in (PendingAction, IdentityProof):
        model.objects.filter(conversation_id__in=conversations).update(contact_id=contact)


def _tell(kind: str, kept: Contact, merged: Contact, user: Any, moved: Sequence[int]) -> None:
    """A line on the timelines of both, and everybody who looks sees it at once."""
    actor = f"user:{user.pk}" if user is not None else "system"
    talks = Conversation.objects.filter(business_id=kept.business_id).order_by("-pk")
    theirs = list(talks.filter(pk__in=moved).values_list("pk", flat=True)[:MOST_TOLD])
    own = list(talks.filter(contact=kept).exclude(pk__in=moved).values_list("pk", flat=True)[:MOST_TOLD])
    lines = [(pk, kept) for pk in theirs] + [(pk, merged) for pk in own]
    Event.objects.bulk_create(
        Event(conversation_id=pk, business_id=kept.business_id, kind=kind, actor=actor, data={"contact": str(other)})
        for pk, other in lines
    )
    for pk, _other in lines:
        realtime.publish("conversation", pk)


def contact_of(business: Business, pk: int) -> Contact:
    """A contact to merge with.

    :raises BadInput: there is none of that number.
    """
    found = standing(business).filter(pk=pk).first()
    if found is None:
        raise BadInput(_("This contact is not there any more.\nReload the page."))
    return found
