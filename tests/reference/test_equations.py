"""Every component against a formula of its own: scalar loops, the math module, and laws of the arithmetic."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roformer_numpy.arithmetic import components_named
from roformer_numpy.components import Components
from roformer_numpy.equations import activations
from roformer_numpy.weights import Dense

from ..support import BATCH, HEADS, SEQ_LEN, SIZES, good_call, same
from .conftest import Build

N, L, H = (SIZES[name] for name in ("num_attention_heads", "num_hidden_layers", "hidden_size"))
D = H // N
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


@pytest.fixture
def parts(arithmetic: str) -> Components:
    """The table of components under test."""
    return components_named(arithmetic)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


# rotary


@pytest.mark.parametrize("head_dim", [2, 4, 6, 64])
@pytest.mark.parametrize("position", [0, 1, 2, 511, 1535])
def test_the_angle_of_plane_i_is_position_over_10000_to_the_2i_over_d(
    parts: Components, head_dim: int, position: int
) -> None:
    """cos and sin of p · 10000^(−2i/d), to the last bits of float64."""
    cos, sin = parts.rotary_table(np.array([position]), head_dim, np.float64)
    assert cos.shape == sin.shape == (1, head_dim // 2)
    for i in range(head_dim // 2):
        angle = position * 10000.0 ** (-2 * i / head_dim)
        assert cos[0, i] == pytest.approx(math.cos(angle), abs=1e-12)
        assert sin[0, i] == pytest.approx(math.sin(angle), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_narrow_table_is_the_rounded_float64_table(parts: Components, dtype: str) -> None:
    """Angles are computed in float64 and rounded once, so position 1535 is as exact as position 1."""
    wide = parts.rotary_table(np.arange(1536), 64, np.float64)
    for narrow, exact in zip(parts.rotary_table(np.arange(1536), 64, dtype), wide, strict=True):
        assert narrow.dtype == dtype
        assert np.array_equal(narrow, exact.astype(dtype))


def test_pairs_2i_and_2i_plus_1_are_complex_numbers_that_turn(parts: Components) -> None:
    """(x₂ᵢ + j·x₂ᵢ₊₁) · e^(j·p·θᵢ): the pairs are interleaved, not the two halves of a head."""
    x, positions = normal(2, 3, 5, D), np.array([0, 1, 7, 100, 1500])
    turned = parts.rotate(x, *parts.rotary_table(positions, D, np.float64))
    for index in np.ndindex(2, 3, 5):
        for i in range(D // 2):
            pair = complex(*x[index][2 * i : 2 * i + 2]) * cmath.exp(
                1j * int(positions[index[2]]) * 10000.0 ** (-2 * i / D)
            )
            np.testing.assert_allclose(turned[index][2 * i : 2 * i + 2], [pair.real, pair.imag], **CLOSE)


def test_rotation_by_position_0_is_the_identity(parts: Components) -> None:
    """R(0) = I, bit for bit."""
    x = normal(2, 3, 4, D)
    assert np.array_equal(parts.rotate(x, *parts.rotary_table(np.zeros(4, int), D, np.float64)), x)


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 1535), second=st.integers(0, 1535), seed=st.integers(0, 2**32 - 1))
def test_rotations_add_up_and_keep_lengths(first: int, second: int, seed: int) -> None:
    """R(a)R(b) = R(a + b), and no pair becomes longer or shorter."""
    parts = components_named("equations")

    def turn(x: np.ndarray, position: int) -> np.ndarray:
        return parts.rotate(x, *parts.rotary_table(np.array([position]), D, np.float64))

    x = normal(1, 2, 1, D, seed=seed)
    np.testing.assert_allclose(turn(turn(x, first), second), turn(x, first + second), rtol=0, atol=1e-11)
    lengths = np.hypot(x[..., 0::2], x[..., 1::2])
    turned = turn(x, first)
    np.testing.assert_allclose(np.hypot(turned[..., 0::2], turned[..., 1::2]), lengths, rtol=1e-14)


def test_scores_depend_on_the_distance_of_positions_alone(parts: Components) -> None:
    """Equal vectors at every position give a score that is constant along each diagonal, and not all the same."""
    query, key = (np.broadcast_to(normal(1, 1, 1, D, seed=seed), (1, 1, 9, D)) for seed in (1, 2))
    for start in (0, 100, 1500):
        table = parts.rotary_table(np.arange(start, start + 9), D, np.float64)
        scores = parts.attention_scores(parts.rotate(query, *table), parts.rotate(key, *table))[0, 0]
        for distance in range(-8, 9):
            np.testing.assert_allclose(np.diagonal(scores, distance), scores.diagonal(distance)[0], rtol=0, atol=1e-10)
        assert np.ptp([scores.diagonal(distance)[0] for distance in range(-8, 9)]) > 0.1
        np.testing.assert_allclose(scores[0, 0], (query[0, 0, 0] @ key[0, 0, 0]) / math.sqrt(D), rtol=1e-11)


# embedding, normalization, dense, feed-forward


def test_words_and_types_are_added_row_by_row(parts: Components) -> None:
    """W[ids] + Types[types], nothing else."""
    words, types = normal(11, 5), normal(3, 5, seed=1)
    ids, type_ids = np.array([[0, 10, 4]]), np.array([[2, 0, 1]])
    looked_up = parts.lookup(words, ids)
    assert np.array_equal(looked_up, [[words[0], words[10], words[4]]])
    summed = parts.add_token_types(looked_up, types, type_ids)
    assert np.array_equal(summed, [[words[0] + types[2], words[10] + types[0], words[4] + types[1]]])


@pytest.mark.parametrize("eps", [1e-12, 1e-3])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_layer_norm_is_a_two_line_loop(parts: Components, eps: float, scale: float) -> None:
    """(x − mean) / √(biased variance + eps) · gamma + beta in each row, number by number."""
    x, gamma, beta = scale * normal(3, 4, 7), normal(7, seed=1), normal(7, seed=2)
    got = parts.layer_norm(x, gamma, beta, eps)
    for index in np.ndindex(3, 4):
        row = [float(number) for number in x[index]]
        mean = math.fsum(row) / 7
        variance = math.fsum((number - mean) ** 2 for number in row) / 7
        expected = [(row[i] - mean) / math.sqrt(variance + eps) * gamma[i] + beta[i] for i in range(7)]
        np.testing.assert_allclose(got[index], expected, **CLOSE)


def test_layer_norm_of_a_constant_row_is_beta(parts: Components) -> None:
    """Variance 0 gives beta and no NaN."""
    beta = normal(7)
    assert np.array_equal(parts.layer_norm(np.full((2, 7), 3.0), np.ones(7), beta, 1e-12), [beta, beta])


def test_dense_is_rows_times_columns_plus_bias(parts: Components) -> None:
    """x · kernel + bias for every leading axis."""
    x, kernel, bias = normal(2, 3, 4), normal(4, 5, seed=1), normal(5, seed=2)
    got = parts.dense(x, kernel, bias)
    for b, s, o in np.ndindex(2, 3, 5):
        terms = [x[b, s, i] * kernel[i, o] for i in range(4)]
        assert got[b, s, o] == pytest.approx(math.fsum(terms) + bias[o], abs=1e-14)


def test_the_feed_forward_part_is_two_layers_around_an_activation(parts: Components) -> None:
    """act(x · W₁ + b₁) · W₂ + b₂ with nothing after it."""
    x, w1, b1, w2, b2 = normal(2, 4), normal(4, 6, seed=1), normal(6, seed=2), normal(6, 4, seed=3), normal(4, seed=4)
    got = parts.feed_forward(x, Dense(w1, b1), Dense(w2, b2), "relu")
    np.testing.assert_allclose(got, np.einsum("bi,io->bo", np.maximum(x @ w1 + b1, 0), w2) + b2, **CLOSE)


# activations


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _gelu(x: float) -> float:
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def _tanh_gelu(x: float, root: float) -> float:
    return 0.5 * x * (1 + math.tanh(root * (x + 0.044715 * x**3)))


SCALARS: dict[str, Callable[[float], float]] = {
    "gelu": _gelu,
    "gelu_new": lambda x: _tanh_gelu(x, math.sqrt(2 / math.pi)),
    "gelu_fast": lambda x: _tanh_gelu(x, 0.7978845608),
    "quick_gelu": lambda x: x * _sigmoid(1.702 * x),
    "gelu_10": lambda x: min(max(_gelu(x), -10.0), 10.0),
    "relu": lambda x: max(x, 0.0),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x)) if x < 30 else x),
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
}
POINTS = [0.0, 1e-8, -1e-8, 0.1, -0.1, 0.5, -0.5, 1.0, -1.0, 1.702, -2.5, 3.0, -3.0, 5.0, -6.0, 9.9, 10.1, -15.0, 25.0]


@pytest.mark.parametrize("name", SCALARS)
def test_every_activation_is_its_formula(parts: Components, name: str) -> None:
    """Each activation at points of both signs, against the math module."""
    got = parts.activate(np.array(POINTS), name)
    np.testing.assert_allclose(got, [SCALARS[name](x) for x in POINTS], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_activation_overflows(parts: Components, name: str, dtype: str) -> None:
    """Very large arguments of both signs give the limits, without a warning, in the type of the argument."""
    x = np.array([1e4, -1e4], dtype)
    got = parts.activate(x, name)
    low = {"selu": -1.0507009873554805 * 1.6732632423543772, "tanh": -1.0}.get(name, 0.0)
    high = {"gelu_10": 10.0, "sigmoid": 1.0, "tanh": 1.0, "selu": 1.0507009873554805e4}.get(name, 1e4)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, [high, low], rtol=1e-6, atol=1e-30)


def test_the_activations_are_the_documented_ones() -> None:
    """The table holds the documented names, and none that this file does not know."""
    assert set(activations.ACTIVATIONS) == set(SCALARS)


def test_every_activation_makes_another_model(build: Build) -> None:
    """No two names mean the same network, except silu and swish."""
    results = {}
    for name in SCALARS:
        model = build("base", hidden_act=name)
        results[name] = model(good_call("base", model.config)["input_ids"]).last_hidden_state
    assert np.array_equal(results["silu"], results["swish"])
    names = [name for name in SCALARS if name != "swish"]
    for position, name in enumerate(names):
        for other in names[position + 1 :]:
            if {name, other} not in ({"gelu_new", "gelu_fast"}, {"gelu", "gelu_10"}):
                assert np.abs(results[name] - results[other]).max() > 1e-6, (name, other)
    assert not np.array_equal(results["gelu_new"], results["gelu_fast"])


# attention


def scalar_probs(scores: np.ndarray, visible: list[int]) -> list[float]:
    """The softmax of a row over the keys in `visible`, 0 elsewhere, with the math module."""
    top = max(scores[key] for key in visible)
    weights = [math.exp(score - top) if key in visible else 0.0 for key, score in enumerate(scores)]
    return [weight / math.fsum(weights) for weight in weights]


def test_scores_are_products_over_the_root_of_the_head_size(parts: Components) -> None:
    """query · key / √d, each pair for itself."""
    query, key = normal(2, 3, 4, D), normal(2, 3, 5, D, seed=1)
    got = parts.attention_scores(query, key)
    for b, n, q, k in np.ndindex(2, 3, 4, 5):
        assert got[b, n, q, k] == pytest.approx(math.fsum(query[b, n, q] * key[b, n, k]) / math.sqrt(D), abs=1e-13)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_weights_are_a_softmax_over_visible_keys_and_exactly_0_elsewhere(
    parts: Components, causal: bool, past: int, scale: float
) -> None:
    """Masked and later keys weigh exactly 0, however large their scores; the visible ones share 1."""
    queries, keys = 5, 5 + past
    scores = scale * normal(3, 2, queries, keys)
    mask = np.random.default_rng(2).random((3, keys)) < 0.6
    mask[:, 0] = True
    scores[np.broadcast_to(~mask[:, None, None, :], scores.shape)] = 1e6 * scale
    got = parts.attention_probs(scores, mask, causal)
    for b, n, q in np.ndindex(3, 2, queries):
        visible = [key for key in range(keys) if mask[b, key] and not (causal and key > q + past)]
        np.testing.assert_allclose(got[b, n, q], scalar_probs(scores[b, n, q], visible), rtol=1e-11, atol=1e-15)
        assert all(got[b, n, q, key] == 0 for key in range(keys) if key not in visible)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("past", [0, 2])
@pytest.mark.parametrize("poison", [1e300, math.inf, math.nan])
def test_a_blind_query_weighs_the_keys_of_its_past_alike(
    parts: Components, causal: bool, past: int, poison: float
) -> None:
    """A query without a visible key gets uniform weights over what causality allows, whatever the scores are."""
    queries, keys = 4, 4 + past
    scores = normal(2, 1, queries, keys)
    scores[0] = poison
    mask = np.ones((2, keys), bool)
    mask[0] = False
    got = parts.attention_probs(scores, mask, causal)
    for q in range(queries):
        allowed = q + past + 1 if causal else keys
        assert np.array_equal(got[0, 0, q], np.where(np.arange(keys) < allowed, 1 / allowed, 0.0))
        visible = list(range(allowed))
        np.testing.assert_allclose(got[1, 0, q], scalar_probs(scores[1, 0, q], visible), rtol=1e-12, atol=1e-15)


def test_nan_and_infinity_under_the_mask_are_not_seen(parts: Components) -> None:
    """A masked score may be anything: the visible weights do not move."""
    scores, mask = normal(1, 1, 3, 4), np.array([[True, False, True, True]])
    clean = parts.attention_probs(scores, mask, False)
    for poison in (math.nan, math.inf, -math.inf):
        scores[..., 1] = poison
        assert np.array_equal(parts.attention_probs(scores, mask, False), clean)


def test_attend_is_a_weighted_sum_of_values(parts: Components) -> None:
    """Σ over keys of probability × value."""
    probs, value = normal(2, 3, 4, 5), normal(2, 3, 5, D, seed=1)
    got = parts.attend(probs, value)
    for index in np.ndindex(2, 3, 4, D):
        b, n, q, d = index
        assert got[index] == pytest.approx(math.fsum(probs[b, n, q] * value[b, n, :, d]), abs=1e-13)


# dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_the_rest(parts: Components, rate: float) -> None:
    """Each element is 0 or x/(1 − p); the share of zeros lies within five standard deviations of p."""
    x = normal(200, 500)
    got = parts.dropout(x, rate, np.random.default_rng(0))
    dropped = got == 0
    np.testing.assert_allclose(got[~dropped], x[~dropped] / (1 - rate), rtol=1e-15)
    assert abs(dropped.mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / x.size)
    rows = dropped.mean(axis=1)
    assert rows.std() < 2 * math.sqrt(rate * (1 - rate) / 500)


def test_dropout_0_and_inference_change_nothing_and_dropout_1_leaves_nothing(parts: Components) -> None:
    """p = 0 and no generator are the identity; p = 1 gives zeros, not infinities."""
    x = normal(3, 4)
    assert np.array_equal(parts.dropout(x, 0.0, np.random.default_rng(0)), x)
    assert np.array_equal(parts.dropout(x, 0.5, None), x)
    assert np.array_equal(parts.dropout(x, 1.0, np.random.default_rng(0)), np.zeros((3, 4)))


def test_dropout_repeats_with_its_seed_and_moves_on_with_its_generator(parts: Components) -> None:
    """One seed, one pattern; a generator used twice, two patterns."""
    x, generator = np.ones((50, 50)), np.random.default_rng(1)
    first, second = parts.dropout(x, 0.5, generator), parts.dropout(x, 0.5, generator)
    assert np.array_equal(first, parts.dropout(x, 0.5, np.random.default_rng(1)))
    assert not np.array_equal(first, second)


# the whole encoder


@pytest.mark.parametrize("head", HEADS)
def test_float32_stays_float32(build: Build, head: str) -> None:
    """No float64 table or constant widens a float32 model, with every extra asked for."""
    model = build(head, dtype="float32")
    call = good_call(head, model.config)
    heads = np.array([0.5, 1.0, 1.0])
    output = model(**call, head_mask=heads, output_attentions=True, output_hidden_states=True, training=True)

    def types(value: Any) -> set[Any]:
        return set().union(*map(types, value)) if isinstance(value, tuple) else {value.dtype}

    assert types(output.to_tuple()) == {np.dtype("float32")}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_component_keeps_the_type_of_its_input(dtype: str) -> None:
    """In, out, one floating-point type, for the definition in half, single and double precision."""
    parts, generator = components_named("equations"), np.random.default_rng(0)
    x = normal(2, 3, 4, D).astype(dtype)
    vector, matrix, mask = np.ones(D, dtype), np.ones((D, D), dtype), np.ones((2, 4), bool)
    table = parts.rotary_table(np.arange(4), D, dtype)
    labels = np.array([[0, 1, -100], [2, 3, 4]])
    rows = x[:, 0, 0]
    results = {
        "lookup": parts.lookup(matrix, labels % D),
        "add_token_types": parts.add_token_types(x[:, 0, :3], matrix, labels % D),
        "layer_norm": parts.layer_norm(x, vector, vector, 1e-12),
        "dense": parts.dense(x, matrix, vector),
        "rotate": parts.rotate(x, *table),
        "attention_scores": parts.attention_scores(x, x),
        "attention_probs": parts.attention_probs(x[..., :4], mask, True),
        "attend": parts.attend(x[..., :4], x),
        "feed_forward": parts.feed_forward(x, Dense(matrix, vector), Dense(matrix, vector), "gelu"),
        "dropout": parts.dropout(x, 0.5, generator),
        "cross_entropy": parts.cross_entropy(rows, np.array([0, 1])),
        "active_cross_entropy": parts.active_cross_entropy(x[:, 0, :3], labels),
        "span_cross_entropy": parts.span_cross_entropy(rows, rows, np.array([0, 99]), np.array([1, 2])),
        "squared_error": parts.squared_error(rows, rows),
        "binary_cross_entropy": parts.binary_cross_entropy(rows, rows),
        "reduce_loss": parts.reduce_loss(rows[0], "mean"),
        **{name: parts.activate(x, name) for name in SCALARS},
    }
    assert {name: str(value.dtype) for name, value in results.items()} == dict.fromkeys(results, dtype)


@pytest.mark.parametrize("rotary_value", [False, True])
@pytest.mark.parametrize("head", ["base", "causal_lm"])
def test_later_tokens_never_reach_earlier_positions_of_a_decoder(build: Build, head: str, rotary_value: bool) -> None:
    """Causal, whatever is_decoder says for a causal language model: the past does not see the future."""
    model = build(head, is_decoder=head == "base", rotary_value=rotary_value)
    ids = good_call(head, model.config)["input_ids"]
    first = model(ids)[0]
    for cut in range(1, SEQ_LEN):
        changed = ids.copy()
        changed[:, cut:] = (changed[:, cut:] + 11) % SIZES["vocab_size"]
        np.testing.assert_allclose(model(changed)[0][:, :cut], first[:, :cut], **CLOSE)
        np.testing.assert_allclose(model(ids[:, :cut])[0], first[:, :cut], **CLOSE)
        assert np.abs(model(changed)[0][:, cut:] - first[:, cut:]).max() > 1e-3


def test_an_encoder_sees_both_ways(build: Build) -> None:
    """Without is_decoder the last token moves the first position, and the first token the last."""
    model = build("base")
    ids = good_call("base", model.config)["input_ids"]
    first = model(ids).last_hidden_state
    for place, other in ((-1, 0), (0, -1)):
        changed = ids.copy()
        changed[:, place] = (changed[:, place] + 11) % SIZES["vocab_size"]
        assert np.abs(model(changed).last_hidden_state[:, other] - first[:, other]).max() > 1e-3


@pytest.mark.parametrize("head", ["base", "masked_lm"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("amount", [1, 5, 12])
def test_padding_changes_nothing_for_real_tokens(build: Build, head: str, side: str, amount: int) -> None:
    """Any number of masked positions, with any ids, on either side leaves real tokens where they were."""
    model = build(head)
    ids = good_call(head, model.config)["input_ids"]
    extra = np.random.default_rng(3).integers(0, SIZES["vocab_size"], (BATCH, amount))
    mask, none = np.ones_like(ids), np.zeros_like(extra)
    pairs = ((extra, none), (ids, mask)) if side == "left" else ((ids, mask), (extra, none))
    padded = model(*(np.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True)))[0]
    real = padded[:, amount:] if side == "left" else padded[:, :SEQ_LEN]
    np.testing.assert_allclose(real, model(ids)[0], rtol=1e-10, atol=1e-11)
    assert np.isfinite(padded).all()


@pytest.mark.parametrize("causal", [False, True])
def test_a_fully_masked_row_is_finite_and_alone(build: Build, causal: bool) -> None:
    """A row of nothing but padding gives finite numbers and does not move its neighbours."""
    model = build("base", is_decoder=causal)
    ids = good_call("base", model.config)["input_ids"]
    mask = np.ones_like(ids)
    whole = model(ids, mask).last_hidden_state
    mask[2] = 0
    output = model(ids, mask, output_attentions=True)
    assert np.isfinite(output.last_hidden_state).all()
    np.testing.assert_allclose(output.last_hidden_state[[0, 1, 3]], whole[[0, 1, 3]], **CLOSE)
    for probs in output.attentions:
        for q in range(SEQ_LEN):
            allowed = q + 1 if causal else SEQ_LEN
            expected = np.where(np.arange(SEQ_LEN) < allowed, 1 / allowed, 0.0)
            assert np.array_equal(probs[2, :, q], np.broadcast_to(expected, (N, SEQ_LEN)))


@pytest.mark.parametrize("value", [1e4, 1e150])
def test_huge_embeddings_under_the_mask_are_not_seen(build: Build, value: float) -> None:
    """Finite vectors at masked positions, huge ones included, leave every unmasked position as it was."""
    model = build("base")
    embeds = normal(BATCH, SEQ_LEN, SIZES["embedding_size"])
    mask = np.ones((BATCH, SEQ_LEN))
    mask[:, [1, 4]] = 0
    first = model(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
    embeds[:, [1, 4]] *= value
    kept = [0, 2, 3, 5, 6]
    second = model(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
    np.testing.assert_allclose(second[:, kept], first[:, kept], **CLOSE)


MASKS = {
    "no mask": np.ones((BATCH, SEQ_LEN), int),
    "left padding": (np.arange(SEQ_LEN) >= np.array([[0], [2], [3], [1]])).astype(int),
    "irregular": np.array([[1, 1, 0, 1, 0, 1, 1], [1, 0, 0, 0, 1, 1, 0], [0, 1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0]]),
}


@pytest.mark.parametrize("head", ["base", "causal_lm"])
@pytest.mark.parametrize("rotary_value", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("split", range(1, SEQ_LEN))
def test_a_cache_continues_as_if_nothing_was_cut(
    build: Build, head: str, rotary_value: bool, mask: str, split: int
) -> None:
    """Two calls with a cache between them give the states and logits of one, at every unmasked position."""
    model = build(head, is_decoder=True, rotary_value=rotary_value)
    call = good_call(head, model.config)
    ids, types, seen = call["input_ids"], call["token_type_ids"], MASKS[mask]
    whole = model(ids, seen, types, output_hidden_states=True, use_cache=True)
    first = model(ids[:, :split], seen[:, :split], types[:, :split], use_cache=True)
    second = model(ids[:, split:], seen, types[:, split:], past_key_values=first.past_key_values, use_cache=True)
    real = seen.astype(bool)
    np.testing.assert_allclose(first[0][real[:, :split]], whole[0][:, :split][real[:, :split]], **CLOSE)
    np.testing.assert_allclose(second[0][real[:, split:]], whole[0][:, split:][real[:, split:]], **CLOSE)
    for mine, theirs in zip(second.past_key_values, whole.past_key_values, strict=True):
        for part, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(part.swapaxes(1, 2)[real], other.swapaxes(1, 2)[real], **CLOSE)


def test_token_by_token_is_the_full_pass(build: Build) -> None:
    """Seven calls of one token each, with a cache, give the logits of one call of seven."""
    model = build("causal_lm")
    ids = good_call("causal_lm", model.config)["input_ids"]
    whole, past, steps = model(ids).logits, None, []
    for position in range(SEQ_LEN):
        output = model(ids[:, position : position + 1], past_key_values=past, use_cache=True)
        past = output.past_key_values
        steps.append(output.logits)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, **CLOSE)


def test_a_cache_is_not_changed_by_its_use(build: Build) -> None:
    """The same cache can be continued twice."""
    model = build("causal_lm")
    ids = good_call("causal_lm", model.config)["input_ids"]
    past = model(ids[:, :4], use_cache=True).past_key_values
    copies = tuple(tuple(array.copy() for array in layer) for layer in past)
    first = model(ids[:, 4:], past_key_values=past, use_cache=True)
    assert same(past, copies)
    assert same(model(ids[:, 4:], past_key_values=past, use_cache=True), first)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("split", [1, 4, 6])
def test_a_cache_of_cross_attention_needs_no_encoder_states(build: Build, masked: bool, split: int) -> None:
    """The cached four arrays a layer stand for the encoder's states, and give what the full pass gives."""
    model = build("causal_lm", is_decoder=True, add_cross_attention=True)
    ids = good_call("causal_lm", model.config)["input_ids"]
    states = normal(BATCH, 5, H, seed=8)
    mask = np.array([[1, 1, 1, 0, 0], [1] * 5, [0, 1, 0, 1, 1], [1, 0, 0, 0, 0]]) if masked else None
    whole = model(ids, encoder_hidden_states=states, encoder_attention_mask=mask)
    first = model(ids[:, :split], encoder_hidden_states=states, encoder_attention_mask=mask, use_cache=True)
    past = first.past_key_values
    for given_again in (None, states):
        second = model(
            ids[:, split:],
            past_key_values=past,
            encoder_hidden_states=given_again,
            encoder_attention_mask=mask,
            use_cache=True,
        )
        np.testing.assert_allclose(second.logits, whole.logits[:, split:], **CLOSE)


