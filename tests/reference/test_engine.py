"""The engine against the definition in float64, beside the error of the component kernels; its threads; its limits."""

from __future__ import annotations

import copy
import gc
import math
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.components import EQUATIONS
from roformer_numpy.config import HIDDEN_ACTS
from roformer_numpy.kernels.engine import by_rows, single, sums
from roformer_numpy.kernels.engine.by_rows import ROW_STEP
from roformer_numpy.kernels.engine.factors import FLOAT32
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET, LANES, PANEL, chosen_instruction_set
from roformer_numpy.kernels.engine.model import COLUMN_TOKENS
from roformer_numpy.kernels.engine.panels import aligned, packed, padded
from roformer_numpy.kernels.engine.products import NARROW, multiply_columns, multiply_panel
from roformer_numpy.kernels.engine.sums import WIDE
from roformer_numpy.kernels.engine.transposing import transpose
from roformer_numpy.kernels.engine.workers import WORKERS, Workers
from roformer_numpy.kernels.jit import kernel
from roformer_numpy.weights import Array, map_leaves

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

# Against the error of the component kernels, which take more of their sums in float64, and one rounding of a number
# near 1 for each of the handful of roundings that a model of two layers adds.
FACTOR, ROUNDINGS = 4.0, 2e-6


def config_of(**changes: Any) -> RoFormerConfig:
    """A small model whose sizes fill no panel and no vector."""
    sizes = {"vocab_size": 53, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    return RoFormerConfig(**{**sizes, "intermediate_size": 131, **changes})


def strong(config: RoFormerConfig) -> RoFormerModel:
    """A model none of whose parts can be left out unnoticed."""
    model, generator = RoFormerModel(config), np.random.default_rng(0)

    def draw(name: str, array: Array) -> Array:
        width = 1.2 / math.sqrt(array.shape[0]) if name.endswith("kernel") else 0.2
        centre = 1.0 if name.endswith("gamma") else 0.0
        return (centre + width * generator.standard_normal(array.shape)).astype(array.dtype)

    model.weights = map_leaves(draw, model.weights)
    return model


def exact(model: RoFormerModel) -> RoFormerModel:
    """The definition in float64 over the same weights."""
    twin = RoFormerModel(model.config, dtype="float64", components="equations")
    twin.weights = map_leaves(lambda _name, array: array.astype(np.float64), model.weights)
    return twin


def states(model: RoFormerModel, ids: Array, mask: Array, **options: Any) -> Array:
    """All hidden states, (layers + 1, batch, seq_len, H)."""
    return np.stack(model(ids, attention_mask=mask, output_hidden_states=True, **options).hidden_states)


def example(batch: int, seq_len: int, seed: int = 0) -> tuple[Array, Array]:
    """Ids, and an irregular mask that shows every first token."""
    generator = np.random.default_rng([seed, batch, seq_len])
    mask = generator.random((batch, seq_len)) < 0.7
    mask[:, 0] = True
    return generator.integers(0, 53, (batch, seq_len)), mask.astype(int)


def assert_engine_agrees(model: RoFormerModel, ids: Array, mask: Array) -> None:
    """The engine's error is of the size of the components' own."""
    engine = model._engine()
    assert engine is not None
    definition = states(exact(model), ids, mask)
    ours = states(model, ids, mask)
    # asking for the attentions takes the components' way
    components = states(model, ids, mask, output_attentions=True)
    allowed = FACTOR * np.abs(components - definition).max() + ROUNDINGS
    assert np.abs(ours - definition).max() <= allowed


def served(model: RoFormerModel, ids: Array, mask: Array, **options: Any) -> bool:
    """Whether the engine computes this call."""
    used, engine = [], model._engine()
    assert engine is not None
    with pytest.MonkeyPatch.context() as patch:
        encode = engine.encode
        patch.setattr(engine, "encode", lambda inputs: used.append(1) or encode(inputs))
        model(ids, attention_mask=mask, **options)
    return bool(used)


@pytest.mark.parametrize("hidden_act", HIDDEN_ACTS)
def test_every_activation_is_computed(hidden_act: str) -> None:
    """CFG-2: the engine has them all."""
    assert_engine_agrees(strong(config_of(hidden_act=hidden_act)), *example(2, 30))


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 7), (1, COLUMN_TOKENS), (1, COLUMN_TOKENS + 1), (5, 61), (1, 700), (2, 433)]
)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rotary_value": True},
        {"is_decoder": True},
        {"embedding_size": 10},
        {"hidden_size": 6, "num_attention_heads": 3, "intermediate_size": 1},
        {"hidden_size": 200, "num_attention_heads": 2, "intermediate_size": 96},
        {"pruned_heads": {0: [1], 1: [0, 2]}},
    ],
    ids=str,
)
def test_every_size_and_length_is_computed(changes: dict[str, Any], shape: tuple[int, int]) -> None:
    """One token and two tiles of keys; heads of 2 and of 100 features; masks with holes; layers of unlike width."""
    assert_engine_agrees(strong(config_of(**changes)), *example(*shape))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(3, 96), (2, 133)])
