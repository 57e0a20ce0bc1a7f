"""What the business has said in advance, and what it knows: documents in chunks that can be searched."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business


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
    search = SearchVectorField(null=True, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("approved answer")
        verbose_name_plural = _("approved answers")
        indexes = [GinIndex(fields=["search"], name="prosa_answer_search")]

    def __str__(self) -> str:
        return self.question


class Document(models.Model):
    """A text of the business that answers may be drawn from. Its chunks are what is searched.

    ``source`` is its kind and name (``upload``, ``jsonl``…; ``prices.pdf``), ``external_id`` the name its source gives it,
    ``checksum`` the SHA-256 of everything its chunks were made from.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="documents"
    )
    source_kind = models.CharField(max_length=30, blank=True)
    source_name = models.CharField(max_length=300, blank=True)
    external_id = models.CharField(max_length=300)
    title = models.CharField(_("title"), max_length=500, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    url = models.TextField(blank=True)
    checksum = models.CharField(max_length=64)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        constraints = [
            models.UniqueConstraint(fields=["business", "external_id"], name="prosa_document_once"),
        ]

    def __str__(self) -> str:
        return self.title or self.external_id


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
