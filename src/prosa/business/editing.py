"""The page of a business's guidelines in the admin: the draft, what is in force, and every version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from prosa.business import publishing
from prosa.business.comparing import compare
from prosa.business.drafting import DraftForm, RuleForm, RuleForms, rows_of
from prosa.business.guidance import Rule, conflicts
from prosa.business.models import Guideline, GuidelineDraft, GuidelineVersion
from prosa.business.pages import register
from prosa.errors import ProsaError

SHOWN_VERSIONS = 100
CONFLICTS = {
    "contradiction": _("Rules %(first)d and %(second)d say different things for the same “when”."),
    "mutual": _("Rules %(first)d and %(second)d leave each other out: only rule %(first)d will ever be used."),
    "powerless": _("Rule %(first)d leaves out rule %(second)d, which comes before it: that has no effect."),
    "unknown": _("Rule %(first)d leaves out rule %(second)d, which is not one of the others."),
    "dates": _("Rule %(first)d ends before it begins: it never applies."),
}


def readable(text: str, rows: Sequence[dict[str, Any]]) -> str:
    """Text and rules as one text to read and compare."""
    return "\n\n".join(filter(None, [text.rstrip("\n"), *(_in_words(Rule.read(row)) for row in rows)]))


def _in_words(rule: Rule) -> str:
    more = [gettext("priority %(number)d") % {"number": rule.priority}]
    more += [] if rule.active else [gettext("switched off")]
    more += [gettext("always in the prompt")] if rule.always else []
    more += [gettext("from %(day)s") % {"day": date_format(rule.begins, "SHORT_DATE_FORMAT")}] if rule.begins else []
    more += [gettext("until %(day)s") % {"day": date_format(rule.ends, "SHORT_DATE_FORMAT")}] if rule.ends else []
    more += [gettext("only on %(channels)s") % {"channels": ", ".join(rule.channels)}] if rule.channels else []
    more += [gettext("only as %(names)s") % {"names": ", ".join(rule.specialists)}] if rule.specialists else []
    more += [_call(rule)] if rule.calls else []
    more += (
        [gettext("leaves out rules %(numbers)s") % {"numbers": ", ".join(map(str, rule.excludes))}]
        if rule.excludes
        else []
    )
    said = gettext("Rule %(number)d. When %(when)s\nthen %(then)s\n(%(more)s)")
    return said % {"number": rule.number, "when": rule.when, "then": rule.then, "more": "; ".join(more)}


def _call(rule: Rule) -> str:
    said = gettext("calls a person of %(team)s") % {"team": rule.team} if rule.team else gettext("calls a person")
    words = gettext("for certain at: %(words)s") % {"words": "; ".join(rule.words)} if rule.words else ""
    return f"{said}, {words}" if words else said


def warnings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What an editor should look at again, in words."""
    return [str(CONFLICTS[one.kind]) % {"first": one.first, "second": one.second} for one in conflicts(rows)]


def state(guideline: Guideline) -> str:
    """Which version is in force since when, and by whom."""
    who = guideline.updated_by.get_username() if guideline.updated_by else "—"
    when = date_format(timezone.localtime(guideline.updated_at), "SHORT_DATETIME_FORMAT")
    said = gettext("Version %(version)s, %(when)s, by %(who)s. Applied to the very next reply.")
    return said % {"version": guideline.version, "when": when, "who": who}


