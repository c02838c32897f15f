"""Scores, softmax, masks, causality and heads, as they are done wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...protocol import Array
from ..calls import Call
from .making import Swap, Variant, swapped

Probs = Callable[[Array, Array, bool], Array]


def _scores(factor: Callable[[Array, Array], Any]) -> Swap:
    """Scores times another factor."""
    return lambda right, call: {
        "attention_scores": lambda query, key: right.attention_scores(query, key) * factor(query, key)
    }


def _probs(change: Callable[[Probs, Array, Array, bool], Array]) -> Swap:
    """change(right softmax, scores, key_mask, causal) in place of the softmax."""
    return lambda right, call: {
        "attention_probs": lambda scores, mask, causal: change(right.attention_probs, scores, mask, causal)
    }


def _mask(change: Callable[[Array], Array]) -> Swap:
    """Another mask of the keys."""
    return _probs(lambda right, scores, mask, causal: right(scores, change(mask), causal))


def _softmax(scores: Array, axis: int = -1) -> Array:
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True))


def _seen(scores: Array, mask: Array, causal: bool, ahead: int = 0) -> Array:
    """Which keys each query sees; `ahead` shifts the edge of causality."""
    queries, keys = scores.shape[-2:]
    allowed = np.tri(queries, keys, keys - queries + ahead, dtype=bool) if causal else np.ones((queries, keys), bool)
    return np.asarray(mask[:, None, None, :] & allowed)


def _additive(size: float) -> Swap:
    return _probs(
        lambda right, scores, mask, causal: _softmax(scores + np.where(_seen(scores, mask, causal), 0.0, size))
    )


def _shifted(ahead: int) -> Swap:
    def probs(right: Probs, scores: Array, mask: Array, causal: bool) -> Array:
        if not causal:
            return right(scores, mask, causal)
        seen = _seen(scores, mask, causal, ahead) | (np.arange(scores.shape[-1]) == 0) * (ahead < 0)
        blind = ~seen.any(axis=-1, keepdims=True) & _seen(scores, np.ones_like(mask), causal, ahead)
        return _softmax(np.where(seen | blind, np.where(blind, 0.0, scores), -1e30))

    return _probs(probs)


def _one_more(right: Probs, scores: Array, mask: Array, causal: bool) -> Array:
    visible = right(scores, mask, causal)
    total = np.where(visible > 0, np.exp(scores), 0.0).sum(-1, keepdims=True)
    return np.asarray(visible * (total / (1.0 + total)))


def _blind_sees_all(right: Probs, scores: Array, mask: Array, causal: bool) -> Array:
    blind = ~_seen(scores, mask, causal).any(axis=-1, keepdims=True)
    return np.where(blind, 1.0 / scores.shape[-1], right(scores, mask, causal))


def _first_layer_alone(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    layers = [0]

    def probs(scores: Array, mask: Array, causal: bool) -> Array:
        layers[0] += 1
        return np.asarray(right.attention_probs(scores, mask if layers[0] == 1 else np.ones_like(mask), causal))

    return {"attention_probs": probs}


def _softmax_in_float32(scores: Array, visible: Array) -> Array:
    exponentials = np.exp(scores.astype(np.float32)) * visible
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float64)


def _query_mask(mask: Array, scores: Array) -> Array:
    return mask[:, None, -scores.shape[2] :, None]


def _on_queries(right: Probs, scores: Array, mask: Array, causal: bool) -> Array:
    return right(scores, np.ones_like(mask), causal) * _query_mask(mask, scores)


def _guessed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Where no mask is given, ids other than 0 are tokens."""
    given = inputs.get("attention_mask")
    return {"attention_mask": (np.asarray(inputs["input_ids"]) != 0).astype(np.int64) if given is None else given}


