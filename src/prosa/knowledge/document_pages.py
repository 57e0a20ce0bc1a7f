"""Documents in the admin as search sees them, and "ask the knowledge": what is found, and why something is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from prosa.business.models import Business
from prosa.business.pages import register
from prosa.contracts import ApprovedAnswer, Passage
from prosa.knowledge import filling, fusion, search
from prosa.knowledge.answer_pages import only_business
from prosa.knowledge.models import Chunk, Document

SHOWN = 10
"""Passages an answer shows, below the floor included."""
LONGEST_QUESTION = 500
CHUNKS = 50
"""Passages of a document on one page."""


@register(Document)
class DocumentAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """What was read, and the passages it was cut into."""

    list_display = ("shown_title", "business", "shown_source", "language", "shown_passages", "updated_at")
    list_filter = ("source", "language", "business")
    list_select_related = ("business", "source")
    search_fields = ("title",)
    search_help_text = _("Words of a title or of the text")
    ordering = ("-updated_at",)
    list_before_template = "prosa/admin/documents.html"
    show_full_result_count = False
    list_per_page = 50

    class Media:
        css = {"all": ("prosa/knowledge.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Sources bring them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Document | None = None) -> bool:
        """What a source brings would come again with its next synchronisation."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and obj is not None and obj.source_id is None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        """With how many passages each has."""
        rows: QuerySet[Document] = super().get_queryset(request)
        return rows.annotate(passages=Count("chunks", distinct=True))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Document], search_term: str
    ) -> tuple[QuerySet[Document], bool]:
        """Documents whose title, name or text has these words."""
        term = search_term.replace("\0", "").strip()
        if not term:
            return queryset, False
        said = Exists(Chunk.objects.filter(document=OuterRef("pk"), text__icontains=term))
        return queryset.filter(Q(title__icontains=term) | Q(external_id__icontains=term) | said), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what to do when there are none."""
        extra_context = {"nothing": not Document.objects.exists(), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @admin.display(description=_("document"), ordering="title")
    def shown_title(self, document: Document) -> str:
        """Its title, else its name."""
        return str(document)

    @admin.display(description=_("source"), ordering="source__name")
    def shown_source(self, document: Document) -> str:
        """Where it comes from."""
        if document.source is None:
            return document.source_name or "—"
        address = reverse("admin:prosa_knowledge_source_change", args=[document.source.pk])
        return format_html('<a class="prosa-link" href="{}">{}</a>', address, document.source.name)

    @admin.display(description=_("passages"), ordering="passages")
    def shown_passages(self, document: Any) -> int:
        """How many it was cut into."""
        return int(document.passages)

    def get_urls(self) -> list[URLPattern]:
        """Adds the page that asks."""
        own = path("ask/", self.admin_site.admin_view(self.ask_view), name="prosa_knowledge_document_ask")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The document's passages, in its order."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        usable = object_id.isascii() and object_id.isdecimal() and len(object_id) < 19
        document = (
            Document.objects.select_related("source", "business").filter(pk=object_id).first() if usable else None
        )
        if document is None:
            raise Http404
        chunks = Chunk.objects.filter(business_id=document.business_id, document=document).order_by("position")
        page = Paginator(chunks.only("position", "section", "text", "language", "length"), CHUNKS)
        context = {
            **self.admin_site.each_context(request),
            "title": str(document),
            "opts": self.opts,
            "original": document,
            "document": document,
            "page": page.get_page(request.GET.get("page")),
            "may_delete": self.has_delete_permission(request, document),
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "prosa/admin/document.html", context)

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """What a customer's question would find, and what fell short of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        businesses = list(Business.objects.order_by("name"))
        chosen = request.GET.get("business", "")
        business = next((each for each in businesses if str(each.pk) == chosen), None) or only_business()
        business = business or (businesses[0] if businesses else None)
        question = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_QUESTION]
        answers: Sequence[ApprovedAnswer] = ()
        found: Sequence[Passage] = ()
        if business is not None and question:
            answers, found = async_to_sync(look_up)(business.pk, question)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Ask the knowledge"),
            "opts": self.opts,
            "businesses": businesses,
            "business": business,
            "question": question,
            "answers": answers,
            "above": [each for each in found if each.score >= search.FLOOR],
            "below": [each for each in found if each.score < search.FLOOR],
            "floor": search.FLOOR,
            "documents": _documents(business, found),
            "nothing": business is None or not Chunk.objects.filter(business_id=business.pk).exists(),
            "media": self.media,
        }
        return TemplateResponse(request, "prosa/admin/ask.html", context)


async def look_up(business_id: int, question: str) -> tuple[Sequence[ApprovedAnswer], Sequence[Passage]]:
    """The approved answers and the passages nearest to a question, however far, best first."""
    async with filling.pool("prosa ask", high=2) as pool:
        async with pool.connection() as connection:
            answers = await search.approved(connection, business_id, question, 3)
        return answers, await fusion.passages(pool, business_id, question, SHOWN, floor=0.0)


def _documents(business: Business | None, found: Sequence[Passage]) -> dict[str, int]:
    """The pages of the documents, by the names their sources give them."""
    if business is None or not found:
        return {}
    names = {each.document for each in found}
    rows = Document.objects.filter(business_id=business.pk, external_id__in=names)
    return dict(rows.values_list("external_id", "pk"))