def test_neighbouring_keys_are_laid_out_together(shape: tuple[int, int], causal: bool) -> None:
    """Vectors full of keys, with a hole in one of them; sequences that begin within one; features left over."""
    ids, mask = example(*shape)
    mask[:], mask[-1, 50:53] = 1, 0
    sizes = {"hidden_size": 200, "num_attention_heads": 2, "intermediate_size": 96}
    assert_engine_agrees(strong(config_of(is_decoder=causal, **sizes)), ids, mask)


@kernel
def _transpose(x: Array, result: Array) -> None:
    transpose(x.ctypes.data, x.shape[1], result.ctypes.data, result.shape[1])


def test_a_square_of_vectors_is_transposed() -> None:
    """In the corner of larger matrices, whose rest stays as it was."""
    x = np.arange(LANES * (LANES + 3), dtype=np.float32).reshape(LANES, LANES + 3)
    result = np.full((LANES, LANES + 5), -1, np.float32)
    _transpose(x, result)
    assert np.array_equal(result[:, :LANES], x[:, :LANES].T)
    assert (result[:, LANES:] == -1).all()


@pytest.mark.parametrize("causal", [False, True])
def test_a_sequence_without_visible_tokens_sees_all_of_them_alike(causal: bool) -> None:
    """MASK-6: beside others in one batch, and no NaN."""
    ids, mask = example(3, 50)
    mask[1] = 0
    assert_engine_agrees(strong(config_of(is_decoder=causal)), ids, mask)


@pytest.mark.parametrize(
    ("options", "by_engine"),
    [
        ({}, True),
        ({"use_cache": False}, True),
        ({"padding": "skip"}, True),
        ({"output_hidden_states": True}, True),
        ({"token_type_ids": np.ones((2, 7), int)}, True),
        ({"output_attentions": True}, False),
        ({"head_mask": np.ones((2, 3))}, False),
        ({"training": True}, False),
    ],
    ids=str,
)
def test_what_the_engine_does_not_serve_the_components_compute(options: dict[str, Any], by_engine: bool) -> None:
    """Nobody has to know: the call is the same, and who computes it is decided by what it asks for."""
    assert served(strong(config_of(is_decoder=True)), *example(2, 7), **options) == by_engine


@pytest.mark.parametrize("seq_len", [9, 60])
@pytest.mark.parametrize("padding", ["compute", "skip"])
def test_causal_masks_may_hide_first_tokens(seq_len: int, padding: str) -> None:
    """There a query sees nothing of its own, and looks evenly at what causality allows (MASK-6.1)."""
    model, (ids, mask) = strong(config_of(is_decoder=True)), example(3, seq_len)
    mask[0, :3], mask[1] = 0, 0
    options = {"use_cache": False, "padding": padding}
    definition = states(exact(model), ids, mask, **options)
    assert served(model, ids, mask, **options)
    assert np.abs(states(model, ids, mask, **options) - definition).max() < 1e-5


