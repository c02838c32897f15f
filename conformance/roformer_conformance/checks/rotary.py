"""ROT: what positions do, seen through attention weights."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..formulas import (
    ATTENTION_OUTPUT,
    FEED_FORWARD_OUTPUT,
    Weights,
    dense,
    edited,
    heads_of,
    layer_norm,
    part,
    softmax,
    standardised,
    turned,
)
from ..protocol import Array, cache_of
from ..registry import DECODER_HEADS, check
from ..strategies import Case, OneOf
from ..trial import CACHED, TRACES, Trial

FIRST = "attentions.0"
EDGE = 2.0  # the probe's biases: large enough for scores that spread, and exact in every type


@check("ROT-2.1", "plane-probe", masks=("none",), min_seq_len=3, min_head_dim=4, also=("ROT-2.2", "ROT-2.3", "ATT-3.1"))
def single_planes_give_known_scores(trial: Trial, case: Case) -> None:
    """Query and key reduced to one plane each give the scores b²·cos((m − n)·θᵢ)/√d, or b²·sin((m − n)·θᵢ)/√d."""
    heads = case.config["num_attention_heads"]
    _expect_planes(trial, case, (case.seed + np.arange(heads)) % (case.config["hidden_size"] // heads // 2))


@check(
    "ROT-2.8", "large-positions", masks=("none",), effort=0.1, min_seq_len=600, max_seq_len=600, min_head_dim=16,
    num_attention_heads=1, num_hidden_layers=1, max_position_embeddings=600, also=("ROT-2.1",),
)  # fmt: skip
def angles_are_exact_far_away(trial: Trial, case: Case) -> None:
    """Six hundred positions from the start, beyond the 512 of BERT, the angles are still those of float64."""
    _expect_planes(trial, case, np.array([1]))  # θ₁ is no round number, as θ₀ = 1 is, and the largest of these


@check("ROT-2.2", "gauge", profiles=("strong", "high_score"), min_head_dim=4, also=("ROT-2.3",))
def turning_each_plane_changes_nothing(trial: Trial, case: Case) -> None:
    """One rotation of each pair (2i, 2i+1) of query and key, kernel and bias, changes no output."""
    inputs, weights = case.inputs(), trial.weights(case)
    gauged = dict(weights)
    for layer in range(case.config["num_hidden_layers"]):
        angles = case.generator(f"gauge {layer}").uniform(-np.pi, np.pi, case.config["hidden_size"] // 2)
        turn = partial(_planes_turned, angles=angles)
        gauged = edited(gauged, {rf"layer\.{layer}\.attention\.self\.(query|key)\.": turn})
    expected = trial.call(trial.load(case), inputs, **TRACES)
    expected = {tap: array for tap, array in expected.items() if tap.startswith(("hidden_states", "attentions"))}
    got = trial.call(trial.load(case, gauged), inputs, **TRACES)
    trial.match("every plane of query and key turned", got, expected, case, inputs, options=TRACES)


@check("ROT-2.1", "only-distance-counts", masks=("none",), min_seq_len=2, also=("ROT-2.3",))
def scores_depend_on_differences(trial: Trial, case: Case) -> None:
    """Masked tokens before a sequence leave the attention weights of its first layer as they are."""
    inputs = case.inputs()
    model = trial.load(case)
    expected = trial.call(model, inputs, **TRACES)[FIRST]
    front = 1 + int(case.generator("front").integers(5))
    moved = {name: np.concatenate([array[..., :1].repeat(front, -1), array], -1) for name, array in inputs.items()}
    moved["attention_mask"] = np.concatenate(
        [np.zeros((*case.lead[:-1], front), np.int64), np.ones(case.lead, np.int64)], -1
    )
    got = trial.call(model, moved, **TRACES)[FIRST][..., front:, front:]
    trial.close(f"{front} masked tokens in front", got, expected, case, inputs, FIRST, options=TRACES)


@check("ROT-2.3", "order-matters", masks=("none",), min_seq_len=4, is_decoder=False)
def order_matters(trial: Trial, case: Case) -> None:
    """Tokens in another order attend differently: positions do enter query and key."""
    inputs = case.inputs()
    order = np.roll(np.arange(case.seq_len), 1 + case.seq_len // 3)
    model = trial.load(case)
    plain = trial.call(model, inputs, **TRACES)[FIRST]
    got = trial.call(model, {name: array[..., order] for name, array in inputs.items()}, **TRACES)[FIRST]
    carried = plain[:, :, order][..., order]
    trial.differ("tokens in another order", {FIRST: got}, {FIRST: carried}, case, inputs, options=TRACES)


@check("ROT-2.3", "key-and-query-turn", masks=("none",), min_seq_len=3, profiles=("strong",))
def scores_are_those_of_turned_projections(trial: Trial, case: Case) -> None:
    """The first layer's weights are the softmax of rotated query times rotated key, each rotated after its bias."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    expected = softmax(_scores(got["hidden_states.0"], weights, case), case.visible())
    trial.close("by hand", got[FIRST], expected, case, inputs, FIRST, options=TRACES)


