"""What a wrong gradient looks like in numbers: a factor, a sign, zeros, a transposed matrix, the rows that are missing.

It needs no second run: what was got is compared with the oracle's gradients tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .protocol import Array, Outputs

# Tensors point the same way when their correlation is above this; a factor is a number when this near to it.
_SAME_WAY, _NEAR = 0.9999, 2e-3
_IGNORED = -100


def explain(got: Outputs, exact: Outputs, inputs: Mapping[str, Any]) -> str:
    """In what way gradients differ from the right ones.

    Args:
        got: what an implementation returned, by name.
        exact: the right ones.
        inputs: of the call, whose counts a factor may be.
    """
    there = [name for name in exact if name != "loss" and name in got]
    names = [name for name in there if got[name].shape == exact[name].shape and exact[name].any()]
    factors = {name: _factor(got[name], exact[name]) for name in names}
    off = [name for name in names if not _is(factors[name], 1.0)]
    if not off:
        return "every tensor points the right way: the difference is a small part of it"
    common = factors[off[0]]
    if common is not None and all(_is(factors[name], common) for name in off):
        which = "every tensor" if len(off) == len(names) else f"{len(off)} of {len(names)} tensors ({_listed(off)})"
        verb = "is" if len(off) == len(names) else "are"
        return f"{which} {verb} {_scaled(common, inputs)}"
    told = "; ".join(f"{name} {_described(got[name], exact[name], factors[name], inputs)}" for name in off[:3])
    return f"{len(off)} of {len(names)} tensors differ, the others are right: {told}"


def scale(ratio: float, inputs: Mapping[str, Any]) -> str:
    """What a gradient that is `ratio` times the right one may have gone through."""
    return _scaled(ratio, inputs)


def _factor(got: Array, exact: Array) -> float | None:
    """The number that the right gradient was multiplied by; None where it was not."""
    g, e = got.astype(np.float64).ravel(), exact.astype(np.float64).ravel()
    if not np.isfinite(g).all():
        return None
    if not g.any():
        return 0.0
    way = float(g @ e) / float(np.linalg.norm(g) * np.linalg.norm(e))
    return float(g @ e) / float(e @ e) if abs(way) >= _SAME_WAY else None


def _described(got: Array, exact: Array, factor: float | None, inputs: Mapping[str, Any]) -> str:
    if not np.isfinite(got).all():
        return f"holds {int((~np.isfinite(got)).sum())} values that are not finite"
    if factor is not None:
        return f"is {_scaled(factor, inputs)}"
    turned = got.T if got.ndim == 2 and got.shape[0] == got.shape[1] else None
    if turned is not None and _is(_factor(turned, exact), 1.0):
        return "is transposed"
    lost = (exact.reshape(len(exact), -1) != 0).any(axis=1) & ~(got.reshape(len(got), -1) != 0).any(axis=1)
    if lost.any():
        return (
            f"is 0 in {int(lost.sum())} of {len(lost)} rows where it should not be, first in row {int(lost.argmax())}"
        )
    size = np.linalg.norm(got - exact) / np.linalg.norm(exact)
    part = float((got * exact).sum()) / float(np.linalg.norm(got) * np.linalg.norm(exact))
    return f"has another direction (cosine {part:.4f}, difference {size:.2g} of it): a term is missing or added"


def _scaled(factor: float, inputs: Mapping[str, Any]) -> str:
    if factor == 0.0:
        return "0 throughout: cut off"
    if _is(factor, -1.0):
        return "the right one with the sign turned"
    told = f"{factor:.4g} times the right one"
    for what, count in _counts(inputs).items():
        if count > 1 and _is(abs(factor), float(count)):
            return f"{told}: off by n = {count}, {what}; a sum where a mean is meant"
        if count > 1 and _is(abs(factor) * count, 1.0):
            return f"{told}: off by 1/n, n = {count}, {what}; divided once too often"
    return told


def _counts(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Numbers that a loss is often divided by."""
    sequence = inputs.get("input_ids", inputs.get("inputs_embeds"))
    shape = np.shape(sequence)[: 2 if "input_ids" not in inputs else None]
    counts = {"the rows": shape[0] if shape else 1, "the tokens": int(np.prod(shape)), "the length": shape[-1]}
    labels = inputs.get("labels")
    if labels is not None:
        active = np.asarray(labels) != _IGNORED
        counts |= {"the labels that count": int(active.sum()), "the labels": active.size}
        counts |= {"the labels that count after the shift": int(active[..., 1:].sum())} if active.ndim > 1 else {}
    return counts


def _is(factor: float | None, number: float) -> bool:
    return factor is not None and abs(factor - number) <= _NEAR * abs(number)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
