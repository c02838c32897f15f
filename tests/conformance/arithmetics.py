"""Correct implementations that round differently: nobody may accuse one of them. By type, then by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.components import EQUATIONS

Array = Any


def reordered() -> NumpyAdapter:
    """The definition, its sums over features and keys in another order."""

    def parts(terms: int) -> list[Array]:
        return np.array_split(np.random.default_rng(terms).permutation(terms), 3)

    def dense(x: Array, kernel: Array, bias: Array) -> Array:
        return sum((x[..., part] @ kernel[part] for part in parts(len(kernel))), start=bias)

    def attend(probs: Array, value: Array) -> Array:
        chosen = parts(value.shape[-2])
        return sum((probs[..., part] @ value[..., part, :] for part in chosen[1:]), start=(
            probs[..., chosen[0]] @ value[..., chosen[0], :]))  # fmt: skip

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = EQUATIONS.activate(dense(x, intermediate.kernel, intermediate.bias), hidden_act)
        return dense(inner, output.kernel, output.bias)

    table = replace(EQUATIONS, name="reordered", dense=dense, attend=attend, feed_forward=feed_forward)
    return NumpyAdapter(table)


VARIANTS: Mapping[str, Mapping[str, Callable[[], NumpyAdapter]]] = MappingProxyType(
    {
        "float32": {
            "kernels": NumpyAdapter,
            "equations": lambda: NumpyAdapter("equations"),
            "reordered": reordered,
        },
    }
)

# What a table calls them.
DESCRIBED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("float32", "equations"): "the definition",
        ("float32", "reordered"): "its sums reordered",
        ("float32", "kernels"): "the compiled kernels",
    }
)
