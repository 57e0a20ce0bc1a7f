"""Sources in the admin: added, synchronised while you look, and told in plain words why something was not read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from prosa.business.pages import register
from prosa.conf import settings
from prosa.knowledge import sync, troubles
from prosa.knowledge.answer_pages import only_business
from prosa.knowledge.models import Item, Source
from prosa.knowledge.source_forms import FORMS, PeriodForm, SwitchForm, make

MOST_SHOWN = 100
"""Items with errors that a page shows."""
KINDS = {
    "upload": (_("Files"), _("PDF, Word, Excel, CSV, HTML, Markdown or text"), "upload_file"),
    "text": (_("Pasted text"), _("Whatever you can copy"), "content_paste"),
    "url": (_("A page"), _("One address of the web, read again when it changes"), "link"),
    "sitemap": (_("A whole site"), _("Every page its sitemap.xml lists"), "travel_explore"),
    "folder": (_("A folder"), _("Files on this machine"), "folder"),
}  # fmt: skip
"""What can be added here: its name, what it is for, its symbol."""
BADGES = {
    "new": "info",
    "waiting": "info",
    "running": "info",
    "done": "success",
    "failed": "danger",
    "stopped": "warning",
}
STAY = frozenset({"upload", "text"})
"""Kinds that do not change by themselves: how often they are read has no meaning."""
BUSY = frozenset({Source.Status.WAITING.value, Source.Status.RUNNING.value})


def kind_name(source: Source) -> str:
    """What a kind is called here; kinds of packages go by their own name."""
    return str(KINDS[source.kind][0]) if source.kind in KINDS else source.kind


def standing(source: Source) -> SafeString:
    """How its newest run stands: a badge, a bar while it runs, its error with the next move."""
    what, move = troubles.told(source.error)
    context = {
        "source": source, "badge": BADGES.get(source.status, "info"), "busy": source.status in BUSY,
        "what": what, "move": move,
    }  # fmt: skip
    return mark_safe(render_to_string("prosa/admin/source_standing.html", context))  # noqa: S308 -- a template escapes


@register(Source)
class SourceAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Where knowledge comes from."""

    list_display = ("name", "shown_kind", "shown_documents", "shown_standing", "synced_at", "business")
    list_filter = ("status", "kind", "business")
    list_select_related = ("business",)
    search_fields = ("name",)
    ordering = ("business", "name")
    actions = None
    list_before_template = "prosa/admin/sources.html"
    show_full_result_count = False

    class Media:
        css = {"all": ("prosa/knowledge.css",)}
        js = ("prosa/progress.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        """With how many documents each has."""
        rows: QuerySet[Source] = super().get_queryset(request)
        return rows.annotate(held=Count("documents"))

    @admin.display(description=_("kind"), ordering="kind")
    def shown_kind(self, source: Source) -> str:
        """In words."""
        return kind_name(source)

    @admin.display(description=_("documents"), ordering="held")
    def shown_documents(self, source: Any) -> int:
        """How many it has brought."""
        return int(source.held)

    @admin.display(description=_("state"), ordering="status")
    def shown_standing(self, source: Source) -> str:
        """Live while it runs."""
        return standing(source)

    def get_urls(self) -> list[URLPattern]:
        """Adds what can be done with one, and how far they are."""
        wrap = self.admin_site.admin_view
        return [
            path("progress/", wrap(self.progress_view), name="prosa_knowledge_source_progress"),
            path("<int:pk>/sync/", wrap(self.sync_view), name="prosa_knowledge_source_sync"),
            path("<int:pk>/stop/", wrap(self.stop_view), name="prosa_knowledge_source_stop"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what to do when there are none."""
        extra_context = {
            "nothing": not Source.objects.exists(),
            "may_add": self.has_add_permission(request),
            **(extra_context or {}),
        }
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First which kind, then what it needs."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        kind = request.GET.get("kind", "")
        form = None
        if kind in FORMS:
            form = FORMS[kind](request.POST or None, request.FILES or None, initial={"business": only_business()})
            if request.method == "POST" and form.is_valid():
                try:
                    made = make(kind, form.cleaned_data)
                except IntegrityError:
                    form.add_error(
                        "name" if "name" in form.fields else None,
                        gettext("There is a source of this name already. Choose another."),
                    )
                else:
                    # Its page and the list say how far it is, and go on saying it: a message would soon be stale.
                    if len(made) == 1:
                        return HttpResponseRedirect(reverse("admin:prosa_knowledge_source_change", args=[made[0].pk]))
                    return HttpResponseRedirect(reverse("admin:prosa_knowledge_source_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Add knowledge"),
            "opts": self.opts,
            "kinds": [(key, *told) for key, told in KINDS.items()],
            "kind": kind if form else "",
            "kind_name": KINDS[kind][0] if form else "",
            "form": form,
            "folder": settings().knowledge_folder,
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "prosa/admin/source_add.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One source: how it stands, what could not be read, how often it is read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        source = self._find(object_id)
        may_change = self.has_change_permission(request, source)
        form_class = SwitchForm if source.kind in STAY else PeriodForm
        form = form_class(request.POST or None, instance=source)
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            if form.is_valid():
                # A worker may be counting in the same row.
                form.save(commit=False).save(update_fields=list(form_class.Meta.fields))
                messages.success(request, gettext("Saved."))
                return HttpResponseRedirect(request.path)
        broken = Item.objects.filter(source=source).exclude(error="").order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": source.name,
            "opts": self.opts,
            "original": source,
            "source": source,
            "standing": standing(source),
            "kind_name": kind_name(source),
            "documents": source.documents.count(),
            "broken": [(item, *troubles.told(item.error)) for item in broken[:MOST_SHOWN]],
            "many_broken": broken.count() > MOST_SHOWN,
            "form": form,
            "stays": source.kind in STAY,
            "busy": source.status in BUSY,
            "may_change": may_change,
            "may_delete": self.has_delete_permission(request, source),
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "prosa/admin/source.html", context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its documents are forgotten with it; how many is said before."""
        source = self._find(object_id)
        if not self.has_delete_permission(request, source):
            raise PermissionDenied
        if request.method == "POST":
            source.delete()
            messages.success(request, gettext("%(name)s is forgotten.") % {"name": source.name})
            return HttpResponseRedirect(reverse("admin:prosa_knowledge_source_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Delete the source?"),
            "opts": self.opts,
            "source": source,
            "documents": source.documents.count(),
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "prosa/admin/source_delete.html", context)

    def sync_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Read it again now."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        source = self._find(str(pk))
        sync.request(source.pk)
        return HttpResponseRedirect(reverse("admin:prosa_knowledge_source_change", args=[source.pk]))

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Read no further."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        source = self._find(str(pk))
        if sync.stop(source.pk):
            messages.success(request, gettext("Reading stops. What was read so far stays."))
        return HttpResponseRedirect(reverse("admin:prosa_knowledge_source_change", args=[source.pk]))

    def progress_view(self, request: HttpRequest) -> HttpResponse:
        """How the sources ``ids`` stand: ``{"7": {"html": …, "busy": …}}``."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = [
            int(each) for each in request.GET.get("ids", "").split(",")[:200] if each.isdecimal() and len(each) < 19
        ]
        found = Source.objects.filter(pk__in=asked)
        return JsonResponse(
            {str(each.pk): {"html": standing(each), "busy": each.status in BUSY} for each in found},
            headers={"Cache-Control": "no-store"},
        )

    def _find(self, object_id: str) -> Source:
        usable = object_id.isascii() and object_id.isdecimal() and len(object_id) < 19
        source = Source.objects.select_related("business").filter(pk=object_id).first() if usable else None
        if source is None:
            raise Http404
        return source
