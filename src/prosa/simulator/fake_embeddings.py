"""The wire of embeddings: OpenAI's ``/embeddings`` and Gemini's ``batchEmbedContents`` and ``embedContent``.

Vectors are hashed bags of words: the same text always has the same one, and texts that share words are near each other.
The doubles keep the limits of the servers they stand for, so that a caller who ignores them is refused here too.
"""

from __future__ import annotations

from typing import Any

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import fake_llm_openai

OPENAI_TEXTS = 2048
OPENAI_BYTES = 8192 * 4
GEMINI_TEXTS = 100
GEMINI_DIMENSIONS = 3072
GEMINI_VERBS = frozenset({"embedContent", "batchEmbedContents"})


def openai(body: Json) -> Json:
    """The answer of ``POST /v1/embeddings``.

    :raises BadInput: the texts are none, empty, too many or too long.
    """
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    if len(texts) > OPENAI_TEXTS:
        raise BadInput(f"'input' must have at most {OPENAI_TEXTS} items.")
    for text in texts:
        if text == "":
            raise BadInput("'input' cannot be an empty string.")
        if isinstance(text, str) and len(text.encode("utf-8", "replace")) > OPENAI_BYTES:
            raise BadInput("This model's maximum context length is 8192 tokens.")
    return fake_llm_openai.embeddings(body)


def gemini(verb: str, body: Json) -> Json:
    """The answer of a Gemini model to one of :data:`GEMINI_VERBS`. Without usage, as the real one.

    :raises BadInput: a request is malformed, or there are none or too many.
    """
    if verb == "embedContent":
        return {"embedding": _embedded(body)}
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise BadInput("'requests' must be a list of requests.")
    if len(requests) > GEMINI_TEXTS:
        raise BadInput(f"at most {GEMINI_TEXTS} requests can be in one batch")
    return {"embeddings": [_embedded(request) for request in requests]}


def _embedded(request: Any) -> Json:
    content = request.get("content") if isinstance(request, dict) else None
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadInput("'content' must be a content with parts.")
    size = request.get("outputDimensionality", GEMINI_DIMENSIONS)
    if not isinstance(size, int) or not 1 <= size <= GEMINI_DIMENSIONS:
        raise BadInput(f"'outputDimensionality' must lie between 1 and {GEMINI_DIMENSIONS}.")
    return {"values": fake_llm_openai.embed("\n".join(str(part.get("text", "")) for part in parts), size)}
