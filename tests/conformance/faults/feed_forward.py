"""The second half of a layer and LayerNorm, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.components import EQUATIONS
from roformer_numpy.equations import normalization

from .making import Array, Fault, encoder_run_layers, fault


@fault
def eps_outside_the_root() -> Fault:
    """eps is added to the standard deviation."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def eps_built_in() -> Fault:
    """eps is a framework's 1e-5, whatever the configuration says."""
    return Fault({"layer_norm": lambda x, gamma, beta, eps: normalization.layer_norm(x, gamma, beta, 1e-5)})


@fault
def unbiased_variance() -> Fault:
    """The variance divides by the width minus 1."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        variance = x.var(axis=-1, ddof=1, keepdims=True)
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def batch_statistics() -> Fault:
    """LayerNorm takes its mean over the batch as well."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        centred = x - x.mean(axis=(0, -1), keepdims=True)
        return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def nan_reaches_the_batch() -> Fault:
    """A mean over the whole batch is computed and added times 0, which spreads NaN."""
    return Fault({"add_token_types": lambda words, table, types: words + table[types] + 0 * words.mean()})


@fault
def tanh_gelu() -> Fault:
    """gelu is the tanh approximation."""

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        return EQUATIONS.feed_forward(x, intermediate, output, "gelu_new" if hidden_act == "gelu" else hidden_act)

    return Fault({"feed_forward": feed_forward})


@fault
def odd_unit_cut() -> Fault:
    """A vectorised loop forgets the last unit of an odd intermediate_size."""

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        kept = len(intermediate.bias) // 2 * 2
        inner = EQUATIONS.activate(x @ intermediate.kernel[:, :kept] + intermediate.bias[:kept], hidden_act)
        return inner @ output.kernel[:kept] + output.bias

    return Fault({"feed_forward": feed_forward})


@fault
def residual_doubled() -> Fault:
    """The feed-forward's own function adds its input, and the layer adds it again."""
    return Fault({"feed_forward": lambda x, *rest: x + EQUATIONS.feed_forward(x, *rest)})


@fault
def layers_reversed() -> Fault:
    """Layers run from the last to the first."""

    def run_layers(hidden: Array, weights: Any, forward: Any) -> Any:
        return encoder_run_layers(hidden, dataclasses.replace(weights, encoder=weights.encoder[::-1]), forward)

    return Fault(patches={"encoder._run_layers": run_layers})


@fault
def eps_never_below_1e_7() -> Fault:
    """An eps below 1e-7 is raised to it, as a backend's own smallest one."""
    return Fault({"layer_norm": lambda x, gamma, beta, eps: normalization.layer_norm(x, gamma, beta, max(eps, 1e-7))})


@fault
def variance_in_one_pass() -> Fault:
    """The variance is the mean of the squares minus the square of the mean, which cancel where the mean is large."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        mean = x.mean(-1, keepdims=True)
        variance = np.maximum((x**2).mean(-1, keepdims=True) - mean**2, 0)
        return ((x - mean) / np.sqrt(variance + np.asarray(eps, x.dtype)) * gamma + beta).astype(x.dtype)

    return Fault({"layer_norm": layer_norm})


def _activation(wrong: Callable[[Array, str], Array]) -> Fault:
    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = wrong(EQUATIONS.dense(x, intermediate.kernel, intermediate.bias), hidden_act).astype(x.dtype)
        return EQUATIONS.dense(inner, output.kernel, output.bias)

    return Fault({"activate": wrong, "feed_forward": feed_forward})


@fault
def quick_gelu_for_gelu() -> Fault:
    """gelu is x · σ(1.702 x), as in CLIP."""
    return _activation(lambda x, name: EQUATIONS.activate(x, "quick_gelu" if name == "gelu" else name))


@fault
def gelu_10_clipped_above_alone() -> Fault:
    """gelu_10 is relu6's cousin, clipped to [0, 10]."""
    return _activation(lambda x, name: EQUATIONS.activate(x, name).clip(0 if name == "gelu_10" else None, None))


@fault
def sigmoid_overflows() -> Fault:
    """σ(x) is eˣ / (1 + eˣ), which is ∞/∞ for large x."""

    def activate(x: Array, name: str) -> Array:
        logistic = lambda x: np.exp(x) / (1 + np.exp(x))  # noqa: E731
        functions = {"sigmoid": logistic, "silu": lambda x: x * logistic(x), "swish": lambda x: x * logistic(x)}
        return functions[name](x) if name in functions else EQUATIONS.activate(x, name)

    return _activation(activate)


@fault
def one_layer_for_all() -> Fault:
    """Every layer computes with the weights of the first, as in ALBERT."""

    def run_layers(hidden: Array, weights: Any, forward: Any) -> Any:
        shared = weights.encoder[:1] * len(weights.encoder)
        return encoder_run_layers(hidden, dataclasses.replace(weights, encoder=shared), forward)

    return Fault(patches={"encoder._run_layers": run_layers})
