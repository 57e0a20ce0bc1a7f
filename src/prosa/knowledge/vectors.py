"""The tables of vectors and of embeddings once computed. Python reads and writes them by SQL (``stores/pgvector``, ``cache``);
these models are for migrations and for tests, which empty the tables they know.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from prosa.business.models import Business


class VectorField(models.TextField):  # type: ignore[type-arg]  # only the stubs know arguments
    """pgvector's column without a fixed length, as text."""

    def db_type(self, connection: Any) -> str:
        """The extension's own type."""
        return "vector"


class Vector(models.Model):
    """A chunk's vector under one model."""

    pk = models.CompositePrimaryKey("business_id", "model", "chunk_id")
    # The database itself deletes them with their business: without pgvector there is no table for Django to look into.
    business = models.ForeignKey(Business, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    model = models.CharField(max_length=150)
    chunk_id = models.BigIntegerField()
    vector = VectorField()

    class Meta:
        db_table = "prosa_knowledge_vector"
        # For the length of a model's vectors, and how many there are.
        indexes = [models.Index(fields=["model"], name="prosa_vector_model")]


class Embedding(models.Model):
    """A text's vector by the hash of text and model: the second level of the cache where there is no Redis."""

    key = models.CharField(max_length=64, primary_key=True)
    value = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "prosa_knowledge_embedding"
