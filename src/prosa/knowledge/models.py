"""What the business has said in advance, and what it knows: documents in chunks that can be searched."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.knowledge.loaders import SUFFIXES


def place(source: Source, filename: str) -> str:
    """Where an upload is kept. Of the name it came with only the ending counts, and that must be one we know."""
    suffix = PurePosixPath(filename).suffix.lower()
    return f"knowledge/{source.business_id}/{uuid4().hex}{suffix if suffix in SUFFIXES else ''}"


def valid_on(day: date) -> models.Q:
    """Of approved answers, those that may be given on this day."""
    # A missing date is no limit; SQL would call it unknown.
    begun = models.Q(valid_from=None) | models.Q(valid_from__lte=day)
    return begun & (models.Q(valid_to=None) | models.Q(valid_to__gte=day))


class ApprovedAnswer(models.Model):
    """A question and the answer that may be given word by word, also when no model can be reached."""

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="approved_answers"
    )
    question = models.CharField(
        _("question"), max_length=500, help_text=_("As customers ask it; add other wordings after a semicolon.")
    )
    answer = models.TextField(_("answer"))
    active = models.BooleanField(_("active"), default=True)
    valid_from = models.DateField(
        _("valid from"), null=True, blank=True, help_text=_("First day it may be given, in the business's time zone.")
    )
    valid_to = models.DateField(_("valid until"), null=True, blank=True, help_text=_("Last day it may be given."))
    search = SearchVectorField(null=True, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("approved answer")
        verbose_name_plural = _("approved answers")
        indexes = [GinIndex(fields=["search"], name="prosa_answer_search")]

    def __str__(self) -> str:
        return self.question

    def clean(self) -> None:
        """It cannot end before it begins."""
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValidationError({"valid_to": _("The last day is before the first.")})

    @classmethod
    def in_force(cls, business_id: int) -> models.QuerySet[ApprovedAnswer]:
        """Those of a business that may be given today, by its clock."""
        zone = Business.objects.values_list("timezone", flat=True).get(pk=business_id)
        today = timezone.localdate(timezone=ZoneInfo(zone))
        return cls.objects.filter(valid_on(today), business_id=business_id, active=True)


class Source(models.Model):
    """Where documents come from, and how its last synchronisation went. ``prosa.knowledge.sync`` reads it.

    ``kind`` is one of ``origins.KINDS``. ``config`` holds what the kind needs: ``url`` (url, sitemap), ``path`` and ``glob``
    (folder), ``text`` (text), ``filename`` (upload: the name it came with). ``allowed`` is a folder that the operator named on
    the command line; other folders must lie below ``PROSA_KNOWLEDGE_DIR``.

    A run has the number ``run``; its list of items is complete when ``listed`` equals it. While ``status`` is running, a
    process holds the lock of ``sync``, or died and the run waits to be taken up. ``again``: asked for once more meanwhile.
    ``synced_at`` is the last time a run reached its end.
    """

    class Status(models.TextChoices):
        """How its newest run stands."""

        NEW = "new", _("never synchronised")
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("up to date")
        FAILED = "failed", _("failed")
        STOPPED = "stopped", _("stopped")

    business = models.ForeignKey(Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="sources")
    kind = models.CharField(_("kind"), max_length=20)
    name = models.CharField(_("name"), max_length=200)
    config = models.JSONField(_("settings"), default=dict, blank=True)
    file = models.FileField(_("file"), upload_to=place, max_length=300, blank=True)
    allowed = models.TextField(blank=True, editable=False)
    active = models.BooleanField(_("active"), default=True)
    every_minutes = models.PositiveIntegerField(
        _("every (minutes)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(5), MaxValueValidator(525_600)],
        help_text=_("How often it is read again; empty: only when asked."),
    )

    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.NEW, editable=False)
    again = models.BooleanField(default=False, editable=False)
    run = models.PositiveIntegerField(default=0, editable=False)
    listed = models.PositiveIntegerField(default=0, editable=False)
    total = models.PositiveIntegerField(_("documents"), default=0, editable=False)
    done = models.PositiveIntegerField(_("looked at"), default=0, editable=False)
    added = models.PositiveIntegerField(_("added"), default=0, editable=False)
    changed = models.PositiveIntegerField(_("changed"), default=0, editable=False)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0, editable=False)
    forgotten = models.PositiveIntegerField(_("forgotten"), default=0, editable=False)
    failed = models.PositiveIntegerField(_("failed"), default=0, editable=False)
    error = models.TextField(_("error"), blank=True, editable=False)
    began_at = models.DateTimeField(_("began"), null=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, editable=False)
    synced_at = models.DateTimeField(_("synchronised"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("source of knowledge")
        verbose_name_plural = _("sources of knowledge")
        ordering = ["business", "name"]
        constraints = [models.UniqueConstraint(fields=["business", "name"], name="prosa_source_name_once")]

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    """A text of the business that answers may be drawn from. Its chunks are what is searched.

    ``source_kind`` and ``source_name`` say where it comes from (``upload``, ``jsonl``…; ``prices.pdf``), ``external_id`` is the
    name its source gives it, ``checksum`` the SHA-256 of everything its chunks were made from, ``dated_at`` its own date when
    it has one. Without a ``source`` it was given by itself.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="documents"
    )
    source = models.ForeignKey(
        Source, verbose_name=_("source"), null=True, blank=True, on_delete=models.CASCADE, related_name="documents"
    )
    source_kind = models.CharField(max_length=30, blank=True)
    source_name = models.CharField(max_length=300, blank=True)
    external_id = models.CharField(max_length=300)
    title = models.CharField(_("title"), max_length=500, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    url = models.TextField(blank=True)
    checksum = models.CharField(max_length=64)
    dated_at = models.DateTimeField(_("dated"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        constraints = [
            models.UniqueConstraint(fields=["business", "external_id"], name="prosa_document_once"),
        ]

    def __str__(self) -> str:
        return self.title or self.external_id


class Item(models.Model):
    """One file, page or row that a source lists, and what became of it. Written by ``prosa.knowledge.sync`` alone.

    ``key`` is its path, address or number within the source. ``raw`` is the SHA-256 of its bytes as last read, ``etag`` and
    ``modified`` what its server said of them: when they are the same it is not even parsed. ``seen`` and ``done`` are the
    numbers of the last run that listed it and that dealt with it; ``done`` is below zero, and less with every request, when it
    is to be read again without a run. With an ``error`` (two lines) it could not be read the last
    time; ``passing``: a later try may succeed.
    """

    source = models.ForeignKey(Source, verbose_name=_("source"), on_delete=models.CASCADE, related_name="items")
    key = models.CharField(_("name"), max_length=2000)
    document = models.OneToOneField(
        Document, verbose_name=_("document"), null=True, on_delete=models.SET_NULL, related_name="item"
    )
    raw = models.CharField(max_length=64, blank=True)
    etag = models.CharField(max_length=300, blank=True)
    modified = models.CharField(max_length=100, blank=True)
    error = models.TextField(_("error"), blank=True)
    passing = models.BooleanField(default=False)
    seen = models.PositiveIntegerField(default=0)
    done = models.IntegerField(default=0)
    read_at = models.DateTimeField(_("read"), null=True)

    class Meta:
        verbose_name = _("item of a source")
        verbose_name_plural = _("items of sources")
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="prosa_item_once")]
        indexes = [models.Index(fields=["source", "done"], name="prosa_item_undone")]

    def __str__(self) -> str:
        return self.key


class Change(models.Model):
    """A row of a table that feeds knowledge has changed. Written by the triggers of ``triggers.attach``, taken by its chore."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=2000)


class Chunk(models.Model):
    """A passage of a document, with what search needs: ``terms``, ``counts`` and ``length`` as ``analysis.Terms`` has them.

    Written by ``prosa.knowledge.index`` alone. ``business`` repeats the document's, for searches start from it.
    """

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    section = models.CharField(_("section"), max_length=500, blank=True)
    text = models.TextField(_("text"))
    language = models.CharField(_("language"), max_length=10, blank=True)
    terms = ArrayField(models.IntegerField(), editable=False)
    counts = models.BinaryField(editable=False)
    length = models.PositiveIntegerField(editable=False)

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [
            models.UniqueConstraint(fields=["document", "position"], name="prosa_chunk_once"),
        ]
        indexes = [
            # Without its pending list: every search would read it through, once per term.
            GinIndex(fields=["terms"], name="prosa_chunk_terms", fastupdate=False),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class TermCount(models.Model):
    """In how many chunks of a business a term occurs. Kept by triggers on the chunks, in their transaction."""

    pk = models.CompositePrimaryKey("business", "term")
    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    term = models.IntegerField()
    chunks = models.IntegerField()


class Extent(models.Model):
    """How many chunks a business has and how many words they hold. Its row is locked by whoever changes them."""

    business = models.OneToOneField(Business, on_delete=models.CASCADE, related_name="+", primary_key=True)
    chunks = models.BigIntegerField(default=0)
    words = models.BigIntegerField(default=0)


@receiver(pre_delete, sender=Source)
def _take_turns(instance: Source, **_: object) -> None:
    """Whoever deletes a source waits for its run's transaction, instead of meeting it halfway."""
    list(Source.objects.select_for_update().filter(pk=instance.pk).values_list("pk"))


@receiver(post_delete, sender=Source)
def _delete_file(instance: Source, **_: object) -> None:
    """Its upload goes with it."""
    if instance.file:
        stored = instance.file
        transaction.on_commit(lambda: stored.storage.delete(str(stored.name)), robust=True)
