"""Approved answers in the admin: written one by one, from an unanswered question, or from a CSV file."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from prosa.business.models import Business
from prosa.business.pages import register
from prosa.errors import BadInput
from prosa.knowledge import gaps
from prosa.knowledge.learned import Gap
from prosa.knowledge.models import ApprovedAnswer, valid_on

MOST_BYTES = 2 * 1024 * 1024
MOST_ROWS = 5_000
COLUMNS = {
    "question": "question", "pergunta": "question", "pregunta": "question",
    "answer": "answer", "resposta": "answer", "respuesta": "answer",
    "valid_from": "valid_from", "de": "valid_from", "desde": "valid_from",
    "valid_to": "valid_to", "ate": "valid_to", "até": "valid_to", "hasta": "valid_to",
}  # fmt: skip
"""Headings a file may have, and the field each fills."""


class ValidFilter(admin.SimpleListFilter):
    """Which may be given today."""

    title = _("validity")
    parameter_name = "valid"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """By the calendar."""
        return [("now", _("in force")), ("later", _("not yet")), ("over", _("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApprovedAnswer]) -> QuerySet[ApprovedAnswer]:
        """By today's date."""
        today = timezone.localdate()
        choices = {"now": valid_on(today), "later": Q(valid_from__gt=today), "over": Q(valid_to__lt=today)}
        chosen = choices.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else queryset


class ImportForm(forms.Form):
    """A CSV file with questions and answers."""

    business = forms.ModelChoiceField(Business.objects.order_by("name"), label=_("Business"), empty_label=None)
    file = forms.FileField(label=_("File"))

    def clean_file(self) -> Any:
        """Of a size that can be read at once."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise ValidationError(_("The file is bigger than 2 MB. Split it."))
        return file


@register(ApprovedAnswer)
class ApprovedAnswerAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """What may be said word by word, also when no model can be reached."""

    list_display = ("question", "shown_answer", "business", "active", "shown_validity", "updated_at")
    list_editable = ("active",)
    list_filter = (ValidFilter, "active", "business")
    list_select_related = ("business",)
    search_fields = ("question", "answer")
    ordering = ("business", "question")
    fields = ("business", "question", "answer", "active", ("valid_from", "valid_to"), "updated_at")
    readonly_fields = ("updated_at",)
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 8})}}
    list_before_template = "prosa/admin/answers.html"

    class Media:
        css = {"all": ("prosa/knowledge.css",)}

    @admin.display(description=_("answer"))
    def shown_answer(self, answer: ApprovedAnswer) -> str:
        """Its beginning."""
        return answer.answer if len(answer.answer) <= 100 else f"{answer.answer[:100].rstrip()}…"

    @display(description=_("validity"), label={"now": "success", "later": "info", "over": "warning"})  # type: ignore[untyped-decorator]
    def shown_validity(self, answer: ApprovedAnswer) -> tuple[str, str]:
        """Whether it may be given today."""
        today = timezone.localdate()
        if answer.valid_from and answer.valid_from > today:
            return "later", gettext("not yet")
        if answer.valid_to and answer.valid_to < today:
            return "over", gettext("over")
        return "now", gettext("in force")

    def get_urls(self) -> list[URLPattern]:
        """Adds the import."""
        own = path(
            "import/",
            self.admin_site.admin_view(self.import_view),
            name="prosa_knowledge_approvedanswer_import",
        )
        return [own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what to do when there are none."""
        extra_context = {
            "may_add": self.has_add_permission(request),
            "nothing": not ApprovedAnswer.objects.exists(),
            **(extra_context or {}),
        }
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The only business there is; the question of the gap it is written for."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        gap = _gap(request)
        if gap is not None:
            initial |= {"business": gap.business_id, "question": gap.question}
        elif (only := only_business()) is not None:
            initial.setdefault("business", only.pk)
        return initial

    def save_model(
        self,
        request: HttpRequest,
        obj: ApprovedAnswer,
        form: forms.ModelForm[ApprovedAnswer],
        change: bool,  # noqa: FBT001 -- Django's signature
    ) -> None:
        """The gap it was written for is closed."""
        super().save_model(request, obj, form, change)
        gap = _gap(request)
        if gap is not None and not change and gap.business_id == obj.business_id:
            gaps.settle(gap, request.user if request.user.is_authenticated else None, obj)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Questions and answers from a CSV file: all of them, or none and why."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None, initial={"business": only_business()})
        if request.method == "POST" and form.is_valid():
            try:
                count = take_in(form.cleaned_data["business"].pk, form.cleaned_data["file"].read())
            except BadInput as error:
                form.add_error("file", str(error).replace("\n", " "))
            else:
                text = ngettext("%d answer was imported.", "%d answers were imported.", count) % count
                messages.success(request, text)
                return HttpResponseRedirect(reverse("admin:prosa_knowledge_approvedanswer_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Import approved answers"),
            "opts": self.opts,
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "prosa/admin/answers_import.html", context)


def only_business() -> Business | None:
    """The business, where there is only one."""
    found = list(Business.objects.all()[:2])
    return found[0] if len(found) == 1 else None


def take_in(business_id: int, data: bytes) -> int:
    """Store the rows of a CSV file as approved answers; those with a known question get the new answer. Returns how many.

    :raises BadInput: it cannot be read as one; then nothing is stored.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    text = text.replace("\0", "")
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=mark))[: MOST_ROWS + 1]
    except csv.Error as error:
        raise BadInput(f"The file is no CSV: {error}.\nExport it again as CSV.") from None
    if len(rows) > MOST_ROWS:
        raise BadInput(f"The file has more than {MOST_ROWS} rows.\nSplit it.")
    named = [{COLUMNS.get((key or "").strip().lower(), ""): value or "" for key, value in row.items()} for row in rows]
    if not named or not {"question", "answer"} <= set(named[0]):
        raise BadInput("The first line must name the columns question and answer.\nAdd it, and import the file again.")
    with transaction.atomic():
        Business.objects.select_for_update(no_key=True).only("pk").get(pk=business_id)
        known = {each.question: each for each in ApprovedAnswer.objects.filter(business_id=business_id)}
        count = 0
        for line, row in enumerate(named, 2):
            question, said = str(row.get("question", "")).strip(), str(row.get("answer", "")).strip()
            if not question and not said:
                continue
            if not question or not said or len(question) > 500:
                raise BadInput(
                    f"Line {line} needs a question of at most 500 characters and an answer.\nCorrect it, and import the file again."
                )
            answer = known.setdefault(question, ApprovedAnswer(business_id=business_id, question=question))
            answer.answer, answer.active = said, True
            answer.valid_from, answer.valid_to = _day(row.get("valid_from"), line), _day(row.get("valid_to"), line)
            try:
                answer.clean()
            except ValidationError as error:
                raise BadInput(
                    f"Line {line}: {' '.join(error.messages)}\nCorrect it, and import the file again."
                ) from None
            answer.save()
            count += 1
    return count


def _day(value: Any, line: int) -> date | None:
    text = str(value or "").strip()
    if not text:
        return None
    day, slash, rest = text.partition("/")
    month, _slash, year = rest.partition("/")
    try:
        return date(int(year), int(month), int(day)) if slash else date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadInput(f"Line {line}: {text[:30]} is no date.\nWrite it as 2026-12-31.") from None


def _gap(request: HttpRequest) -> Gap | None:
    asked = request.GET.get("gap", "")
    return Gap.objects.filter(pk=int(asked[:18])).first() if asked.isascii() and asked.isdecimal() else None