def _crossed(turns: tuple[bool, bool]) -> Swap:
    """Queries and keys of cross-attention rotated: those that come without a rotation before them."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        rotated = [False]

        def rotate(x: Array, cos: Array, sin: Array) -> Array:
            rotated[0] = True
            return np.asarray(right.rotate(x, cos, sin))

        def scores(query: Array, key: Array) -> Array:
            parts = [query, key]
            for number, part in enumerate(parts):
                if turns[number] and not rotated[0]:
                    table = right.rotary_table(np.arange(part.shape[2]), part.shape[3], part.dtype)
                    parts[number] = right.rotate(part, *table)
            rotated[0] = False
            return np.asarray(right.attention_scores(*parts))

        return {"rotate": rotate, "attention_scores": scores}

    return swap


def _ones(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: np.ones_like(inputs[name])}


def _strided(call: Call) -> dict[str, Array]:
    """Weights under which the right heads compute what strided ones would."""
    heads, hidden = call.config["num_attention_heads"], call.config["hidden_size"]
    order = np.arange(hidden).reshape(hidden // heads, heads).T.ravel()
    weights = dict(call.weights)
    for name, array in call.weights.items():
        if ".attention.self." in name:
            weights[name] = array[order]
        elif name.endswith(".attention.output.dense.weight"):
            weights[name] = array[:, order]
    return weights


def _copied(source: str, target: str) -> Callable[[Call], dict[str, Array]]:
    """Weights in which the part `target` of every attention has those of `source`."""
    return lambda call: {
        name: call.weights[name.replace(f".self.{target}.", f".self.{source}.")] for name in call.weights
    }


SELF = r"\.attention\.self\."
VARIANTS = (
    Variant("scores not divided by √d (ATT-3.1)", _scores(lambda query, key: query.shape[-1] ** 0.5)),
    Variant("scores divided by d in place of √d (ATT-3.1)", _scores(lambda query, key: query.shape[-1] ** -0.5)),
    Variant("scores divided by √H in place of √d (ATT-3.1)", _scores(lambda query, key: query.shape[1] ** -0.5)),
    Variant(
        "scores scaled with the logarithm of the length (ATT-3.1)", _scores(lambda query, key: np.log(1 + key.shape[2]))
    ),
    Variant(
        "a soft cap on the scores (ATT-3.1)",
        lambda right, call: {"attention_scores": lambda q, k: 2.0 * np.tanh(right.attention_scores(q, k) / 2.0)},
    ),
    Variant(
        "softmax over the heads (ATT-3.1)", swapped(attention_probs=lambda scores, mask, causal: _softmax(scores, 1))
    ),
    Variant(
        "softmax over the queries (ATT-3.1)",
        _probs(lambda right, scores, mask, causal: _softmax(np.where(_seen(scores, mask, causal), scores, -1e30), 2)),
    ),
    Variant("a 1 more in the softmax's denominator (ATT-3.1)", _probs(_one_more)),
    Variant(
        "softmax in float16 (ATT-3.1)",
        _probs(lambda right, scores, mask, causal: right(scores.astype(np.float16), mask, causal).astype(np.float64)),
    ),
    Variant(
        "softmax without subtracting the maximum (ATT-3.1)",
        _probs(lambda right, s, mask, causal: _softmax_in_float32(s, right(s, mask, causal) > 0)),
    ),
    Variant("attention_mask ignored (MASK-1)", _mask(np.ones_like)),
    Variant("attention_mask inverted (IN-5.1)", _mask(np.logical_not)),
    Variant(
        "the mask of the first row laid over the batch (MASK-4)",
        _mask(lambda mask: np.broadcast_to(mask[:1], mask.shape)),
    ),
    Variant("masking given up where one row is blind (MASK-6.2)", _mask(lambda mask: mask | ~mask.any(-1).all())),
    Variant("the mask on queries in place of keys (MASK-2.1)", _probs(_on_queries)),
    Variant(
        "masked queries that attend to nothing (MASK-5)",
        _probs(lambda right, scores, mask, causal: right(scores, mask, causal) * _query_mask(mask, scores)),
    ),
    Variant("a mask that adds −10000 (MASK-1)", _additive(-10000.0)),
    Variant("a mask that adds −65504, the lowest of float16 (MASK-1)", _additive(-65504.0)),
    Variant("a mask that adds −∞, so that blind rows are NaN (MASK-6.3)", _additive(-np.inf)),
    Variant(
        "a mask that is added before the scale (MASK-1)",
        lambda right, call: {
            "attention_probs": lambda scores, mask, causal: _softmax(
                scores
                + np.where(_seen(scores, mask, causal), 0.0, -10000.0)
                / np.sqrt(call.config["hidden_size"] // call.config["num_attention_heads"])
            )
        },
    ),
    Variant(
        "scores multiplied by the mask (MASK-1)",
        _probs(lambda right, scores, mask, causal: right(scores * mask[:, None, None, :], np.ones_like(mask), causal)),
    ),
    Variant(
        "the mask multiplied into the weights after the softmax (MASK-1)",
        _probs(lambda right, scores, mask, causal: right(scores, np.ones_like(mask), causal) * mask[:, None, None, :]),
    ),
    Variant("a mask in the first layer alone (MASK-1)", _first_layer_alone),
    Variant(
        "tokens with id 0 masked, whatever attention_mask says (MASK-1)",
        inputs=lambda inputs: {
            "attention_mask": np.asarray(inputs["attention_mask"]) * (np.asarray(inputs["input_ids"]) != 0)
        },
    ),
    Variant(
        "causality where every key may be seen (DEC-1.2)",
        _probs(lambda right, scores, mask, causal: right(scores, mask, True)),
    ),
    Variant("no causal mask (DEC-1.1)", _probs(lambda right, scores, mask, causal: right(scores, mask, False))),
    Variant("a causal mask one token ahead (DEC-1.1)", _shifted(1)),
    Variant("a causal mask that hides a query's own key (DEC-2.2)", _shifted(-1)),
    Variant(
        "a causal mask in place of attention_mask (DEC-2.1)",
        _probs(lambda right, scores, mask, causal: right(scores, mask | causal, causal)),
    ),
    Variant("a blind row that is uniform over later keys too (MASK-6.1)", _probs(_blind_sees_all)),
    Variant(
        "attention_mask of the cache ignored (DEC-4)",
        inputs=lambda inputs: {
            "attention_mask": np.where(
                np.arange(np.shape(inputs["attention_mask"])[1])
                < np.shape(inputs["attention_mask"])[1] - np.shape(inputs["input_ids"])[1],
                1,
                inputs["attention_mask"],
            )
        },
    ),
    Variant("padding guessed from ids where no mask is given (IN-5.2)", inputs=_guessed),
    Variant("keys of cross-attention rotated (ROT-2.5)", _crossed((False, True))),
    Variant("queries of cross-attention rotated (ROT-2.5)", _crossed((True, False))),
    Variant("encoder_attention_mask ignored (DEC-5.2)", inputs=lambda inputs: _ones(inputs, "encoder_attention_mask")),
    Variant(
        "encoder_hidden_states ignored (DEC-5.1)",
        inputs=lambda inputs: {"encoder_hidden_states": 0 * inputs["encoder_hidden_states"]},
    ),
    Variant("head_mask ignored (HEAD-6.2)", inputs=lambda inputs: _ones(inputs, "head_mask")),
    Variant("head_mask inverted (HEAD-6.1)", inputs=lambda inputs: {"head_mask": 1 - np.asarray(inputs["head_mask"])}),
    Variant("heads strided: head h owns the features h, h + N, … (ATT-3.3)", weights=_strided),
    Variant("no bias of the query (ATT-3.3)", weights={SELF + r"query\.bias$": np.zeros_like}),
    Variant("no bias of the key (ATT-3.3)", weights={SELF + r"key\.bias$": np.zeros_like}),
    Variant("no bias of the value (ATT-3.3)", weights={SELF + r"value\.bias$": np.zeros_like}),
    Variant(
        "no bias of the attention's output (ATT-3.3)", weights={r"\.attention\.output\.dense\.bias$": np.zeros_like}
    ),
    Variant("the value made by the key's weights (ATT-3.1)", weights=_copied("key", "value")),
    Variant("the key made by the query's weights (ATT-3.1)", weights=_copied("query", "key")),
    Variant("the query's kernel transposed (ATT-3.3)", weights={SELF + r"query\.weight$": np.transpose}),
    Variant("the key's kernel transposed (ATT-3.3)", weights={SELF + r"key\.weight$": np.transpose}),
    Variant("the value's kernel transposed (ATT-3.3)", weights={SELF + r"value\.weight$": np.transpose}),
    Variant(
        "the kernel of the attention's output transposed (ATT-3.3)",
        weights={r"\.attention\.output\.dense\.weight$": np.transpose},
    ),
    Variant(
        "all square kernels of attention transposed (ATT-3.3)",
        weights={r"\.attention\.(self\.(query|key|value)|output\.dense)\.weight$": np.transpose},
    ),
)