CACHE_CHANGES = [{}, {"rotary_value": True}, {"pruned_heads": {0: [1]}}, {"embedding_size": 10}]


@pytest.mark.parametrize("first", [1, 20, 59])
@pytest.mark.parametrize("changes", CACHE_CHANGES, ids=str)
def test_a_cache_continues_what_it_began(changes: dict[str, Any], first: int) -> None:
    """States, keys and values as in float64, with masks of any pattern, in both schedules (DEC-5)."""
    model, (ids, mask) = strong(config_of(is_decoder=True, **changes)), example(3, 60)
    mask[0, :3], mask[1], mask[2, 5:30] = 0, 0, 0

    def both_calls(of: RoFormerModel) -> list[Any]:
        begun = of(ids[:, :first], attention_mask=mask[:, :first], use_cache=True)
        return [begun, of(ids[:, first:], attention_mask=mask, past_key_values=begun.past_key_values)]

    assert served(model, ids, mask, use_cache=True)
    for ours, definition in zip(both_calls(model), both_calls(exact(model)), strict=True):
        assert np.abs(ours.last_hidden_state - definition.last_hidden_state).max() < 1e-5
        for layer, expected in zip(ours.past_key_values, definition.past_key_values, strict=True):
            assert [array.shape for array in layer] == [array.shape for array in expected]
            assert all(np.abs(array - one).max() < 1e-5 for array, one in zip(layer, expected, strict=True))


def test_two_continuations_of_one_cache_do_not_disturb_each_other() -> None:
    """A cache is never written to after it was returned."""
    model, (ids, _) = strong(config_of(is_decoder=True)), example(2, 8)
    begun = model(ids, use_cache=True).past_key_values
    before = [array.copy() for layer in begun for array in layer]
    first = model(ids[:, :1], past_key_values=begun).last_hidden_state
    model(ids[:, 1:3], past_key_values=begun)
    assert np.array_equal(model(ids[:, :1], past_key_values=begun).last_hidden_state, first)
    assert all(map(np.array_equal, before, (array for layer in begun for array in layer)))


def test_the_number_of_threads_changes_no_bit_of_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier keys are laid out by whoever comes."""
    model, (ids, mask) = strong(config_of(is_decoder=True)), example(3, 90)
    results = []
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    for threads in (1, 2, 5):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", str(threads))
        begun = model(ids[:, :70], attention_mask=mask[:, :70], use_cache=True)
        out = model(ids[:, 70:], attention_mask=mask, past_key_values=begun.past_key_values)
        kept = b"".join(array.tobytes() for layer in out.past_key_values for array in layer)
        results.append(out.last_hidden_state.tobytes() + kept)
    assert len(set(results)) == 1


def test_double_precision_and_other_tables_have_no_engine() -> None:
    """The engine is float32 alone, and the definition stays the definition."""
    assert RoFormerModel(config_of(), dtype="float64")._engine() is None
    assert RoFormerModel(config_of(), components="equations")._engine() is None


def test_pruning_and_resizing_reach_the_engine() -> None:
    """Packed weights are those of the model as it is, not as it was."""
    model, (ids, mask) = strong(config_of()), example(2, 50)
    before = states(model, ids, mask)
    model.prune_heads({0: [2]})
    assert not np.allclose(states(model, ids, mask)[1], before[1])
    assert_engine_agrees(model, ids, mask)
    model.resize_token_embeddings(60)
    assert_engine_agrees(model, ids, mask)


def test_products_that_share_an_array_as_bias_stay_two() -> None:
    """A tree made by hand may hold one array of zeros where a projection and a pooler are."""
    shared = np.zeros(24, np.float32)

    def without_bias(name: str, array: Array) -> Array:
        return shared if name in ("embeddings.project.bias", "pooler.bias") else array

    found = []
    for components in ("kernels", "components"):
        model = RoFormerModel(config_of(embedding_size=10), seed=0, components=components)
        model.weights = map_leaves(without_bias, model.weights)
        found.append(model([[1, 2, 3]]).pooler_output)
    np.testing.assert_allclose(*found, atol=ROUNDINGS)


def test_a_first_call_adds_no_attribute_to_a_model() -> None:
    """One that is added while another thread copies the model ends the copy with an error."""
    model = strong(config_of())
    before = set(vars(model))
    model([[1, 2]])
    assert set(vars(model)) == before


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_that_computed_are_still_copied_and_pickled(copied: Any) -> None:
    """A copy outlives the original, whose packed weights it must not read, and computes the same."""
    model, call = strong(config_of()), example(2, 50)
    expected, twin = states(model, *call), copied(model)
    assert np.array_equal(states(twin, *call), expected)
    del model
    gc.collect()
    assert np.array_equal(states(twin, *call), expected)


def test_another_table_of_components_is_asked_from_then_on() -> None:
    """The engine stands for the kernels; a model that is given the equations has none."""
    model = strong(config_of())
    assert model._engine() is not None
    model.components = EQUATIONS
    assert model._engine() is None


def test_a_child_forked_while_weights_are_packed_packs_them_itself() -> None:
    """The thread that held the lock does not exist in the child."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    script = """
