"""The formulas that checks work out by hand, in float64 and apart from the reference, so that no mistake is shared.

Weights are found by the end of their flat Hugging Face name, whatever prefix a head puts before it; kernels are
[out, in] as PyTorch stores them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from .protocol import Array

Weights = Mapping[str, Array]

# Makes a branch of a layer, or a tensor of any kind, vanish.
ATTENTION_OUTPUT = r"\.attention\.output\.dense\."
FEED_FORWARD_OUTPUT = r"\d\.output\.dense\."


def edited(weights: Weights, edits: Mapping[str, Callable[[Array], Array]]) -> dict[str, Array]:
    """A copy of `weights` in which every tensor whose name matches a pattern is replaced by function(tensor)."""
    changed = dict(weights)
    for pattern, function in edits.items():
        names = [name for name in weights if re.search(pattern, name)]
        if not names:
            raise KeyError(f"no weight matches {pattern!r}")
        changed |= {name: function(changed[name]) for name in names}
    return changed


def part(weights: Weights, ending: str) -> Array:
    """The one tensor whose name ends with `ending`."""
    found = [name for name in weights if name == ending or name.endswith(f".{ending}")]
    if len(found) != 1:
        raise KeyError(f"{len(found)} weights are called {ending!r}")
    return weights[found[0]].astype(np.float64)


def dense(x: Array, weights: Weights, name: str) -> Array:
    """Every feature of the output is a sum over those of the input, plus bias."""
    return np.einsum("...i,oi->...o", x.astype(np.float64), part(weights, f"{name}.weight")) + part(
        weights, f"{name}.bias"
    )


def standardised(x: Array, eps: float) -> Array:
    """Mean 0 and, but for eps, variance 1 along the last axis."""
    x = x.astype(np.float64)
    mean = x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = ((x - mean) ** 2).sum(axis=-1, keepdims=True) / x.shape[-1]
    return (x - mean) / (variance + eps) ** 0.5


def layer_norm(x: Array, weights: Weights, name: str, eps: float) -> Array:
    """Standardised, scaled and shifted."""
    return standardised(x, eps) * part(weights, f"{name}.weight") + part(weights, f"{name}.bias")


def heads_of(x: Array, heads: int) -> Array:
    """(batch, seq_len, heads · d) → (batch, heads, seq_len, d): head h owns the features h·d to (h+1)·d."""
    return np.stack(np.split(x, heads, axis=-1), axis=1)


def turned(x: Array, first: int = 0) -> Array:
    """Each pair (2i, 2i+1) as a complex number times exp(i·p·θ_i), p counted from `first` along the last axis but one.

    The angles go through the paper's own definition, so that nothing is shared with a table of sines.
    """
    head_dim = x.shape[-1]
    theta = np.array([10000.0 ** (-2.0 * pair / head_dim) for pair in range(head_dim // 2)])
    positions = np.arange(first, first + x.shape[-2], dtype=np.float64)
    pairs = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * positions[:, None] * theta)
    result = np.empty(x.shape, np.float64)
    result[..., 0::2], result[..., 1::2] = pairs.real, pairs.imag
    return result


def softmax(scores: Array, visible: Array) -> Array:
    """exp(score) over the sum of it, among the visible keys; a row without any is uniform over all."""
    scores = np.where(visible, scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    weights = np.where(np.isfinite(top), np.exp(scores - np.where(np.isfinite(top), top, 0.0)), 1.0)
    return weights / weights.sum(axis=-1, keepdims=True)


def negative_log_likelihood(logits: Array, labels: Array) -> Array:
    """−ln softmax(logits)[label] along the last axis, one number for each label.

    Differences from the largest logit are taken first: the logarithm of a sum beside logits in the hundreds would lose
    all digits of a small loss.
    """
    logits = logits.astype(np.float64)
    below = logits - logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(below).sum(axis=-1)) - np.take_along_axis(below, labels[..., None], axis=-1)[..., 0]


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _gelu(x: float) -> float:
    return x * math.erfc(-x / math.sqrt(2.0)) / 2.0


def _tanh_gelu(x: float) -> float:
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


_ACTIVATIONS: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "gelu": _gelu,
        "gelu_new": _tanh_gelu,
        "gelu_fast": lambda x: 0.5 * x * (1.0 + math.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x))),
        "quick_gelu": lambda x: x * _logistic(1.702 * x),
        "gelu_10": lambda x: min(max(_gelu(x), -10.0), 10.0),
        "relu": lambda x: max(x, 0.0),
        "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
        "silu": lambda x: x * _logistic(x),
        "swish": lambda x: x * _logistic(x),
        "mish": lambda x: x * math.tanh(max(x, 0.0) + math.log1p(math.exp(-abs(x)))),
        "sigmoid": _logistic,
        "tanh": math.tanh,
    }
)


def activation(name: str, x: Array) -> Array:
    """The activation called `name`, number by number (CFG-2)."""
    return np.array([_ACTIVATIONS[name](float(item)) for item in x.flat]).reshape(x.shape)


def within_reach(weights: Array) -> Array:
    """Where a score lies within 80 of its row's largest, by the exact weights: a smaller one may weigh 0 (DEC-2.2)."""
    near: Array = weights >= np.exp(-80.0) * weights.max(axis=-1, keepdims=True)
    return near
