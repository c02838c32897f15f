"""Rotation, as it is done wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...protocol import Array
from ..calls import Call
from .making import Swap, Variant, swapped


def _table(theta: Callable[[Array, int], Array], dtype: Any = np.float64) -> Swap:
    """Tables by other frequencies, θ(pair, head size), or by angles in another type."""

    def table(positions: Array, head_dim: int, model_dtype: Any) -> tuple[Array, Array]:
        angles = positions[:, None].astype(dtype) * theta(np.arange(head_dim // 2), head_dim).astype(dtype)
        return np.cos(angles).astype(model_dtype), np.sin(angles).astype(model_dtype)

    return swapped(rotary_table=table)


def _base(base: float) -> Swap:
    return _table(lambda pair, dim: base ** (-2.0 * pair / dim))


def _places(change: Callable[[Array], Array]) -> Swap:
    """Positions counted otherwise."""
    return lambda right, call: {
        "rotary_table": lambda positions, dim, dtype: right.rotary_table(change(positions), dim, dtype)
    }


def _places_by_mask(count: Callable[[Array], Array]) -> Swap:
    """Positions counted in each row by its mask; the last of them are the new tokens'."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        mask = np.asarray(call.inputs["attention_mask"]).astype(np.int64)
        places = count(mask.reshape(-1, mask.shape[-1]))

        def table(positions: Array, dim: int, dtype: Any) -> tuple[Array, Array]:
            rows = [right.rotary_table(row, dim, dtype) for row in places[:, -len(positions) :]]
            cos, sin = (np.stack(part)[:, None] for part in zip(*rows, strict=True))
            return cos, sin

        return {"rotary_table": table}

    return swap


