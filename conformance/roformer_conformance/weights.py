"""Random weights with a purpose: each profile makes another kind of mistake visible."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .precision import PRECISIONS, rounded
from .protocol import Array

# What each profile draws: scale of embeddings, gain of dense kernels, extra gain of query and key, spread of biases and
# of LayerNorm scales.
PROFILES: Mapping[str, tuple[float, float, float, float, float]] = {
    "strong": (0.5, 1.2, 1.0, 0.1, 0.2),  # non-zero biases, gamma ≠ 1: nothing can be left out unseen
    "hf_init": (0.02, 0.02, 1.0, 0.0, 0.0),  # as the transformers library initialises: kernels 0.02, biases 0
    "high_score": (0.5, 1.2, 5.0, 0.1, 0.2),  # attention scores near 1e2: masks and softmax under load
    "raised_score": (0.5, 1.2, 2.0, 0.1, 0.2),  # near 16: in bfloat16 scores near 1e2 are known to half a unit only
    "huge_score": (0.5, 1.2, 300.0, 0.1, 0.2),  # scores near 1e5, which overcome any mask that only subtracts
    "low_variance": (1e-4, 1.2, 1.0, 0.1, 0.2),  # tiny embeddings: eps in the LayerNorm shows
}


# The one profile that is not drawn: the trained model that comes with the package, for cases of exactly its sizes.
TRAINED = "trained"


def draw_weights(shapes: Mapping[str, tuple[int, ...]], profile: str, seed: int, dtype: str) -> dict[str, Array]:
    """Weights for the schema `shapes`, as float64 values that `dtype` can represent.

    Rounding comes first, so that an implementation is not charged for the rounding of its weights. A tensor depends on
    seed, profile and its own name alone.

    Args:
        shapes: flat Hugging Face names to shapes, kernels [out, in].
        profile: one of PROFILES.
        seed: of the draw.
        dtype: floating-point type of the implementation.
    """
    draws = _Draws(seed)
    return {name: rounded(_draw(draws.of(name), name, shape, profile, dtype), dtype) for name, shape in shapes.items()}


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Randomness of its own for each purpose, from a key: a seed sequence would cost more than what is drawn."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, zlib.crc32(purpose.encode())], np.uint64)))


class _Draws:
    """`generator` for one purpose after the other, by turning the key of one: making it costs more than a tensor."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generator = generator(seed, "")
        self._start: Any = self._generator.bit_generator.state

    def of(self, purpose: str) -> np.random.Generator:
        """The generator for `purpose`, until the next one is asked for."""
        self._start["state"]["key"][:] = self._seed, zlib.crc32(purpose.encode())
        self._generator.bit_generator.state = self._start
        return self._generator


def _draw(draw: np.random.Generator, name: str, shape: tuple[int, ...], profile: str, dtype: str) -> Array:
    embedding, gain, score_gain, bias, gamma = PROFILES[profile]
    normal = draw.standard_normal(shape)
    if "embeddings.weight" in name:
        return embedding * normal
    if "LayerNorm.weight" in name:
        return 1.0 + gamma * normal
    if name.endswith("bias"):
        return bias * normal
    scale = gain if profile == "hf_init" else gain / np.sqrt(shape[-1])
    score_gain = min(score_gain, PRECISIONS[dtype].query_gain)
    return normal * scale * (score_gain if ".query." in name or ".key." in name else 1.0)