import os, signal
from roformer_numpy import RoFormerConfig, RoFormerModel, packing
model = RoFormerModel(RoFormerConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1))
with packing._packing[0]:
    child = os.fork()
    if not child:
        signal.alarm(60)
        model([[1, 2]])
        os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=100).returncode == 0


def test_packed_weights_cannot_be_changed_behind_the_engines_back() -> None:
    """Writing to them is an error instead of having no effect."""
    model = strong(config_of())
    model(*example(1, 3))
    with pytest.raises(ValueError, match="read-only"):
        model.weights.encoder[0].attention.query.kernel[0, 0] = 1.0


def test_nan_and_infinity_propagate() -> None:
    """ERR-11.3: a NaN at one visible token reaches every token of its sequence, and no other sequence."""
    model = strong(config_of())
    embeds = np.random.default_rng(0).standard_normal((2, 50, 24)).astype(np.float32)
    for poison in (np.nan, np.inf):
        embeds[0, 3, 1] = poison
        out = model(inputs_embeds=embeds).last_hidden_state
        assert np.isnan(out[0]).all()
        assert np.isfinite(out[1]).all()


@pytest.mark.parametrize("seq_len", [1, 30, 800])
@pytest.mark.parametrize("factor", [1e4, 1e5, 1e7])
def test_scores_of_any_size_give_weights(factor: float, seq_len: int) -> None:
    """Those of 10¹⁰ and more lie further apart than a power of two reaches; in tiles, too, the highest one wins."""
    model, (ids, mask) = strong(config_of(num_hidden_layers=1)), example(1, seq_len)
    for product in (model.weights.encoder[0].attention.query, model.weights.encoder[0].attention.key):
        product.kernel[...] *= np.float32(factor)
    assert np.abs(states(model, ids, mask) - states(exact(model), ids, mask)).max() < 1e-5


@pytest.mark.parametrize("hidden_act", HIDDEN_ACTS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30, -1e30])
def test_activations_of_infinity_are_finite_where_the_definition_is(hidden_act: str, value: float) -> None:
    """NUM-1.3: a sum that float32 cannot hold is 1 to a tanh, and NaN only where it is one in float64."""
    model, (ids, mask) = strong(config_of(hidden_act=hidden_act)), example(1, 5)
    model.weights.encoder[0].feed_forward.intermediate.bias[3] = value
    definition, ours = states(exact(model), ids, mask), states(model, ids, mask)
    assert np.array_equal(np.isfinite(ours), np.isfinite(definition))
    assert np.abs(ours - definition)[np.isfinite(definition)].max() < 1e-5


