"""The life of guidelines: draft, publish, roll back.

A version, once published, never changes: the database refuses it. ``Guideline`` holds a copy of the version in force,
which is what a turn reads. Every function locks the guideline's row, and says what it expected to find there; when
somebody else was faster it raises ``Outdated`` and changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.translation import gettext as _

from prosa.business.models import Guideline, GuidelineDraft, GuidelineVersion
from prosa.errors import ProsaError

Rows = list[dict[str, Any]]
User = AbstractBaseUser | AnonymousUser | None


class Outdated(ProsaError):
    """Somebody else saved or published first. Look at what they wrote, then save again."""


def save_draft(guideline: Guideline, text: str, rules: Rows, revision: int, in_force: int, by: User) -> GuidelineDraft:
    """Keep ``text`` and ``rules`` as the draft.

    ``revision`` is that of the draft one began from; 0 = there was none, and one began from version ``in_force``.
    Raises ``Outdated`` when the stored draft is of another revision, or a new one would begin from an old version.
    """
    with transaction.atomic():
        held, draft = _hold(guideline, revision)
        if draft is None:
            if held.version != in_force:
                raise Outdated(_("Another version was published meanwhile.\nCompare the two texts, then save again."))
            draft = GuidelineDraft(guideline=held, based_on=held.version)
        elif (draft.text, draft.rules) == (text, rules):
            return draft
        held.revisions += 1
        held.save(update_fields=["revisions"])
        draft.text, draft.rules, draft.revision = text, rules, held.revisions
        draft.updated_by_id = by.pk if by else None
        draft.save()
        return draft


def discard_draft(guideline: Guideline, revision: int) -> None:
    """Forget the draft. Raises ``Outdated`` when it is of another revision."""
    with transaction.atomic():
        _held, draft = _hold(guideline, revision)
        if draft is not None:
            draft.delete()


def publish_draft(guideline: Guideline, revision: int, in_force: int, note: str, by: User) -> GuidelineVersion:
    """Make the draft the version in force: the next reply obeys it. ``in_force`` is the version the publisher saw.

    Raises ``Outdated`` when the draft or the version in force is another, or when there is no draft.
    """
    with transaction.atomic():
        held, draft = _hold(guideline, revision)
        if draft is None or held.version != in_force:
            raise Outdated(_("Another version was published meanwhile.\nCompare it with your draft, then publish."))
        made = held.publish(draft.text, draft.rules, note, by)
        draft.delete()
        return made


def roll_back(guideline: Guideline, number: int, in_force: int, note: str, by: User) -> GuidelineVersion:
    """Publish version ``number`` again, as a new version. The draft, if any, stays.

    Raises ``Outdated`` when the version in force is not ``in_force``; ``GuidelineVersion.DoesNotExist``.
    """
    with transaction.atomic():
        held = Guideline.objects.select_for_update().get(pk=guideline.pk)
        if held.version != in_force:
            raise Outdated(_("Another version was published meanwhile.\nLook at it before rolling back."))
        old = held.versions.get(number=number)
        return held.publish(old.text, old.rules, note, by)


def _hold(guideline: Guideline, revision: int) -> tuple[Guideline, GuidelineDraft | None]:
    held = Guideline.objects.select_for_update().get(pk=guideline.pk)
    draft = GuidelineDraft.objects.filter(guideline=held).first()
    if (draft.revision if draft else 0) != revision:
        raise Outdated(_("Somebody else changed the draft meanwhile.\nCompare the two texts, then save again."))
    return held, draft
