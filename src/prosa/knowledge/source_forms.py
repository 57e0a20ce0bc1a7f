"""The forms of sources: what each kind needs, and the sources that come of it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.conf import settings
from prosa.knowledge import sync, uploads
from prosa.knowledge.loaders import MOST_BYTES, SUFFIXES
from prosa.knowledge.models import Source

MOST_FILES = 50
MOST_TEXT = 1_000_000
"""Characters that may be pasted."""


class _Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or several."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Each of them, of a kind that is read and not too big."""
        given = (data if isinstance(data, list | tuple) else [data]) or [None]
        if len(given) > MOST_FILES:
            raise ValidationError(_("At most %d files at once.") % MOST_FILES)
        found = [super(FilesField, self).clean(each, initial) for each in given]
        problems = [problem for each in found for problem in _problems(each)]
        if problems:
            raise ValidationError(problems)
        return found


def _problems(file: UploadedFile[Any]) -> list[str]:
    name = file.name or ""
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        told = gettext(
            "%(name)s is of a kind that is not read. Save it as PDF, DOCX, XLSX, CSV, HTML, Markdown or text."
        )
        return [told % {"name": name[:100]}]
    if (file.size or 0) > MOST_BYTES:
        told = gettext("%(name)s is bigger than %(most)d MB. Split it, or leave its pictures out.")
        return [told % {"name": name[:100], "most": MOST_BYTES // 1024 // 1024}]
    return []


class SourceForm(forms.Form):
    """What every kind of source needs."""

    business = forms.ModelChoiceField(Business.objects.order_by("name"), label=_("Business"), empty_label=None)


class NamedForm(SourceForm):
    """A source with a name and perhaps a period."""

    name = forms.CharField(label=_("Name"), max_length=200, required=False, help_text=_("As it will be called here."))
    every_minutes = forms.IntegerField(
        label=_("Read again every (minutes)"), min_value=5, max_value=525_600, required=False,
        help_text=_("Empty: only when asked."),
    )  # fmt: skip


class UploadForm(SourceForm):
    """Files of the owner's."""

    chosen = FilesField(
        label=_("Files"), help_text=_("You can choose several."),
        widget=_Files(attrs={"multiple": True, "accept": ",".join(SUFFIXES)}),
    )  # fmt: skip


class TextForm(SourceForm):
    """A text that was pasted."""

    name = forms.CharField(label=_("Title"), max_length=200, help_text=_("Customers see it as the source."))
    text = forms.CharField(label=_("Text"), max_length=MOST_TEXT, widget=forms.Textarea(attrs={"rows": 14}))


class UrlForm(NamedForm):
    """A page of the web."""

    url = forms.URLField(label=_("Address"), max_length=2000, assume_scheme="https")


class SitemapForm(NamedForm):
    """A sitemap."""

    url = forms.URLField(
        label=_("Address of the sitemap"), max_length=2000, assume_scheme="https",
        help_text=_("Often https://example.com/sitemap.xml"),
    )  # fmt: skip


class FolderForm(NamedForm):
    """A folder below the one the operator named."""

    path = forms.CharField(label=_("Folder"), max_length=500)
    glob = forms.CharField(label=_("Only files like"), max_length=100, required=False, help_text=_("For example *.md"))

    def clean_path(self) -> str:
        """Of this machine, below the folder of knowledge."""
        given = str(self.cleaned_data["path"]).replace("\0", "")
        below = settings().knowledge_folder
        try:
            found = (below / given).resolve()
            inside = found.is_relative_to(below.resolve()) and found.is_dir()
        except (OSError, RuntimeError, ValueError):
            inside = False
        if not inside:
            raise ValidationError(_("There is no such folder below %(folder)s.") % {"folder": below})
        return given


FORMS: dict[str, type[SourceForm]] = {
    "upload": UploadForm, "text": TextForm, "url": UrlForm, "sitemap": SitemapForm, "folder": FolderForm,
}  # fmt: skip


def make(kind: str, given: dict[str, Any]) -> list[Source]:
    """Store the sources of a valid form, and ask for their first synchronisation.

    A file with the name of one that was uploaded before takes its place.
    """
    business: Business = given["business"]
    if kind == "upload":
        return [uploads.add(business, file.name or "", file) for file in given["chosen"]]
    config = {key: given[key] for key in ("text", "url", "path", "glob") if given.get(key)}
    name = given.get("name") or given.get("url") or given.get("path") or kind
    source = Source(
        business=business, kind=kind, name=name[:200], config=config, every_minutes=given.get("every_minutes")
    )
    with transaction.atomic():
        source.save()
        sync.request(source.pk)
    return [source]


class PeriodForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """How often it is read."""

    class Meta:
        model = Source
        fields: tuple[str, ...] = ("active", "every_minutes")


class SwitchForm(PeriodForm):
    """Whether it is used, of a source that does not change by itself."""

    class Meta(PeriodForm.Meta):
        fields = ("active",)