@kernel
def _multiply(rows: int, a: int, lda: int, panel: int, c: int, ldc: int, depth: int) -> None:
    multiply_panel(FLOAT32, rows, a, lda, panel, c, ldc, depth)


@pytest.mark.parametrize("rows", [1, 5, 8, 13, 24, 41])
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (7, PANEL), (384, PANEL + 1), (1000, 2 * PANEL + 5)])
def test_products_over_panels_are_products(rows: int, depth: int, width: int) -> None:
    """Against NumPy in float64, in units of the rounding of a sum of that length."""
    generator = np.random.default_rng([rows, depth, width])
    a, b = generator.standard_normal((rows, depth), np.float32), generator.standard_normal((depth, width), np.float32)
    panels, c = packed(b), aligned(rows, padded(width))
    for number, panel in enumerate(panels):
        target = c.ctypes.data + 4 * number * PANEL
        _multiply(rows, a.ctypes.data, depth, panel.ctypes.data, target, c.shape[1], depth)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert (np.abs(c[:, :width] - expected) <= scale * np.finfo(np.float32).eps * math.sqrt(depth + 2)).all()
    assert (c[:, width:] == 0).all()


@kernel
def _multiply_columns(rows: int, a: int, lda: int, panel: int, c: int, ldc: int, depth: int, columns: int) -> None:
    multiply_columns(FLOAT32, rows, a, lda, panel, c, ldc, depth, columns)


@pytest.mark.parametrize("rows", [1, 8, 19])
@pytest.mark.parametrize("columns", [1, LANES, LANES + 1, NARROW, NARROW + 1, PANEL])
def test_some_columns_of_a_panel_have_the_bits_of_all(rows: int, columns: int) -> None:
    """However few; what is left over is 0 or computed as well, because an activation passes over it."""
    generator = np.random.default_rng([rows, columns])
    a, panel = aligned(rows, 300), packed(generator.standard_normal((300, PANEL), np.float32))
    a[:], c, whole = generator.standard_normal((rows, 300), np.float32), aligned(rows, PANEL), aligned(rows, PANEL)
    c[:] = np.nan
    _multiply(rows, a.ctypes.data, 300, panel.ctypes.data, whole.ctypes.data, PANEL, 300)
    _multiply_columns(rows, a.ctypes.data, 300, panel.ctypes.data, c.ctypes.data, PANEL, 300, columns)
    assert (c[:, :columns] == whole[:, :columns]).all()
    assert ((c[:, columns:] == 0) | (c[:, columns:] == whole[:, columns:])).all()