@check("ROT-2.6", "mask-moves-no-position", masks=("left", "irregular"), min_seq_len=4)
def masks_move_no_position(trial: Trial, case: Case) -> None:
    """Masking keys only takes them out: what remains of the first layer's weights keeps its proportions."""
    inputs = case.inputs()
    model = trial.load(case)
    got = trial.call(model, inputs, **TRACES)[FIRST]
    unmasked = {**inputs, "attention_mask": np.ones_like(inputs["attention_mask"])}
    expected, telling = trial.proportions_left(trial.call(model, unmasked, **TRACES)[FIRST], case.visible())
    trial.close(
        "keys masked", got[telling], expected[telling], case, inputs, FIRST, lambda array: array[telling], TRACES
    )


@check("ROT-2.6", "left-padding-with-value", masks=("left",), min_seq_len=4, rotary_value=True)
def padding_counts_as_a_place(trial: Trial, case: Case) -> None:
    """With rotary_value, tokens behind masked ones are turned by their index, not by how many tokens came before."""
    _expect_context(trial, case)


@check("ROT-2.4", "value-turns", masks=("none",), min_seq_len=2, rotary_value=True)
def rotary_value_turns_the_value(trial: Trial, case: Case) -> None:
    """With rotary_value the context is the weighted sum of rotated values, and is not turned back."""
    _expect_context(trial, case)


@check("ROT-2.4", "value-stays", masks=("none",), min_seq_len=2, rotary_value=False)
def values_stay_without_rotary_value(trial: Trial, case: Case) -> None:
    """Without rotary_value the context is the weighted sum of the plain values."""
    _expect_context(trial, case)


@check(
    "ROT-2.5", "cross-keys-have-no-place", heads=DECODER_HEADS, needs=("cross_attention",), effort=0.5,
    add_cross_attention=True, is_decoder=True, rotary_value=OneOf((False, True)), also=("DEC-5.1",),
)  # fmt: skip
def encoder_order_is_irrelevant(trial: Trial, case: Case) -> None:
    """Encoder states in another order give the same output: keys and values of cross-attention are not rotated."""
    inputs = {**case.inputs(), "encoder_hidden_states": case.encoder_states()}
    shuffled = {**inputs, "encoder_hidden_states": inputs["encoder_hidden_states"][:, ::-1]}
    model = trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    got = trial.call(model, shuffled, **TRACES)
    states = {tap: array for tap, array in expected.items() if tap.startswith("hidden_states")}
    trial.match("encoder states reversed", got, states, case, inputs, options=TRACES)


@check(
    "ROT-2.5", "cross-queries-have-no-place", heads=DECODER_HEADS, needs=("cross_attention",), effort=0.5,
    masks=("none",), min_seq_len=3, add_cross_attention=True, is_decoder=True,
)  # fmt: skip
def equal_queries_look_alike(trial: Trial, case: Case) -> None:
    """The same token looks at the encoder in the same way at every position: cross-attention rotates no query."""
    inputs = {name: np.broadcast_to(array[..., :1], array.shape).copy() for name, array in case.inputs().items()}
    inputs["encoder_hidden_states"] = case.encoder_states()
    weights = edited(trial.weights(case), {ATTENTION_OUTPUT: np.zeros_like})
    got = trial.call(trial.load(case, weights), inputs, **TRACES)["cross_attentions.0"]
    same = np.broadcast_to(got[:, :, :1], got.shape)
    trial.close(
        "one token at every position", got, same, case, inputs, "cross_attentions.0",
        options=TRACES, weights=weights,
    )  # fmt: skip


