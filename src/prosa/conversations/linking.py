"""Contact ↔ customer: who a contact is in the registers that plug-ins and the host project offer (``hookspecs.customer_registers``).

What a register has on record is compared with what the contact *proved*: the telephone number a channel vouches for, the e-mail
address a code was sent to, the id the business's own site signed. One customer that matches is suggested, or linked at once where the business wants it; of several
none is ever guessed. People may link by hand, undo, and say "not this one", which is never suggested again.

Registers wait on networks: they are asked in threads, given up after :data:`PATIENCE_S`, and what they said is kept for a minute.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db import connection as django_connection
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa import phones, realtime, sql
from prosa.business.models import Business
from prosa.channels import base
from prosa.contacts.links import DECLINED, LIVE, UNDONE, How, Link
from prosa.contacts.models import Contact
from prosa.contracts import Candidate, CustomerRegister, Profile
from prosa.contracts import Identity as Known
from prosa.conversations.acts.deeds import IdentityProof
from prosa.conversations.models import Conversation, Event
from prosa.errors import NotAllowed, TemporaryError
from prosa.plugins import manager
from prosa.postgres.connections import Pool, fetch_one
from prosa.queue import periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "linking.sql")
Found = TypeVar("Found")

PATIENCE_S = 5.0
KEPT_S = 60
MOST = 20
"""Candidates of one register that are looked at."""
NEW = timedelta(minutes=15)
"""How long after a conversation began, or something was proved in it, its contact is linked by itself."""
MOST_AT_ONCE = 50
LONGEST = 200

_threads = ThreadPoolExecutor(8, thread_name_prefix="prosa registers")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Somebody a contact may be. ``how`` is empty where nothing proves it; ``proof`` the identity that does."""

    register: CustomerRegister
    candidate: Candidate
    how: str = ""
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What the registers said; ``silent`` are the names of those that did not answer."""

    found: Sequence[Suggestion]
    silent: Sequence[str] = ()

    def certain(self, kind: str) -> Suggestion | None:
        """The only one of a register that is proved, if it is the only one."""
        proved = [each for each in self.found if each.register.kind == kind and each.how]
        return proved[0] if len(proved) == 1 else None


# ── registers ─────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def registers() -> dict[str, CustomerRegister]:
    """What plug-ins offer, by kind. Read once a process; what cannot be used is left out."""
    found: dict[str, CustomerRegister] = {}
    for each in manager().hook.customer_registers.get_hookimpls():
        try:
            function: Any = each.function
            offered = list(function())
        except Exception:
            log.exception("The customer registers of %s are left out.", each.plugin_name)
            continue
        for one in offered:
            if isinstance(one, CustomerRegister) and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", one.kind):
                found.setdefault(one.kind, one)
            else:
                log.error("A customer register of %s is left out: its kind cannot be used.", each.plugin_name)
    return found


def _asked(register: CustomerRegister, ask: Callable[[], Found]) -> Found:
    """What a register answers.

    :raises TemporaryError: it did not, or not in time.
    """
    try:
        return ask() if register.local else _threads.submit(_aside, ask).result(PATIENCE_S)
    except TooSlow:
        raise TemporaryError(_("%s did not answer in time.\nTry again in a while.") % register.name) from None
    except Exception as error:
        log.warning("The register %s failed (%s)", register.kind, type(error).__name__)
        raise TemporaryError(_("%s could not be asked.\nTry again in a while.") % register.name) from error


def _aside(ask: Callable[[], Found]) -> Found:
    try:
        return ask()
    finally:
        django_connection.close()


def profile(link: Link) -> Profile | None:
    """What its register knows of a linked customer; None where it tells nothing. Kept for :data:`KEPT_S`.

    :raises TemporaryError: it did not answer.
    """
    register = registers().get(link.kind)
    if register is None or register.profile is None:
        return None
    ask, name = register.profile, f"prosa:customer:{link.business_id}:{link.kind}:{link.key}"
    kept: tuple[Profile | None] | None = cache.get(name)
    if kept is None:
        kept = (_asked(register, lambda: ask(link.business_id, link.key)),)
        cache.set(name, kept, KEPT_S)
    return kept[0]


def search(contact: Contact, kind: str, words: str) -> list[Suggestion]:
    """Customers of one register that words of a person may mean.

    :raises TemporaryError: it did not answer.
    """
    register = registers().get(kind)
    if register is None or register.search is None or not words.strip():
        return []
    ask = register.search
    found = _asked(register, lambda: list(ask(contact.business_id, words.strip()[:LONGEST]))[:MOST])
    return [_judged(register, each, proved(contact)) for each in found]


# ── what is proved ────────────────────────────────────────────────────────────────────────────────


def proved(contact: Contact) -> dict[str, str]:
    """Identities (``kind:value``) that the contact proved, with how: see :class:`~prosa.contacts.links.How`."""
    found: dict[str, str] = {}
    talks = Conversation.objects.filter(contact=contact, business_id=contact.business_id)
    known = list(contact.identities.order_by("id"))
    vouching = [kind for kind, each in base.registered().items() if each.proves_number]
    sides = set(talks.filter(inbox__kind__in=vouching).values_list("origin_id", flat=True).distinct())
    for each in known:
        if each.kind == "phone" and each.origin_id in sides:
            found[each.key] = How.PROVED_PHONE
        elif each.kind == "signed":
            found[each.key] = How.SIGNED
    done = IdentityProof.objects.filter(
        conversation__in=talks, contact_id=contact.pk, way="email_code", status="proved"
    )
    for began in done.values_list("conversation__created_at", flat=True):
        # The code went to the first address known before the conversation: see acts.proving.
        sent = next((each for each in known if each.kind == "email" and each.created_at < began), None)
        if sent is not None:
            found[sent.key] = How.PROVED_EMAIL
    return found


def _judged(register: CustomerRegister, candidate: Candidate, known: dict[str, str]) -> Suggestion:
    for key, how in known.items():
        _kind, _colon, value = key.partition(":")
        if how == How.PROVED_PHONE and phones.same(value, candidate.phone):
            return Suggestion(register, candidate, how, key)
        if how == How.SIGNED and value == candidate.key:
            return Suggestion(register, candidate, how, key)
        if how == How.PROVED_EMAIL and candidate.email and value.casefold() == candidate.email.strip().casefold():
            return Suggestion(register, candidate, how, key)
    return Suggestion(register, candidate)


def suggestions(contact: Contact) -> Suggestions:
    """Whom the contact may be, in every register where they are nobody yet, without those that were declined."""
    past = list(Link.objects.filter(contact=contact, business_id=contact.business_id))
    linked = {each.kind for each in past if each.status == LIVE}
    declined = {(each.kind, each.key) for each in past if each.status == DECLINED}
    ways = [Known(each.kind, each.value, each.address) for each in contact.identities.order_by("id")]
    known = proved(contact)
    found: list[Suggestion] = []
    silent: list[str] = []
    for register in registers().values():
        if register.kind in linked or not ways:
            continue
        try:
            offered = _found(register, contact.business_id, ways)
        except TemporaryError:
            silent.append(register.name)
            continue
        seen = {each.key: each for each in offered if (register.kind, each.key) not in declined}
        found += [_judged(register, each, known) for each in seen.values()]
    return Suggestions(sorted(found, key=lambda each: not each.how), silent)


def _found(register: CustomerRegister, business: int, ways: Sequence[Known]) -> list[Candidate]:
    known = hashlib.sha256(repr([(each.kind, each.value) for each in ways]).encode()).hexdigest()
    name = f"prosa:candidates:{business}:{register.kind}:{known}"
    kept: list[Candidate] | None = None if register.local else cache.get(name)
    if kept is None:
        kept = _asked(register, lambda: list(register.find(business, ways))[:MOST])
        if not register.local:
            cache.set(name, kept, KEPT_S)
    return kept


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


def links(contact: Contact) -> list[Link]:
    """Whom the contact is linked to now."""
    live = Link.objects.filter(contact=contact, business_id=contact.business_id, status=LIVE)
    return list(live.select_related("user"))


def link(contact: Contact, kind: str, key: str, label: str, user: Any, *, how: str = "", proof: str = "") -> Link:
    """The contact is this customer, ``user`` says; None: the business lets proved ones be linked by themselves.

    :raises NotAllowed: they are linked in this register already; without a user also when another contact is, or when it
        was undone or declined before.
    """
    with transaction.atomic():
        held = Contact.objects.select_for_update(no_key=True).filter(pk=contact.pk, business_id=contact.business_id)
        if not held.exists():
            raise NotAllowed(_("This contact is not there any more.\nReload the page."))
        same = Link.objects.filter(business_id=contact.business_id, kind=kind, key=key)
        if user is None and (same.filter(status=LIVE) | same.filter(contact=contact)).exists():
            raise NotAllowed(_("Somebody must look at this.\nLink them by hand."))
        try:
            with transaction.atomic():
                made = Link.objects.create(
                    business_id=contact.business_id, contact=contact, kind=kind, key=key, label=label[:LONGEST],
                    how=how or How.BY_HAND, proof=proof, user=user, automatic=user is None,
                )  # fmt: skip
        except IntegrityError:
            raise NotAllowed(_("They are linked already.\nUndo that first.")) from None
        same.filter(contact=contact, status=DECLINED).update(status=UNDONE)
        _tell("linked", made, user)
    return made


def unlink(found: Link, user: Any) -> None:
    """Undo a link. That it was there is kept.

    :raises NotAllowed: it was undone already.
    """
    with transaction.atomic():
        done = Link.objects.filter(pk=found.pk, status=LIVE).update(
            status=UNDONE, ended_at=timezone.now(), ended_by=user
        )
        if not done:
            raise NotAllowed(_("This was undone already.\nReload the page."))
        _tell("unlinked", found, user)


def decline(contact: Contact, kind: str, key: str, label: str, user: Any) -> None:
    """“Not this one”: never suggested for this contact again."""
    Link.objects.get_or_create(
        business_id=contact.business_id, contact=contact, kind=kind, key=key, status=DECLINED,
        defaults={"label": label[:LONGEST], "user": user},
    )  # fmt: skip


def _tell(kind: str, link: Link, user: Any) -> None:
    """A line on the timeline of the contact's latest conversation."""
    latest = (
        Conversation.objects.filter(contact_id=link.contact_id, business_id=link.business_id).order_by("-pk").first()
    )
    if latest is None:
        return
    register = registers().get(link.kind)
    data = {"customer": link.label, "register": str(register.name) if register else link.kind, "how": link.how}
    actor = f"user:{user.pk}" if user is not None else "system"
    Event.objects.create(conversation=latest, business_id=link.business_id, kind=kind, actor=actor, data=data)
    realtime.publish("conversation", latest.pk)


