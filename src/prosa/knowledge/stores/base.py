"""What every vector store promises. Held by ``tests/knowledge/test_stores.py``, one class that all stores inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prosa.errors import BadInput


@dataclass(frozen=True, slots=True)
class Stored:
    """The vector of one chunk, under one model."""

    chunk_id: int
    vector: Sequence[float]


class VectorStore(ABC):
    """Vectors of chunks, per business and model.

    A chunk has one vector per model, so that a new model can be filled in while the old one serves. All vectors of a
    model are of one length. A store knows no texts; whoever deletes a chunk calls :meth:`forget`.

    All raise :class:`BadInput` for vectors that do not fit, :class:`TemporaryError` when the store cannot be reached and
    :class:`ConfigurationError` when it is not set up.
    """

    @abstractmethod
    async def put(self, business_id: int, model: str, items: Sequence[Stored]) -> None:
        """Keep them, in place of what these chunks had under this model. All or none.

        :raises BadInput: the vectors differ in length from each other or from those of the model.
        """

    @abstractmethod
    async def forget(self, business_id: int, ids: Sequence[int]) -> None:
        """Drop these chunks' vectors of every model. Unknown ids are fine."""

    @abstractmethod
    async def nearest(
        self, business_id: int, model: str, vector: Sequence[float], limit: int
    ) -> list[tuple[int, float]]:
        """The chunks nearest to ``vector``, best first, each with its cosine similarity (-1..1). Empty for an unknown model.

        :raises BadInput: ``vector`` is not of the model's length.
        """

    @abstractmethod
    async def similarities(
        self, business_id: int, model: str, vector: Sequence[float], ids: Sequence[int]
    ) -> Mapping[int, float]:
        """The cosine similarity of these chunks to ``vector``; those without a vector under the model are left out.

        :raises BadInput: ``vector`` is not of the model's length.
        """

    @abstractmethod
    async def models(self, business_id: int) -> Mapping[str, int]:
        """The models under which the business has vectors, and of how many chunks."""

    @abstractmethod
    async def held(self, business_id: int, model: str, ids: Sequence[int]) -> frozenset[int]:
        """Which of these chunks have a vector under this model; the others are still to be embedded."""

    @abstractmethod
    async def drop(self, business_id: int, model: str) -> None:
        """Forget everything under a model that no longer serves."""

    async def tend(self, model: str) -> None:
        """What a store wants done after many puts, such as an index. May take minutes, holds nobody up."""

    async def close(self) -> None:
        """Let go of the store's own connections."""


def length_of(items: Sequence[Stored]) -> int:
    """How many numbers each of these vectors has; 0 when there are none.

    :raises BadInput: they differ, or one is empty or all zeros, which has no direction.
    """
    lengths = {len(item.vector) for item in items}
    if len(lengths) > 1 or 0 in lengths or not all(any(item.vector) for item in items):
        raise BadInput("The vectors differ in length, or one of them is empty.\nEmbed them all with one model.")
    return lengths.pop() if lengths else 0


def misfit(model: str, given: int, kept: int) -> BadInput:
    """The error for a vector that is not as long as those of its model."""
    return BadInput(
        f"A vector of {given} numbers does not fit {model}, which has {kept}.\nDrop the model's vectors, or correct the model's name."
    )
