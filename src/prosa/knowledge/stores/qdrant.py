"""Vectors in Qdrant: one collection per model, the business in each point's payload and in every filter."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prosa.errors import ConfigurationError, PermanentError, TemporaryError
from prosa.knowledge.stores.base import Stored, VectorStore, length_of, misfit

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient
    from qdrant_client import models as q

PREFIX = "prosa_"
AT_ONCE = 256
_POINTS = uuid.UUID("6a1ddc0b-6f3a-4a5e-9c57-0d2b1f1c7e11")


class Qdrant(VectorStore):
    """The store behind a client. ``indexed`` False for the client's local mode, which knows no payload indexes."""

    def __init__(self, client: AsyncQdrantClient, *, indexed: bool = True) -> None:
        self._client, self._indexed = client, indexed
        self._lengths: dict[str, int] = {}

    @classmethod
    def at(cls, url: str, key: str = "") -> Qdrant:
        """The store at an address.

        :raises ConfigurationError: the package is not installed.
        """
        try:
            from qdrant_client import AsyncQdrantClient
        except ImportError as error:
            raise ConfigurationError(
                "PROSA_QDRANT_URL is set and the package for Qdrant is not installed.\nRun: pip install 'prosa[qdrant]'"
            ) from error
        return cls(AsyncQdrantClient(url=url, api_key=key or None, timeout=10, check_compatibility=False))

    async def put(self, business_id: int, model: str, items: Sequence[Stored]) -> None:
        """As :meth:`VectorStore.put`."""
        from qdrant_client import models as q

        given = length_of(items)
        if not given:
            return
        async with self._errors():
            await self._collection(model, given)
            latest = {item.chunk_id: item.vector for item in items}
            points = [
                q.PointStruct(
                    id=_point(business_id, chunk_id),
                    vector=list(vector),
                    payload={"business": str(business_id), "chunk": chunk_id},
                )
                for chunk_id, vector in latest.items()
            ]
            for start in range(0, len(points), AT_ONCE):
                await self._client.upsert(_collection(model), points[start : start + AT_ONCE], wait=True)

    async def forget(self, business_id: int, ids: Sequence[int]) -> None:
        """As :meth:`VectorStore.forget`."""
        from qdrant_client import models as q

        if not ids:
            return
        chosen = q.PointIdsList(points=[_point(business_id, chunk_id) for chunk_id in ids])
        async with self._errors():
            for name in await self._collections():
                await self._client.delete(name, chosen, wait=True)

    async def nearest(
        self, business_id: int, model: str, vector: Sequence[float], limit: int
    ) -> list[tuple[int, float]]:
        """As :meth:`VectorStore.nearest`."""
        length_of([Stored(0, vector)])
        async with self._errors():
            kept = await self._length(model)
            if kept is None:
                return []
            if kept != len(vector):
                raise misfit(model, len(vector), kept)
            found = await self._client.query_points(
                _collection(model),
                query=list(vector),
                query_filter=_of(business_id),
                limit=limit,
                with_payload=["chunk"],
            )
        return [(int((point.payload or {})["chunk"]), float(point.score)) for point in found.points]

    async def similarities(
        self, business_id: int, model: str, vector: Sequence[float], ids: Sequence[int]
    ) -> Mapping[int, float]:
        """As :meth:`VectorStore.similarities`."""
        from qdrant_client import models as q

        length_of([Stored(0, vector)])
        async with self._errors():
            kept = await self._length(model)
            if kept is None or not ids:
                return {}
            if kept != len(vector):
                raise misfit(model, len(vector), kept)
            chosen = _of(business_id, q.HasIdCondition(has_id=[_point(business_id, each) for each in ids]))
            found = await self._client.query_points(
                _collection(model), query=list(vector), query_filter=chosen, limit=len(ids), with_payload=["chunk"]
            )
        return {int((point.payload or {})["chunk"]): float(point.score) for point in found.points}

    async def models(self, business_id: int) -> Mapping[str, int]:
        """As :meth:`VectorStore.models`."""
        counted = {}
        async with self._errors():
            for name in await self._collections():
                counted[_model(name)] = (await self._client.count(name, _of(business_id), exact=True)).count
        return {model: count for model, count in sorted(counted.items()) if count}

    async def held(self, business_id: int, model: str, ids: Sequence[int]) -> frozenset[int]:
        """As :meth:`VectorStore.held`."""
        async with self._errors():
            if not ids or await self._length(model) is None:
                return frozenset()
            found = await self._client.retrieve(
                _collection(model), [_point(business_id, chunk_id) for chunk_id in ids], with_payload=["chunk"]
            )
        return frozenset(int((point.payload or {})["chunk"]) for point in found)

    async def drop(self, business_id: int, model: str) -> None:
        """As :meth:`VectorStore.drop`."""
        from qdrant_client import models as q

        async with self._errors():
            if await self._length(model) is not None:
                chosen = q.FilterSelector(filter=_of(business_id))
                await self._client.delete(_collection(model), chosen, wait=True)
                if not (await self._client.count(_collection(model), exact=True)).count:
                    # Empty for everyone: the next vectors of this name may be of another length.
                    await self._client.delete_collection(_collection(model))
                    self._lengths.pop(model, None)

    async def close(self) -> None:
        """As :meth:`VectorStore.close`."""
        await self._client.close()

    async def _collections(self) -> list[str]:
        every = await self._client.get_collections()
        return [one.name for one in every.collections if one.name.startswith(PREFIX)]

    async def _length(self, model: str) -> int | None:
        if model not in self._lengths:
            if not await self._client.collection_exists(_collection(model)):
                return None
            found = await self._client.get_collection(_collection(model))
            self._lengths[model] = found.config.params.vectors.size  # type: ignore[union-attr]  # we made it with one vector
        return self._lengths[model]

    async def _collection(self, model: str, given: int) -> None:
        """Make the model's collection, unless it is there.

        :raises BadInput: it is there with another length.
        """
        from qdrant_client import models as q
        from qdrant_client.http.exceptions import UnexpectedResponse

        kept = await self._length(model)
        if kept is None:
            try:
                await self._client.create_collection(
                    _collection(model), vectors_config=q.VectorParams(size=given, distance=q.Distance.COSINE)
                )
            except UnexpectedResponse as error:
                if error.status_code != 409:  # another process was first
                    raise
            if self._indexed:
                # Points of one business lie together, and its searches look at nothing else.
                await self._client.create_payload_index(
                    _collection(model),
                    "business",
                    q.KeywordIndexParams(type=q.KeywordIndexType.KEYWORD, is_tenant=True),
                )
            kept = await self._length(model)
        if kept is not None and kept != given:
            raise misfit(model, given, kept)

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as error:
            if error.status_code is not None and 400 <= error.status_code < 500 and error.status_code != 429:
                raise PermanentError(
                    f"Qdrant refused with {error.status_code}.\nCheck PROSA_QDRANT_URL and PROSA_QDRANT_API_KEY."
                ) from error
            raise TemporaryError("Qdrant does not work now.\nTry again.") from error
        except (ApiException, OSError) as error:
            raise TemporaryError("Qdrant cannot be reached.\nTry again.") from error


def _collection(model: str) -> str:
    """The model's name in letters every collection may have, and back by :func:`_model`."""
    return PREFIX + base64.b32encode(model.encode()).decode().rstrip("=").lower()


def _model(collection: str) -> str:
    packed = collection.removeprefix(PREFIX).upper()
    return base64.b32decode(packed + "=" * (-len(packed) % 8)).decode()


def _point(business_id: int, chunk_id: int) -> str:
    return str(uuid.uuid5(_POINTS, f"{business_id}:{chunk_id}"))


def _of(business_id: int, *more: q.Condition) -> q.Filter:
    from qdrant_client import models as q

    return q.Filter(must=[q.FieldCondition(key="business", match=q.MatchValue(value=str(business_id))), *more])