@pytest.mark.parametrize("blocks", [1, 2, 6, 10])
@pytest.mark.parametrize("tokens", [41, 1126, 1147, 1280])
def test_blocks_of_rows_are_about_equal(tokens: int, blocks: int) -> None:
    """They cover all rows and differ by eight rows, the last one perhaps by some more that are missing."""
    call: Any = SimpleNamespace(states=np.empty((1, tokens, 0)), row_blocks=min(blocks, -(-tokens // ROW_STEP)))
    first_row: Any = getattr(by_rows._first_row, "py_func")  # noqa: B009
    starts = [first_row(call, block) for block in range(call.row_blocks + 1)]
    sizes = np.diff(starts)
    assert starts[0] == 0
    assert tokens <= starts[-1] < tokens + ROW_STEP
    assert sizes.min() > 0
    assert np.ptp(sizes) <= ROW_STEP


def test_long_products_round_like_short_ones() -> None:
    """Sums of sums: at 3072 terms less than four units in the last place of a typical result; one chain has 17."""
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((8, 3072), np.float32), generator.standard_normal((3072, PANEL), np.float32)
    panels, c = packed(b), aligned(8, PANEL)
    _multiply(8, a.ctypes.data, 3072, panels.ctypes.data, c.ctypes.data, PANEL, 3072)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert np.sqrt(np.mean((c - exact) ** 2)) < 4 * np.finfo(np.float32).epsneg * exact.std()


@kernel
def _all_of(x: Array, exponentials: Array, shares: Array) -> None:
    for index in range(x.shape[0]):
        exponentials[index] = single.exp(x[index])
        shares[index] = single.within(x[index])


def test_elementary_functions_are_right_to_float32() -> None:
    """Against the C library's, over the whole range; weights too small to matter are exactly 0, NaN stays NaN."""
    x = np.concatenate([np.linspace(-69.9, 20, 20_001), np.linspace(-7, 7, 20_001)]).astype(np.float32)
    exponentials, shares = np.empty_like(x), np.empty_like(x)
    _all_of(x, exponentials, shares)
    expected = np.exp(x.astype(np.float64))
    assert (np.abs(exponentials / expected - 1)).max() < 3e-7
    assert np.abs(shares - np.array([math.erf(value / math.sqrt(2.0)) for value in x.tolist()])).max() < 5e-7
    special = np.array([-np.inf, -71.0, np.nan, 0.0], np.float32)
    exponentials, shares = np.empty_like(special), np.empty_like(special)
    _all_of(special, exponentials, shares)
    assert np.array_equal(exponentials, [0.0, 0.0, np.nan, 1.0], equal_nan=True)
    assert np.array_equal(shares, [-1.0, -1.0, np.nan, 0.0], equal_nan=True)


@kernel
def _powers_of(x: Array, powers: Array) -> None:
    for index in range(x.shape[0]):
        powers[index] = single.exp2(x[index])


def test_powers_of_two_are_right_to_float32() -> None:
    """Those of integers are exact; weights too small to matter are exactly 0, NaN stays NaN."""
    x = np.linspace(-100.9, 20, 40_001).astype(np.float32)
    powers = np.empty_like(x)
    _powers_of(x, powers)
    assert np.abs(powers / np.exp2(x.astype(np.float64)) - 1).max() < 1.2e-7
    special = np.array([-np.inf, -1e30, -101.5, np.nan, np.inf, *range(-101, 21)], np.float32)
    powers = np.empty_like(special)
    _powers_of(special, powers)
    assert np.array_equal(powers[:4], [0.0, 0.0, 0.0, np.nan], equal_nan=True)
    assert not np.isfinite(powers[4])
    assert np.array_equal(powers[5:], np.exp2(special[5:].astype(np.float64)))


@kernel
def _sums_of(x: Array, found: Array) -> None:
    for number in range(found.shape[0]):
        found[number, 0] = sums.sum_of(x.ctypes.data, WIDE * number)
        found[number, 1] = sums.highest_of(x.ctypes.data, WIDE * number)


def test_sums_and_maxima_of_every_length_leave_nothing_out() -> None:
    """Integers, whose sums are exact in whatever order; a NaN is no maximum."""
    x = np.random.default_rng(0).integers(-1000, 1000, 20 * WIDE).astype(np.float32)
    found = np.empty((21, 2))
    _sums_of(x, found)
    first = [x[:count] for count in range(0, len(x) + 1, WIDE)]
    assert np.array_equal(found[:, 0], [part.sum(dtype=np.float64) for part in first])
    assert found[0, 1] == -np.inf
    assert np.array_equal(found[1:, 1], [part.max() for part in first[1:]])
    x[::3] = np.nan
    _sums_of(x, found)
    assert np.array_equal(found[1:, 1], [np.nanmax(part) for part in first[1:]])


@kernel
def _small_of(x: Array, exponentials: Array, tangents: Array) -> None:
    for index in range(x.shape[0]):
        exponentials[index] = single.expm1(x[index])
        tangents[index] = single.tanh(x[index])


def test_what_is_near_zero_keeps_its_digits() -> None:
    """eˣ − 1 and tanh x against the C library's, in relative terms, from 1e-30 to where they end; NaN stays NaN."""
    grown = np.geomspace(1e-30, 80.0, 20_001).astype(np.float32)
    x = np.concatenate([grown, -grown])
    exponentials, tangents = np.empty_like(x), np.empty_like(x)
    _small_of(x, exponentials, tangents)
    assert np.abs(exponentials / np.expm1(x.astype(np.float64)) - 1).max() < 4e-7
    assert np.abs(tangents / np.tanh(x.astype(np.float64)) - 1).max() < 4e-7
    special = np.array([-np.inf, np.inf, np.nan, 0.0], np.float32)
    exponentials, tangents = np.empty_like(special), np.empty_like(special)
    _small_of(special, exponentials, tangents)
    assert np.array_equal(exponentials[[0, 2, 3]], [-1.0, np.nan, 0.0], equal_nan=True)
    assert np.array_equal(tangents, [-1.0, 1.0, np.nan, 0.0], equal_nan=True)


@pytest.mark.parametrize("seq_len", [16, 200])
def test_the_number_of_threads_changes_no_bit(seq_len: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both schedules, although blocks and shares are cut differently."""
    model, (ids, mask) = strong(config_of(hidden_size=96, intermediate_size=400)), example(3, seq_len)
    results = []
    for threads in (1, 2, 3, 7):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", str(threads))
        monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
        results.append(states(model, ids, mask).tobytes())
    assert len(set(results)) == 1


def test_helpers_that_never_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose helpers are all busy does their share itself."""
    model, (ids, mask) = strong(config_of()), example(3, 100)
    expected = states(model, ids, mask)
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    monkeypatch.setattr(WORKERS, "_start", lambda wanted: None)
    monkeypatch.setattr(WORKERS, "_work", __import__("queue").SimpleQueue())
    assert np.array_equal(states(model, ids, mask), expected)


def test_finished_calls_leave_nothing_in_the_queue_of_busy_helpers() -> None:
    """A helper that is busy for long would otherwise find, and keep until then, the arrays of all calls since."""
    workers, done = Workers(), threading.Event()
    inside = threading.Barrier(3)  # the caller, its helper, and this test, which goes on when both are at work
    helped = threading.Thread(target=workers.run, args=(2, lambda: (inside.wait(), done.wait()), ()))
    helped.start()
    inside.wait()
    array = np.zeros(3)
    kept = weakref.ref(array)
    for _ in range(3):
        workers.run(2, np.copy, (array,))
    del array
    assert kept() is None
    assert workers._work.qsize() == 3
    done.set()
    helped.join()


def test_threads_that_cannot_be_started_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system allows no more of them, and while Python ends."""
    workers, done = Workers(), []
    monkeypatch.setattr(threading.Thread, "start", lambda _thread: (_ for _ in ()).throw(RuntimeError("no more")))
    workers.run(4, done.append, (1,))
    assert done == [1]


@pytest.mark.parametrize(("seq_len", "most"), [(3, 3), (50, 7)])
def test_no_more_threads_are_asked_than_can_have_a_task(seq_len: int, most: int, monkeypatch: Any) -> None:
    """Whatever the wish: three heads or panels, or seven blocks of eight rows."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "1000")
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    asked: list[int] = []
    run = WORKERS.run
    monkeypatch.setattr(WORKERS, "run", lambda threads, *work: asked.append(threads) or run(threads, *work))  # type: ignore[func-returns-value]
    ids, mask = example(1, seq_len)
    strong(config_of(intermediate_size=PANEL, add_pooling_layer=False))(ids, attention_mask=mask)
    assert asked == [most]


def test_eight_threads_may_share_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit what one gets, call after call, while all of them ask for helpers."""
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    model, calls = strong(config_of()), [example(2, length) for length in (3, 21, 90)]
    expected, wrong = [states(model, *call) for call in calls], []

    def work() -> None:
        for _ in range(25):
            wrong.extend(1 for call, out in zip(calls, expected, strict=True) if (states(model, *call) != out).any())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# exec is importable in a spawned child, a test module is not
CHILD = """
import pathlib
import numpy as np
import roformer_numpy.engine
from roformer_numpy import RoFormerConfig, RoFormerModel
roformer_numpy.engine.SERIAL_WORK = 0
model = RoFormerModel(RoFormerConfig(vocab_size=9, hidden_size=24, num_hidden_layers=2, num_attention_heads=3), seed=1)
pathlib.Path(path).write_bytes(b"".join(model([[1, 2, 3] * n]).last_hidden_state.tobytes() for n in (4, 40)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_compute_what_the_parent_does(method: str, tmp_path: Path) -> None:
    """A child forked while helpers wait for work, and a spawned one: neither hangs nor differs."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    here, there = tmp_path / "here", tmp_path / "there"
    exec(CHILD, {"path": str(here)})
    child = multiprocessing.get_context(method).Process(target=exec, args=(CHILD, {"path": str(there)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
        child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("name", ["avx2", "none"])
def test_another_instruction_set_computes_the_same(name: str, tmp_path: Path) -> None:
    """Forced to AVX2, or to no engine at all, a process gives the same numbers to rounding."""
    if name == "avx2" and "avx2" not in _usable():
        pytest.skip("this processor has no AVX2")
    here, there = tmp_path / "here", tmp_path / "there"
    exec(CHILD, {"path": str(here)})
    environment = {**os.environ, "ROFORMER_INSTRUCTION_SET": name}
    subprocess.run([sys.executable, "-c", f"path = {str(there)!r}\n{CHILD}"], env=environment, check=True, timeout=200)
    ours, theirs = (np.frombuffer(path.read_bytes(), np.float32) for path in (here, there))
    assert np.abs(ours - theirs).max() < 2e-6
    assert name != "none" or (ours != theirs).any(), "the components sum in another order, so the engine was at work"


def _usable() -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROFORMER_INSTRUCTION_SET", "abacus")
        with pytest.raises(ValueError, match="is not one of") as caught:
            chosen_instruction_set()
    return str(caught.value).split(" is not one of ")[1].split(", which")[0].split(", ")


@pytest.mark.skipif(INSTRUCTION_SET is None, reason="there is nothing that numba could be told to leave out")
@pytest.mark.parametrize(("name", "value"), [("ENABLE_AVX", 0), ("CPU_FEATURES", "-avx2,-avx512f")])
def test_what_numba_is_told_to_leave_out_is_not_used(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM ends the process where single instructions are asked for that it may not write."""
    monkeypatch.delenv("ROFORMER_INSTRUCTION_SET", raising=False)
    monkeypatch.setattr(numba.config, "CPU_NAME", None)
    assert chosen_instruction_set() is not None
    monkeypatch.setattr(numba.config, name, value)
    assert chosen_instruction_set() is None


def test_the_command_compiles_ahead() -> None:
    """`roformer warm-up` ends when nothing is left to compile, and says where the code is kept."""
    from typer.testing import CliRunner

    from roformer_numpy.cli import app

    finished = CliRunner().invoke(app, ["warm-up"], env={"COLUMNS": "300"})
    assert finished.exit_code == 0
    assert "Ready after" in finished.output


def test_the_first_compilation_is_announced_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, in one line; a log file gets nothing."""
    from roformer_numpy.kernels import announcing

    def compile_something() -> None:
        with announcing.announced():
            __import__("numba").njit(lambda x: x + 1)(1)

    monkeypatch.setattr(announcing, "_announcer", announcing._Announcer())
    compile_something()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    compile_something()
    compile_something()
    assert capsys.readouterr().err == announcing.MESSAGE + "\n"
