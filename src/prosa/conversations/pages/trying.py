"""“Try it”: the page where guidelines are tried before anybody obeys them."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from prosa.business.models import Guideline, GuidelineDraft, Specialist
from prosa.channels import base
from prosa.conversations.guidelines import trying
from prosa.conversations.guidelines.trying import Tried, Version
from prosa.conversations.pages.frame import ReadOnlyAdmin
from prosa.conversations.traces import account
from prosa.errors import ProsaError

MOST_KEPT = 60_000
"""Characters of the earlier lines that a page carries along."""


class TryForm(forms.Form):
    """A customer's question, and who is to answer it how. ``exchanges`` are the earlier lines, kept by the page alone."""

    text = forms.CharField(
        label=_("Ask as a customer"),
        max_length=trying.MOST_TEXT,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True, "dir": "auto"}),
    )
    channel = forms.ChoiceField(label=_("Channel"))
    specialist = forms.ChoiceField(label=_("Specialist"), required=False)
    compare = forms.BooleanField(label=_("Beside what is in force"), required=False)
    exchanges = forms.CharField(required=False, max_length=2 * MOST_KEPT, widget=forms.HiddenInput)

    def __init__(self, *args: Any, channels: list[str], specialists: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"].choices = [(kind, kind) for kind in channels]  # type: ignore[attr-defined]  # a ChoiceField
        nobody = [("", gettext("whoever would get it"))]
        self.fields["specialist"].choices = [*nobody, *((name, name) for name in specialists)]  # type: ignore[attr-defined]

    def clean_exchanges(self) -> list[dict[str, str]]:
        """The earlier lines; what somebody made of them on the way is left out."""
        try:
            rows = json.loads(self.cleaned_data["exchanges"] or "[]")
        except (ValueError, RecursionError):
            return []
        return [
            {
                name: text
                for name, text in row.items()
                if name in ("asked", "draft", "published") and isinstance(text, str)
            }
            for row in (rows if isinstance(rows, list) else [])[-trying.MOST_EARLIER // 2 :]
            if isinstance(row, dict) and isinstance(row.get("asked"), str)
        ]


class TryPages(ReadOnlyAdmin):
    """The trial of a business's guidelines, beside the pages of its conversations."""

    def get_urls(self) -> list[URLPattern]:
        """Adds the trial."""
        own = path(
            "try/<int:guideline_id>/",
            self.admin_site.admin_view(self.try_view),
            name="prosa_conversations_conversation_try",
        )
        return [own, *super().get_urls()]

    def try_view(self, request: HttpRequest, guideline_id: int) -> HttpResponse:
        """Ask as a customer. POST asks; nothing is sent and no conversation is kept."""
        # It costs money, so who may only look may not ask.
        if not request.user.has_perm("prosa_business.change_guideline"):
            raise PermissionDenied
        guideline = Guideline.objects.select_related("business").filter(pk=guideline_id).first()
        if guideline is None:
            raise Http404
        draft = GuidelineDraft.objects.filter(guideline=guideline).first()
        choices = {"channels": _channels(guideline), "specialists": _specialists(guideline)}
        form, sides, exchanges = TryForm(**choices), [], []
        if request.method == "POST":
            form = TryForm(request.POST, **choices)
            if form.is_valid():
                exchanges = form.cleaned_data["exchanges"]
                sides = self._tried(form, guideline, has_draft=draft is not None)
            if sides:
                form = TryForm(
                    initial={**form.cleaned_data, "text": "", "exchanges": _kept(exchanges, sides)}, **choices
                )
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Try the guidelines of %(business)s") % {"business": guideline.business.name},
            "subtitle": None,
            "opts": self.opts,
            "guideline": guideline,
            "draft": draft,
            "form": form,
            "sides": sides,
            "back": reverse("admin:prosa_business_guideline_change", args=[guideline.pk]),
        }
        return TemplateResponse(request, "prosa/admin/try.html", context)

    def _tried(self, form: TryForm, guideline: Guideline, *, has_draft: bool) -> list[dict[str, Any]]:
        data = form.cleaned_data
        versions: list[Version] = ["draft"] if has_draft else ["published"]
        if has_draft and data["compare"]:
            versions.append("published")
        asked = [
            partial(
                trying.ask, guideline.business_id, data["text"], version=version, channel=data["channel"],
                specialist=data["specialist"], earlier=trying.earlier(data["exchanges"], version),
            )
            for version in versions
        ]  # fmt: skip
        try:
            found = trying.now(*asked)
        except ProsaError as error:
            form.add_error(None, gettext("The trial did not work: %(error)s") % {"error": error})
            return []
        return [_side(version, tried, data, guideline) for version, tried in zip(versions, found, strict=True)]


def _side(version: Version, tried: Tried, data: dict[str, Any], guideline: Guideline) -> dict[str, Any]:
    name = gettext("The draft") if version == "draft" else gettext("In force: version %(number)d") % {"number": guideline.version}  # fmt: skip
    return {
        "version": version,
        "name": name,
        "asked": data["text"],
        "earlier": trying.earlier(data["exchanges"], version),
        "tried": tried,
        "would": [(account.tool_name(one.tool), json.dumps(one.arguments, ensure_ascii=False, default=str), one.confirmed) for one in tried.would],
        "account": account.of(tried.trace),
    }  # fmt: skip


def _kept(exchanges: list[dict[str, str]], sides: list[dict[str, Any]]) -> str:
    """The earlier lines with the newest, the oldest left out where it becomes too much to carry."""
    rows = [*exchanges, {"asked": sides[0]["asked"], **{side["version"]: side["tried"].text for side in sides}}]
    while len(rows) > 1 and len(json.dumps(rows)) > MOST_KEPT:
        del rows[0]
    return json.dumps(rows)


def _channels(guideline: Guideline) -> list[str]:
    """The kinds of the business's inboxes; the REST API's where it has none yet."""
    known = base.registered()
    kinds = guideline.business.inboxes.order_by("kind").values_list("kind", flat=True).distinct()
    return [kind for kind in kinds if kind in known] or ["rest"]


def _specialists(guideline: Guideline) -> list[str]:
    rows = Specialist.objects.filter(business_id=guideline.business_id, active=True).order_by("position", "pk")
    return list(rows.values_list("name", flat=True))