def test_cross_attention_by_hand(build: Build) -> None:
    """softmax(q kᵀ/√d) v over the encoder's states: no rotation, no causality, the encoder's mask."""
    model = build("base", is_decoder=True, add_cross_attention=True, num_hidden_layers=1)
    ids = good_call("base", model.config)["input_ids"]
    states, mask = normal(BATCH, 5, H, seed=8), np.array([[1, 1, 1, 0, 0], [1] * 5, [0, 1, 0, 1, 1], [1, 0, 0, 0, 0]])
    output = model(
        ids,
        encoder_hidden_states=states,
        encoder_attention_mask=mask,
        output_attentions=True,
        output_hidden_states=True,
    )
    w = {name.removeprefix("encoder.layer.0."): value for name, value in model.to_weights().items()}

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def turned(x: np.ndarray) -> np.ndarray:
        angles = np.arange(SEQ_LEN)[:, None] * 10000.0 ** (-2 * np.arange(D // 2) / D)
        pairs = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
        return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)

    def heads(x: np.ndarray) -> np.ndarray:
        return np.stack(np.split(x, N, axis=-1), axis=1)

    def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, visible: np.ndarray) -> tuple[Any, Any]:
        weights = np.exp(query @ key.swapaxes(-1, -2) / math.sqrt(D)) * visible
        weights /= weights.sum(-1, keepdims=True)
        return np.concatenate(list((weights @ value).swapaxes(0, 1)), axis=-1), weights

    x = output.hidden_states[0]
    query, key, value = (heads(dense(x, f"attention.self.{part}")) for part in ("query", "key", "value"))
    context, probs = attend(turned(query), turned(key), value, np.tri(SEQ_LEN))
    np.testing.assert_allclose(output.attentions[0], probs, **CLOSE)
    x = norm(x + dense(context, "attention.output.dense"), "attention.output")
    query = heads(dense(x, "crossattention.self.query"))
    key, value = (heads(dense(states, f"crossattention.self.{part}")) for part in ("key", "value"))
    context, probs = attend(query, key, value, mask[:, None, None, :])
    np.testing.assert_allclose(output.cross_attentions[0], probs, **CLOSE)
    x = norm(x + dense(context, "crossattention.output.dense"), "crossattention.output")
    inner = np.vectorize(_gelu)(dense(x, "intermediate.dense"))
    x = norm(x + dense(inner, "output.dense"), "output")
    np.testing.assert_allclose(output.last_hidden_state, x, **CLOSE)


