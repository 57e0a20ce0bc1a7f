"""The tables of vectors and of embeddings once computed. Python reads and writes them by SQL (``stores/pgvector``, ``filling``, ``cache``);
these models are for migrations and for tests, which empty the tables they know.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

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


class Filling(models.Model):
    """How far a business's chunks have vectors under one model in one store.

    Every chunk with an id up to ``upto`` has one. From ``complete_at`` on the model may serve; chunks that came later are
    filled in behind it. ``problem`` is why it does not go on, empty while it does.
    """

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    store = models.CharField(max_length=20)
    model = models.CharField(max_length=150)
    upto = models.BigIntegerField(db_default=0)
    complete_at = models.DateTimeField(null=True)
    problem = models.TextField(db_default="")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "prosa_knowledge_filling"
        constraints = [
            models.UniqueConstraint(fields=["business", "store", "model"], name="prosa_filling_once"),
        ]

    def __str__(self) -> str:
        return f"{self.model} in {self.store}"


class Forgotten(models.Model):
    """A vector that another server than PostgreSQL still has to delete: a chunk's, or all that a business had under a model.

    Written by triggers, in the transaction that deletes the chunk or the business; without a foreign key, to outlive both.
    """

    business_id = models.BigIntegerField()
    chunk_id = models.BigIntegerField(null=True)
    model = models.CharField(max_length=150, db_default="")

    class Meta:
        db_table = "prosa_knowledge_forgotten"
