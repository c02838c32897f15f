"""Embeddings, LayerNorm, the feed-forward and what joins them to layers, as they are done wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...protocol import Array
from ..calls import Call
from .making import Swap, Variant, swapped

Norm = Callable[[Array], Array]


def _norm(formula: Callable[..., Array]) -> Swap:
    """Another LayerNorm: formula(x, gamma, beta, eps)."""
    return swapped(layer_norm=formula)


def _eps(change: Callable[[float], float]) -> Swap:
    return lambda right, call: {"layer_norm": lambda x, gamma, beta, eps: right.layer_norm(x, gamma, beta, change(eps))}


def _standard(x: Array, eps: float, axis: int | tuple[int, ...] = -1) -> Array:
    return np.asarray((x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps))


def _root_mean_square(x: Array, eps: float) -> Array:
    return np.asarray(x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps))


def _in_embeddings(change: Callable[..., Array]) -> Swap:
    """change(x, gamma, beta, eps) in place of the first LayerNorm."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        norms = [0]

        def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
            norms[0] += 1
            return np.asarray((change if norms[0] == 1 else right.layer_norm)(x, gamma, beta, eps))

        return {"layer_norm": layer_norm}

    return swap


def _absent_types_are_one(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    types = inputs.get("token_type_ids")
    return {"token_type_ids": np.ones_like(inputs["input_ids"]) if types is None else types}


def _in_one_pass(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        x = x.astype(call.dtype)
        mean = x.mean(-1, keepdims=True)
        variance = np.maximum((x**2).mean(-1, keepdims=True) - mean**2, 0)
        return np.asarray((x - mean) / np.sqrt(variance + np.asarray(eps, x.dtype)) * gamma + beta)

    return {"layer_norm": layer_norm}


def _types_after_norm(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    waiting: list[Array] = []

    def add(words: Array, table: Array, types: Array) -> Array:
        waiting.append(table[types])
        return words

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return np.asarray(right.layer_norm(x, gamma, beta, eps) + (waiting.pop() if waiting else 0.0))

    return {"add_token_types": add, "layer_norm": layer_norm}


def _joined(join: Callable[[str, Array, Array, Norm], Array]) -> Swap:
    """join(which half, x, its branch, LayerNorm) in place of LayerNorm(x + branch)."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        inputs: list[Array] = []
        half: list[tuple[str, Array]] = []

        def dense(x: Array, kernel: Array, bias: Array) -> Array:
            inputs.append(x)
            return np.asarray(right.dense(x, kernel, bias))

        def scores(query: Array, key: Array) -> Array:
            # query, key and value were computed just before, the query from the layer's own input
            half[:] = [("attention", inputs[-3])]
            return np.asarray(right.attention_scores(query, key))

        def feed_forward(x: Array, *rest: Any) -> Array:
            half[:] = [("feed-forward", x)]
            return np.asarray(right.feed_forward(x, *rest))

        def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
            def norm(y: Array) -> Array:
                return np.asarray(right.layer_norm(y, gamma, beta, eps))

            which, before = half.pop() if half else ("", x)
            return join(which, before, x - before, norm) if which else norm(x)

        return {"dense": dense, "attention_scores": scores, "feed_forward": feed_forward, "layer_norm": layer_norm}

    return swap


def _residual(which: str, times: float) -> Swap:
    return _joined(lambda half, x, branch, norm: norm((times if half == which else 1.0) * x + branch))


def _activation(names: Mapping[str, str]) -> Swap:
    """Activations taken for others; "" is none at all."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        def activate(x: Array, name: str) -> Array:
            wrong = names.get(name, name)
            return np.asarray(right.activate(x, wrong)) if wrong else x

        return {"activate": activate}

    return swap


def _odd_unit_cut(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    def feed_forward(x: Array, intermediate: Any, output: Any, act: str) -> Array:
        kept = len(intermediate.bias) // 2 * 2
        inner = right.activate(x @ intermediate.kernel[:, :kept] + intermediate.bias[:kept], act)
        return np.asarray(inner @ output.kernel[:kept] + output.bias)

    return {"feed_forward": feed_forward}


def _layers(order: Callable[[int, int], int]) -> Callable[[Call], dict[str, Array]]:
    """Weights in which layer n of N has those of layer order(n, N)."""

    def weights(call: Call) -> dict[str, Array]:
        count = call.config["num_hidden_layers"]

        def taken(name: str) -> str:
            return re.sub(r"\.layer\.(\d+)\.", lambda found: f".layer.{order(int(found[1]), count)}.", name)

        return {name: call.weights[taken(name)] for name in call.weights}

    return weights


WORDS, PROJECTION = r"embeddings\.word_embeddings\.weight$", r"embeddings_project\."
GELUS = ("gelu", "gelu_new", "gelu_fast", "quick_gelu", "relu", "silu", "tanh")
VARIANTS = (
    Variant("token types left out (EMB-1.1)", swapped(add_token_types=lambda words, table, types: words)),
    Variant(
        "every token type 0 (EMB-1.1)",
        inputs=lambda inputs: {"token_type_ids": 0 * np.asarray(inputs["token_type_ids"])},
    ),
    Variant("absent token types taken for 1 (IN-5.2)", inputs=_absent_types_are_one),
    Variant("token types added after the LayerNorm (EMB-1.1)", _types_after_norm),
    Variant(
        "ids counted from 1: each reads the next row (EMB-1.1)",
        swapped(lookup=lambda table, ids: table[(ids + 1) % len(table)]),
    ),
    Variant(
        "ids clamped to the row before (EMB-1.1)", swapped(lookup=lambda table, ids: table[np.maximum(ids - 1, 0)])
    ),
    Variant(
        "word embeddings times √E (EMB-1.1)", swapped(lookup=lambda table, ids: table[ids] * table.shape[1] ** 0.5)
    ),
    Variant("embeddings without LayerNorm (EMB-1.1)", _in_embeddings(lambda x, gamma, beta, eps: x)),
    Variant(
        "embeddings normalised over the positions (EMB-1.2)",
        _in_embeddings(lambda x, gamma, beta, eps: _standard(x, eps, 1) * gamma + beta),
    ),
    Variant("the projection E→H without bias (EMB-1.2)", weights={PROJECTION + "bias$": np.zeros_like}),
    Variant(
        "eps outside the root (FFN-4.4)",
        _norm(lambda x, g, b, eps: (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * g + b),
    ),
    Variant("eps 1e-5 built in (FFN-4.4)", _eps(lambda eps: 1e-5)),
    Variant("eps 1e-6 built in (FFN-4.4)", _eps(lambda eps: 1e-6)),
    Variant("eps 1e-12 built in (FFN-4.4)", _eps(lambda eps: 1e-12)),
    Variant("eps never below 1e-7 (FFN-4.4)", _eps(lambda eps: max(eps, 1e-7))),
    Variant("no eps (FFN-4.4)", _eps(lambda eps: 0.0)),
    Variant(
        "variance that divides by the width minus 1 (FFN-4.3)",
        _norm(
            lambda x, g, b, eps: (
                (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps) * g + b
            )
        ),
    ),
    Variant(
        "RMSNorm: the mean not taken away (FFN-4.3)",
        _norm(lambda x, g, b, eps: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps) * g + b),
    ),
    Variant("a variance in one pass, which cancels where the mean is large (EMB-1.1)", _in_one_pass),
    Variant("LayerNorm without gamma (FFN-4.3)", _norm(lambda x, g, b, eps: _standard(x, eps) + b)),
    Variant("LayerNorm without beta (FFN-4.3)", _norm(lambda x, g, b, eps: _standard(x, eps) * g)),
    Variant("LayerNorm with 1 + gamma (FFN-4.3)", _norm(lambda x, g, b, eps: _standard(x, eps) * (1.0 + g) + b)),
    Variant(
        "LayerNorm with the batch in its mean (MASK-4.1)",
        _norm(lambda x, g, b, eps: _root_mean_square(x - x.mean((0, -1), keepdims=True), eps) * g + b),
    ),
    Variant("no residual around the attention (ATT-3.4)", _residual("attention", 0.0)),
    Variant("no residual around the feed-forward (FFN-4.2)", _residual("feed-forward", 0.0)),
    Variant("the residual around the attention added twice (ATT-3.4)", _residual("attention", 2.0)),
    Variant("the residual around the feed-forward added twice (FFN-4.2)", _residual("feed-forward", 2.0)),
    Variant(
        "LayerNorm before the residual of the attention (ATT-3.4)",
        _joined(lambda half, x, branch, norm: x + norm(branch) if half == "attention" else norm(x + branch)),
    ),
    Variant(
        "LayerNorm before the residual of the feed-forward (FFN-4.2)",
        _joined(lambda half, x, branch, norm: x + norm(branch) if half == "feed-forward" else norm(x + branch)),
    ),
    Variant("LayerNorm before both residuals (ATT-3.4)", _joined(lambda half, x, branch, norm: x + norm(branch))),
    Variant("no LayerNorm in the layers (ATT-3.4)", _joined(lambda half, x, branch, norm: x + branch)),
    Variant("tanh-GELU in place of erf-GELU (FFN-4.1)", _activation({"gelu": "gelu_new"})),
    Variant("erf-GELU in place of tanh-GELU (FFN-4.1)", _activation({"gelu_new": "gelu", "gelu_fast": "gelu"})),
    Variant("quick GELU in place of GELU (FFN-4.1)", _activation({"gelu": "quick_gelu"})),
    Variant(
        "quick GELU in place of every other GELU (CFG-2.1)",
        _activation(dict.fromkeys(("gelu_new", "gelu_fast", "gelu_10"), "quick_gelu")),
    ),
    Variant(
        "ReLU in place of the activation (FFN-4.1)",
        _activation({name: "relu" for name in GELUS if name not in ("relu", "tanh")}),
    ),
    Variant("GELU whatever hidden_act says (CFG-2.1)", config={"hidden_act": "gelu"}),
    Variant(
        "no activation (FFN-4.1)",
        _activation(dict.fromkeys((*GELUS, "gelu_10", "selu", "swish", "mish", "sigmoid"), "")),
    ),
    Variant(
        "gelu_10 clipped to [0, 10] (CFG-2.1)",
        lambda right, call: {
            "activate": lambda x, name: right.activate(x, name).clip(0 if name == "gelu_10" else None)
        },
    ),
    Variant("the last unit of an odd intermediate_size forgotten (FFN-4.1)", _odd_unit_cut),
    Variant(
        "no bias in the feed-forward (FFN-4.1)", weights={r"\d\.(intermediate|output)\.dense\.bias$": np.zeros_like}
    ),
    Variant("layers from the last to the first (ATT-3.4)", weights=_layers(lambda number, count: count - 1 - number)),
    Variant("one layer's weights in all layers (ATT-3.4)", weights=_layers(lambda number, count: 0)),
)