@register(Guideline)
class GuidelineAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Guidelines are drafted, published and rolled back here, never overwritten."""

    list_display = ("business", "version", "shown_draft", "updated_at", "updated_by")
    list_select_related = ("business", "updated_by", "draft")
    search_fields = ("business__name",)
    ordering = ("business__name",)
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come with their business."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Guideline | None = None) -> bool:
        """They go with their business, and are deleted in no other way: see ``delete_view``."""
        return bool(request.user.has_perm("prosa_business.delete_business"))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Nobody's."""
        raise PermissionDenied

    @admin.display(description=_("draft"), empty_value="—")
    def shown_draft(self, guideline: Guideline) -> str:
        """Whether something is being written."""
        return str(_("in progress")) if hasattr(guideline, "draft") else ""

    def get_urls(self) -> list[URLPattern]:
        """Adds the page of a version."""
        wrapped = self.admin_site.admin_view(self.version_view)
        name = "prosa_business_guideline_version"
        return [path("<int:guideline_id>/versions/<int:number>/", wrapped, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Draft, difference, versions. POST saves, publishes or discards the draft."""
        guideline = self._find(request, object_id)
        draft = GuidelineDraft.objects.filter(guideline=guideline).select_related("updated_by").first()
        scopes = _scopes(guideline, draft)
        written: tuple[DraftForm, Any] | None = None
        if request.method == "POST":
            if not self.has_change_permission(request, guideline):
                raise PermissionDenied
            if "discard" in request.POST:
                return self._discard(request, guideline)
            form, rules = DraftForm(request.POST), RuleForms(request.POST, form_kwargs=scopes)
            written = (form, rules)
            if form.is_valid() & rules.is_valid():
                done = self._keep(request, guideline, draft, form, rules)
                if done is not None:
                    return self._trial(guideline) if "try" in request.POST else done
                guideline = self._find(request, object_id)
                draft = GuidelineDraft.objects.filter(guideline=guideline).select_related("updated_by").first()
        return TemplateResponse(
            request,
            "prosa/admin/guideline.html",
            {**self._context(request, guideline, draft, scopes, written), **(extra_context or {})},
        )

    def version_view(self, request: HttpRequest, guideline_id: int, number: int) -> HttpResponse:
        """One version beside another (``?with=``, else the one before it). POST publishes it again."""
        guideline = self._find(request, str(guideline_id))
        version = guideline.versions.filter(number=number).first()
        if version is None:
            raise Http404
        if request.method == "POST":
            if not self.has_change_permission(request, guideline):
                raise PermissionDenied
            return self._roll_back(request, guideline, version)
        asked = request.GET.get("with", "")
        others = guideline.versions.exclude(number=number)
        other = others.filter(number=int(asked)).first() if asked.isdecimal() and len(asked) < 9 else None
        other = other or others.filter(number__lt=number).first()
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("%(business)s: version %(number)d")
            % {"business": guideline.business.name, "number": number},
            "subtitle": None,
            "opts": self.opts,
            "original": guideline,
            "guideline": guideline,
            "version": version,
            "other": other,
            "others": others.values_list("number", flat=True)[:SHOWN_VERSIONS],
            "pieces": compare(readable(other.text, other.rules), readable(version.text, version.rules))
            if other
            else [],
            "whole": readable(version.text, version.rules),
            "may_change": self.has_change_permission(request, guideline),
        }
        return TemplateResponse(request, "prosa/admin/guideline_version.html", context)

    def _find(self, request: HttpRequest, object_id: str) -> Guideline:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("business", "updated_by")
        guideline: Guideline | None = rows.filter(pk=int(object_id[:18])).first() if object_id.isdecimal() else None
        if guideline is None:
            raise Http404
        return guideline

    def _context(
        self,
        request: HttpRequest,
        guideline: Guideline,
        draft: GuidelineDraft | None,
        scopes: dict[str, list[tuple[str, str]]],
        written: tuple[DraftForm, Any] | None,
    ) -> dict[str, Any]:
        base: Guideline | GuidelineDraft = draft or guideline
        form, rules = written or (
            DraftForm(
                initial={
                    "text": base.text,
                    "revision": draft.revision if draft else 0,
                    "in_force": guideline.version,
                }
            ),
            RuleForms(initial=[RuleForm.shown(row) for row in base.rules], form_kwargs=scopes),
        )
        stored = readable(base.text, base.rules)
        theirs: list[Any] = []
        if written and form.is_bound and form.is_valid() and rules.is_valid():
            mine = readable(form.cleaned_data["text"], rows_of(rules, _taken(guideline, draft)))
            theirs = compare(stored, mine)
        return {
            **self.admin_site.each_context(request),
            "title": gettext("Guidelines of %(business)s") % {"business": guideline.business.name},
            "subtitle": None,
            "opts": self.opts,
            "original": guideline,
            "guideline": guideline,
            "draft": draft,
            "state": state(guideline),
            "form": form,
            "rules": rules,
            "theirs": theirs,
            "pieces": compare(readable(guideline.text, guideline.rules), stored) if draft else [],
            "warnings": warnings(base.rules),
            "whole": readable(guideline.text, guideline.rules),
            "versions": guideline.versions.all()[:SHOWN_VERSIONS],
            "may_change": self.has_change_permission(request, guideline),
        }

    def _keep(
        self, request: HttpRequest, guideline: Guideline, draft: GuidelineDraft | None, form: DraftForm, rules: Any
    ) -> HttpResponse | None:
        """Save, and publish when that was asked; None = the page is shown again, with what was written."""
        data = form.cleaned_data
        publish = "publish" in request.POST
        if publish and not data["note"].strip():
            form.add_error("note", gettext("Say in a few words what changes."))
            return None
        rows = rows_of(rules, _taken(guideline, draft))
        same = (data["text"], rows) == (guideline.text, guideline.rules)
        if same and (publish or draft is None):
            messages.info(request, gettext("Nothing differs from what is in force."))
            return self._back(guideline)
        try:
            saved = publishing.save_draft(
                guideline, data["text"], rows, data["revision"], data["in_force"], request.user
            )
            if publish:
                made = publishing.publish_draft(
                    guideline, saved.revision, data["in_force"], data["note"].strip(), request.user
                )
        except publishing.Outdated as error:
            self._again(request, guideline, form, error)
            return None
        for warning in warnings(rows):
            messages.warning(request, warning)
        if publish:
            text = gettext("Version %(number)d is in force from the very next reply.") % {"number": made.number}
            self.log_change(request, guideline, text)
            messages.success(request, text)
        else:
            messages.success(request, gettext("The draft is saved. Nobody obeys it until it is published."))
        return self._back(guideline)

    def _again(self, request: HttpRequest, guideline: Guideline, form: DraftForm, error: ProsaError) -> None:
        """Show what was written beside what is stored; saving once more then means it."""
        messages.error(request, str(error))
        fresh = Guideline.objects.get(pk=guideline.pk)
        draft = GuidelineDraft.objects.filter(guideline=fresh).first()
        form.data = {
            **form.data.dict(),  # type: ignore[attr-defined]  # a request's QueryDict
            "revision": str(draft.revision if draft else 0),
            "in_force": str(fresh.version),
        }

    def _discard(self, request: HttpRequest, guideline: Guideline) -> HttpResponse:
        revision = request.POST.get("revision", "")
        try:
            publishing.discard_draft(guideline, int(revision[:9]) if revision.isdecimal() else -1)
        except publishing.Outdated as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, guideline, gettext("The draft is discarded."))
            messages.success(request, gettext("The draft is discarded."))
        return self._back(guideline)

    def _roll_back(self, request: HttpRequest, guideline: Guideline, version: GuidelineVersion) -> HttpResponse:
        seen = request.POST.get("in_force", "")
        note = request.POST.get("note", "").strip()[:300]
        note = note or gettext("Back to version %(number)d") % {"number": version.number}
        try:
            known = int(seen[:9]) if seen.isdecimal() else -1
            made = publishing.roll_back(guideline, version.number, known, note, request.user)
        except publishing.Outdated as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())
        text = gettext("Version %(number)d is in force from the very next reply.") % {"number": made.number}
        self.log_change(request, guideline, text)
        messages.success(request, text)
        return self._back(guideline)

    def _trial(self, guideline: Guideline) -> HttpResponse:
        """The page lives with the conversations, for it answers as they do."""
        return HttpResponseRedirect(reverse("admin:prosa_conversations_conversation_try", args=[guideline.pk]))

    def _back(self, guideline: Guideline) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:prosa_business_guideline_change", args=[guideline.pk]))


def _scopes(guideline: Guideline, draft: GuidelineDraft | None) -> dict[str, list[tuple[str, str]]]:
    """The kinds of inbox, the specialists and the teams the business has, and those its rules already name."""
    kinds = set(guideline.business.inboxes.values_list("kind", flat=True))
    names = set(guideline.business.specialists.values_list("name", flat=True))
    teams = set(guideline.business.teams.values_list("name", flat=True))
    for row in [*guideline.rules, *(draft.rules if draft else ())]:
        teams.update(filter(None, [row.get("team")]))
        kinds.update(row.get("channels", ()))
        names.update(row.get("specialists", ()))
    return {
        "channels": [(kind, kind) for kind in sorted(kinds)],
        "specialists": [(name, name) for name in sorted(names)],
        "teams": [(name, name) for name in sorted(teams)],
    }


def _taken(guideline: Guideline, draft: GuidelineDraft | None) -> int:
    """The highest number of a rule in use, so that a new one is never taken for another."""
    return max([0, *(int(row["number"]) for row in [*guideline.rules, *(draft.rules if draft else ())])])