def consider(contact: Contact) -> list[Link]:
    """Link a contact by itself, in each register where exactly one customer is proved to be them."""
    made = []
    told = suggestions(contact)
    for kind in {each.register.kind for each in told.found}:
        sure = told.certain(kind)
        if sure is None:
            continue
        try:
            made.append(
                link(contact, kind, sure.candidate.key, sure.candidate.label, None, how=sure.how, proof=sure.proof)
            )
        except NotAllowed:
            continue
    return made


@periodic("* * * * *")
def link_new() -> None:
    """Contacts who began a conversation or proved who they are lately, where their business lets proved ones be linked by themselves."""
    if not registers():
        return
    linked = Link.objects.filter(status=LIVE).values("contact")
    for business in Business.objects.filter(active=True, link_customers=True):
        since = timezone.now() - NEW
        lately = Q(created_at__gt=since) | Q(proofs__status="proved", proofs__created_at__gt=since)
        begun = Conversation.objects.filter(lately, business=business)
        people = Contact.objects.filter(pk__in=begun.values("contact"), business=business).exclude(pk__in=linked)
        for contact in people.order_by("-pk")[:MOST_AT_ONCE]:
            consider(contact)


def for_tools(pool: Pool, business_id: int, contact_id: int) -> Callable[[str], Any]:
    """``Caller.linked`` of a contact: looked up when a tool asks, so that a turn without such tools pays nothing."""

    async def linked(kind: str) -> str:
        async with pool.connection() as connection:
            row = await fetch_one(
                connection, queries.key, {"business_id": business_id, "contact_id": contact_id, "kind": kind}
            )
        return str(row[0]) if row else ""

    return linked