def _halves(x: Array, cos: Array, sin: Array) -> Array:
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _partly(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    def rotate(x: Array, cos: Array, sin: Array) -> Array:
        turned = 2 * -(-cos.shape[-1] // 2)
        return np.concatenate([right.rotate(x, cos, sin)[..., :turned], x[..., turned:]], axis=-1)

    return {"rotate": rotate}


def _by_turn(change: Callable[[int, Array, Array], Array]) -> Swap:
    """Rotations changed by their place in a layer: 0 is the query's, 1 the key's, 2 the value's."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        turns = [0]

        def rotate(x: Array, cos: Array, sin: Array) -> Array:
            turns[0] += 1
            return change(turns[0] - 1, x, right.rotate(x, cos, sin))

        def scores(query: Array, key: Array) -> Array:
            turns[0] = 0
            return np.asarray(right.attention_scores(query, key))

        return {"rotate": rotate, "attention_scores": scores}

    return swap


def _keys_ahead(steps: int) -> Swap:
    """Keys that stand so many positions after the queries of the same tokens."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        def turn(number: int, x: Array, turned: Array) -> Array:
            if number != 1:
                return turned
            cos, sin = right.rotary_table(np.array([steps]), x.shape[-1], x.dtype)
            return np.asarray(right.rotate(turned, cos, sin))  # angles add up

        return _by_turn(turn)(right, call)

    return swap


def _bias_afterwards(which: tuple[int, ...]) -> Swap:
    """Biases added after the rotation: 0 is the query's, 1 the key's."""

    def swap(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
        biases: list[Array] = []
        turns = [0]

        def dense(x: Array, kernel: Array, bias: Array) -> Array:
            biases.append(bias)
            return np.asarray(right.dense(x, kernel, bias))

        def rotate(x: Array, cos: Array, sin: Array) -> Array:
            # query, key and value were computed one after the other, and turn in this order
            bias = biases[turns[0] - 3].reshape(1, x.shape[1], 1, -1)
            late = turns[0] in which
            turns[0] += 1
            return np.asarray(right.rotate(x - bias, cos, sin) + bias if late else right.rotate(x, cos, sin))

        def scores(query: Array, key: Array) -> Array:
            turns[0] = 0
            return np.asarray(right.attention_scores(query, key))

        return {"dense": dense, "rotate": rotate, "attention_scores": scores}

    return swap


def _of_hidden_size(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    def table(positions: Array, dim: int, dtype: Any) -> tuple[Array, Array]:
        cos, sin = right.rotary_table(positions, call.config["hidden_size"], dtype)
        return cos[:, : dim // 2], sin[:, : dim // 2]

    return {"rotary_table": table}


def _table_in_float32(right: Any, call: Call) -> Mapping[str, Callable[..., Any]]:
    def table(positions: Array, dim: int, dtype: Any) -> tuple[Array, Array]:
        cos, sin = right.rotary_table(positions, dim, np.float32)
        return cos.astype(dtype), sin.astype(dtype)

    return {"rotary_table": table}


VARIANTS = (
    Variant("half-split rotary: feature i paired with i + d/2 (ROT-2.2)", swapped(rotate=_halves)),
    Variant(
        "the sign of the sine turned (ROT-2.2)", lambda right, call: {"rotate": lambda x, c, s: right.rotate(x, c, -s)}
    ),
    Variant(
        "sine and cosine exchanged (ROT-2.1)", lambda right, call: {"rotate": lambda x, c, s: right.rotate(x, s, c)}
    ),
    Variant("no rotation (ROT-2.3)", swapped(rotate=lambda x, cos, sin: x)),
    Variant("half of each head rotated (ROT-2.2)", _partly),
    Variant("rotary base 9999 (ROT-2.1)", _base(9999.0)),
    Variant("rotary base 1000 (ROT-2.1)", _base(1e3)),
    Variant("rotary base 500000 (ROT-2.1)", _base(5e5)),
    Variant("rotary base 1000000 (ROT-2.1)", _base(1e6)),
    Variant("exponent −i/d in place of −2i/d (ROT-2.1)", _table(lambda pair, dim: 10000.0 ** (-1.0 * pair / dim))),
    Variant(
        "exponent −2(i+1)/d in place of −2i/d (ROT-2.1)", _table(lambda pair, dim: 10000.0 ** (-2.0 * (pair + 1) / dim))
    ),
    Variant(
        "frequencies from the last to the first (ROT-2.1)",
        _table(lambda pair, dim: 10000.0 ** (-2.0 * pair[::-1] / dim)),
    ),
    Variant("angles of the hidden size in place of the head's (ROT-2.1)", _of_hidden_size),
    Variant("angles in float32 (ROT-2.8)", _table(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float32)),
    Variant("angles in float16 (ROT-2.8)", _table(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float16)),
    Variant(
        "frequencies rounded to float32 (ROT-2.8)",
        _table(lambda pair, dim: (10000.0 ** (-2.0 * pair / dim)).astype(np.float32).astype(np.float64)),
    ),
    Variant("a rotary table rounded to float32 in a float64 model (TRAIN-1.1)", _table_in_float32),
    Variant("positions counted from 1 (ROT-2.4)", _places(lambda positions: positions + 1)),
    Variant(
        "positions that start at 0 in every call, whatever is cached (ROT-2.7)",
        _places(lambda positions: positions - positions[:1]),
    ),
    Variant("a rotary table that ends at 512 (ROT-2.8)", _places(lambda positions: np.minimum(positions, 511))),
    Variant(
        "positions that count unmasked tokens (ROT-2.6)",
        _places_by_mask(lambda mask: np.maximum(mask.cumsum(axis=1) - 1, 0)),
    ),
    Variant(
        "positions counted from the first unmasked token (ROT-2.6)",
        _places_by_mask(lambda mask: np.maximum(np.arange(mask.shape[1]) - mask.argmax(axis=1)[:, None], 0)),
    ),
    Variant("the query not rotated (ROT-2.3)", _by_turn(lambda turn, x, turned: x if turn == 0 else turned)),
    Variant("the key not rotated (ROT-2.3)", _by_turn(lambda turn, x, turned: x if turn == 1 else turned)),
    Variant("keys turned one position further than queries (ROT-2.3)", _keys_ahead(1)),
    Variant("queries turned one position further than keys (ROT-2.3)", _keys_ahead(-1)),
    Variant("rotary_value ignored: the value not rotated (ROT-2.4)", config={"rotary_value": False}),
    Variant("the value rotated without rotary_value (ROT-2.4)", config={"rotary_value": True}),
    Variant("biases of query and key added after the rotation (ROT-2.3)", _bias_afterwards((0, 1))),
    Variant("the query's bias added after its rotation (ROT-2.3)", _bias_afterwards((0,))),
)