@check(
    "ROT-2.7", "cached-offset", heads=DECODER_HEADS, needs=("cache",), masks=("none", "left"), min_seq_len=4,
    is_decoder=True,
)  # fmt: skip
def cached_keys_count_as_places(trial: Trial, case: Case) -> None:
    """After a cache of n positions, masked ones included, the next token is rotated to position n."""
    inputs = case.inputs()
    past = case.seq_len // 2
    model = trial.load(case)
    expected = trial.call(model, inputs, **CACHED)["past_key_values.0.0"][:, :, past:]
    first = trial.call(model, {name: array[:, :past] for name, array in inputs.items()}, **CACHED)
    rest = {name: array[:, past:] for name, array in inputs.items() if name != "attention_mask"}
    rest |= {name: array for name, array in inputs.items() if name == "attention_mask"}
    second = trial.call(model, {**rest, "past_key_values": cache_of(first)}, **CACHED)
    trial.close(
        f"keys after a cache of {past}", second["past_key_values.0.0"][:, :, past:], expected, case, inputs,
        "past_key_values.0.0", lambda keys: keys[:, :, past:], CACHED,
    )  # fmt: skip


def _expect_planes(trial: Trial, case: Case, planes: Array) -> None:
    """Each head shows one of `planes`: the query its first feature, the key its first or its second."""
    heads, width = case.config["num_attention_heads"], case.config["hidden_size"]
    dim, features = width // heads, np.arange(heads)
    sides = (case.seed // 8 + features) % 2
    query, key = np.zeros(width), np.zeros(width)
    query[features * dim + 2 * planes] = key[features * dim + 2 * planes + sides] = EDGE
    weights = edited(
        trial.weights(case),
        {
            r"\.attention\.self\.(query|key)\.weight": np.zeros_like,
            r"\.attention\.self\.query\.bias": lambda bias: query,
            r"\.attention\.self\.key\.bias": lambda bias: key,
        },
    )
    distance = np.subtract.outer(np.arange(case.seq_len), np.arange(case.seq_len)).astype(np.float64)
    scores = [
        EDGE**2 * (np.sin if side else np.cos)(distance * 10000.0 ** (-2.0 * plane / dim)) / dim**0.5
        for plane, side in zip(planes, sides, strict=True)
    ]
    inputs = {name: array[:1] for name, array in case.inputs().items()}  # every row shows the same
    got = trial.call(trial.load(case, weights), inputs, **TRACES)
    known = np.broadcast_to(softmax(np.stack(scores), case.visible()[0]), got[FIRST].shape)
    expected = {f"attentions.{layer}": known for layer in range(case.config["num_hidden_layers"])}
    trial.match(f"planes {planes.tolist()} of {dim // 2}", got, expected, case, inputs, options=TRACES, weights=weights)


def _expect_context(trial: Trial, case: Case) -> None:
    """hidden_states[1] without feed-forward, from hidden_states[0] and the attention weights of the same call."""
    inputs, eps = case.inputs(), case.config.get("layer_norm_eps", 1e-12)
    weights = edited(trial.weights(case), {FEED_FORWARD_OUTPUT: np.zeros_like})
    got = trial.call(trial.load(case, weights), inputs, **TRACES)
    value = heads_of(dense(got["hidden_states.0"], weights, "layer.0.attention.self.value"), _heads(case))
    value = turned(value) if case.config["rotary_value"] else value
    context = np.concatenate(list(np.moveaxis(got[FIRST].astype(np.float64) @ value, 1, 0)), axis=-1)
    attended = got["hidden_states.0"] + dense(context, weights, "layer.0.attention.output.dense")
    attended = layer_norm(attended, weights, "layer.0.attention.output.LayerNorm", eps)
    expected = standardised(attended, eps) * part(weights, "layer.0.output.LayerNorm.weight")
    expected = expected + part(weights, "layer.0.output.LayerNorm.bias")
    tap = "hidden_states.1"
    trial.close("by hand, without feed-forward", got[tap], expected, case, inputs, tap, options=TRACES, weights=weights)


def _scores(hidden: Array, weights: Weights, case: Case) -> Array:
    query, key = (
        turned(heads_of(dense(hidden, weights, f"layer.0.attention.self.{name}"), _heads(case)))
        for name in ("query", "key")
    )
    return np.einsum("bhmd,bhnd->bhmn", query, key) / query.shape[-1] ** 0.5


def _heads(case: Case) -> int:
    return int(case.config["num_attention_heads"])


def _planes_turned(rows: Array, angles: Array) -> Array:
    """Rows 2i and 2i+1 of a kernel, or entries of a bias, turned by the i-th angle."""
    first, second = rows[0::2].T, rows[1::2].T
    changed = np.empty_like(rows)
    changed[0::2] = (first * np.cos(angles) - second * np.sin(angles)).T
    changed[1::2] = (second * np.cos(angles) + first * np.sin(angles)).T
    return changed