def test_hidden_states_0_by_hand(build: Build) -> None:
    """LayerNorm(word + type) over E, then Dense E→H with bias: no position is added."""
    model = build("base")
    call = good_call("base", model.config)
    output = model(**call, output_hidden_states=True)
    w = {name.removeprefix("embeddings"): value for name, value in model.to_weights().items()}
    x = w[".word_embeddings.weight"][call["input_ids"]] + w[".token_type_embeddings.weight"][call["token_type_ids"]]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    x = (x * w[".LayerNorm.weight"] + w[".LayerNorm.bias"]) @ w["_project.weight"].T + w["_project.bias"]
    np.testing.assert_allclose(output.hidden_states[0], x, **CLOSE)


def test_rotary_value_turns_the_values_and_nothing_else(build: Build) -> None:
    """The first layer's weights stay; its output moves."""
    plain, turned = build("base"), build("base", rotary_value=True)
    ids = good_call("base", plain.config)["input_ids"]
    flags = {"output_attentions": True, "output_hidden_states": True}
    first, second = plain(ids, **flags), turned(ids, **flags)
    assert same(first.attentions[0], second.attentions[0])
    assert np.abs(first.hidden_states[1] - second.hidden_states[1]).max() > 1e-2


def test_positions_come_from_the_index_and_never_from_the_mask(build: Build) -> None:
    """Masking the first tokens does not renumber the others: weights among them stay those of their indices."""
    model = build("base", num_hidden_layers=1)
    ids = good_call("base", model.config)["input_ids"]
    mask = np.ones_like(ids)
    mask[:, :2] = 0
    masked = model(ids, mask, output_attentions=True).attentions[0][..., 2:, 2:]
    whole = model(ids, output_attentions=True).attentions[0][..., 2:, 2:]
    np.testing.assert_allclose(masked, whole / whole.sum(-1, keepdims=True), **CLOSE)


@pytest.mark.parametrize("head", HEADS)
def test_every_weight_matters(build: Build, head: str) -> None:
    """Moving any one tensor moves the output: none is left out, none is taken for another."""
    model = build(head)
    call = good_call(head, model.config)
    first = model(**call)
    weights = model.to_weights()
    for name, tensor in weights.items():
        if name.endswith("embed_positions.weight"):
            continue  # computed, never read
        moved = {**weights, name: tensor + 0.05 * np.cos(np.arange(tensor.size)).reshape(tensor.shape)}
        other = type(model).from_weights(model.config, moved, dtype="float64", components=model.components)(**call)
        assert max(np.abs(other[field] - first[field]).max() for field in first) > 1e-9, name
