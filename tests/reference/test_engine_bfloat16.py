"""compute="bfloat16": factors of products are rounded and nothing else is; who cannot have it is told so."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import (
    InputError,
    RoFormerConfig,
    RoFormerForCausalLM,
    RoFormerForMaskedLM,
    RoFormerForSequenceClassification,
    RoFormerModel,
    kernels,
    models,
)
from roformer_numpy.adapter import bfloat16_adapter
from roformer_numpy.arithmetic import COMPUTE, checked_compute
from roformer_numpy.components import EQUATIONS
from roformer_numpy.engine import Engine, engine_for
from roformer_numpy.equations.dense import dense
from roformer_numpy.kernels import KERNELS
from roformer_numpy.kernels.engine import machine
from roformer_numpy.kernels.engine.dense import PackedDense, run_dense
from roformer_numpy.kernels.engine.factors import BFLOAT16, KINDS, narrow
from roformer_numpy.kernels.engine.machine import HAS_BFLOAT16
from roformer_numpy.kernels.engine.model import COLUMN_TOKENS
from roformer_numpy.kernels.jit import kernel
from roformer_numpy.weights import Array, Dense

served = pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor has no AVX512-BF16")

# heads of 16 features: the root that is folded into the query's weights is a power of two and moves no rounding
SIZES = {"vocab_size": 53, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3}


def config_of(**changes: Any) -> RoFormerConfig:
    """A small model whose inner sizes are odd: the last pair is half empty."""
    return RoFormerConfig(**{**SIZES, "intermediate_size": 131, "initializer_range": 0.2, **changes})


def rounded(x: Any) -> Array:
    """The nearest number of eight binary digits, even where two are as near: bfloat16 by arithmetic."""
    fraction, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.rint(fraction * 256.0) / 256.0, exponent)


def rounded_dense(x: Array, weights: Array, bias: Array) -> Array:
    """What a dense product is with rounded factors, in float64."""
    return dense(rounded(x), rounded(weights), bias)


def rounding_feed_forward(x: Array, first: Dense[Array], second: Dense[Array], hidden_act: str) -> Array:
    """The same for both products of a feed-forward."""
    inner = EQUATIONS.activate(rounded_dense(x, first.kernel, first.bias), hidden_act)
    return rounded_dense(inner, second.kernel, second.bias)


ROUNDING = dataclasses.replace(EQUATIONS, dense=rounded_dense, feed_forward=rounding_feed_forward, name="rounding")


def ids_of(batch: int, length: int) -> Array:
    """Random tokens."""
    return np.random.default_rng([batch, length]).integers(0, SIZES["vocab_size"], (batch, length))


def twins(kind: Any = RoFormerModel, **changes: Any) -> tuple[Any, Any]:
    """One model in float32 and in bfloat16."""
    model = kind(config_of(**changes), seed=3)
    return model, kind.from_weights(model.config, model.to_weights(), compute="bfloat16")


@kernel
def _narrow(x: Array, words: Array) -> None:
    narrow(x.shape[0], x.ctypes.data, x.shape[1], x.shape[1], words.ctypes.data, words.shape[1])


def narrowed(x: Array) -> Array:
    """Rows as the engine narrows them, widened again: (rows, width rounded up to pairs)."""
    words = np.full((len(x), -(-x.shape[1] // 2)), np.nan, np.float32)
    _narrow(np.ascontiguousarray(x, np.float32), words)
    return (words.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def test_numbers_are_rounded_to_nearest_and_to_even() -> None:
    """Ties among them, and the largest that becomes infinite; NaN of any bits stays NaN."""
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, 200_000, np.uint32)
    ties = (bits & 0xFFFF0000) | 0x8000
    x = np.concatenate([bits, ties, [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7F7FFFFF, 0x80000000]]).astype(np.uint32)
    numbers = x.view(np.float32)[None, : len(x) // 3 * 3]
    normal = np.abs(numbers) >= np.finfo(np.float32).tiny
    with np.errstate(over="ignore", invalid="ignore"):
        expected = rounded(numbers).astype(np.float32)
        expected[np.isinf(numbers)] = numbers[np.isinf(numbers)]
    got = narrowed(numbers)[:, : numbers.shape[1]]
    assert np.array_equal(got[normal], expected[normal], equal_nan=True)
    assert np.array_equal(np.isnan(got), np.isnan(numbers))


def test_an_odd_number_is_followed_by_zero() -> None:
    """Whatever stood there: it is multiplied by a weight that is not there."""
    got = narrowed(np.full((3, 7), 1.5, np.float32))
    assert got.tolist() == [[1.5] * 7 + [0.0]] * 3


@served
@pytest.mark.parametrize("rows", [1, 5, 8, 24, 133])
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (7, 48), (385, 49), (3072, 101)])
def test_products_are_those_of_rounded_factors(rows: int, depth: int, width: int) -> None:
    """Against NumPy in float64, in units of float32's rounding of a sum of that length."""
    generator = np.random.default_rng([rows, depth, width])
    x, weights = generator.standard_normal((rows, depth), np.float32), generator.standard_normal((depth, width))
    bias = generator.standard_normal(width).astype(np.float32)
    packed = PackedDense.of(weights.astype(np.float32), bias, None, 2, BFLOAT16)
    got = [run_dense(x, packed, threads) for threads in (1, 2)]
    a, b = rounded(x), rounded(weights.astype(np.float32))
    scale = np.abs(a) @ np.abs(b) + np.abs(bias)
    assert np.array_equal(got[0], got[1])
    assert (np.abs(got[0] - (a @ b + bias)) <= scale * np.finfo(np.float32).eps * np.sqrt(depth + 2)).all()


def test_panels_take_half_the_room() -> None:
    """A pair takes the place of a number, also where a vocabulary is packed in stretches."""
    kernel_, bias = np.ones((301, 20_000), np.float32), np.zeros(20_000, np.float32)
    wide, narrow_ = PackedDense.of(kernel_, bias), PackedDense.of(kernel_, bias, None, 1, BFLOAT16)
    assert narrow_.panels.shape == (wide.panels.shape[0], 151, wide.panels.shape[2])


@served
@pytest.mark.parametrize("length", [3, COLUMN_TOKENS, 70])
@pytest.mark.parametrize("changes", [{}, {"embedding_size": 31}, {"rotary_value": True}, {"hidden_act": "relu"}])
def test_factors_are_rounded_and_nothing_else(length: int, changes: dict[str, Any]) -> None:
    """The definition in float64 with rounded factors, to float32's accuracy at most tokens.

    One layer: now and then a factor lies so near the middle of two bfloat16 numbers that float32 rounds it to the other
    one than float64, and each layer has more that differ.
    """
    model, ours = twins(num_hidden_layers=1, **changes)
    exact = RoFormerModel.from_weights(model.config, model.to_weights(), dtype="float64", components="equations")
    rounding = RoFormerModel.from_weights(model.config, model.to_weights(), dtype="float64", components=ROUNDING)
    ids = ids_of(2, length)
    got = ours(ids).last_hidden_state
    assert got.dtype == np.float32
    assert np.median(np.abs(got - rounding(ids).last_hidden_state)) < 2e-6
    assert np.median(np.abs(got - exact(ids).last_hidden_state)) > 2e-4


@served
def test_the_number_of_threads_and_the_company_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sequence alone, in a batch, padded and skipped, by columns and by rows, with one thread and with three."""
    _, model = twins()
    alone = model(ids_of(1, 30)).last_hidden_state[0]
    ids = np.concatenate([np.pad(ids_of(1, 30), ((0, 0), (0, 40))), ids_of(3, 70)])
    mask = np.ones_like(ids)
    mask[0, 30:] = 0
    for threads in ("1", "3"):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
        assert np.array_equal(model(ids, mask).last_hidden_state[0, :30], alone)
        assert np.array_equal(model(ids, mask, padding="skip").last_hidden_state[0, :30], alone)
        assert np.array_equal(model.encode([ids[1].tolist(), ids[0, :30].tolist()])[1], alone)


@served
def test_heads_multiply_in_bfloat16_too() -> None:
    """Logits of masked language models differ from float32's by that rounding; asked-for ones are the same."""
    model, ours = twins(RoFormerForMaskedLM)
    ids = ids_of(2, 9)
    logits = ours(ids).logits
    assert 1e-4 < np.abs(logits - model(ids).logits).max() < 0.5
    assert np.array_equal(ours(ids, logits_at=[[4], [7]]).logits, logits[[[0], [1]], [[4], [7]]])


@served
def test_a_loss_is_that_of_its_logits() -> None:
    """Losses are the components', in float32."""
    _, ours = twins(RoFormerForSequenceClassification, num_labels=4)
    output = ours(ids_of(3, 11), labels=[0, 3, 1])
    logits = output.logits.astype(np.float64)
    by_hand = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1, 2], [0, 3, 1]]
    assert np.allclose(output.loss, by_hand, rtol=1e-5)


@served
def test_writing_on_is_the_same_with_and_without_a_cache() -> None:
    """A column's product does not depend on the columns beside it."""
    _, model = twins(RoFormerForCausalLM, is_decoder=True)
    ids = ids_of(2, 5)
    assert np.array_equal(
        model.generate(ids, max_new_tokens=12), model.generate(ids, max_new_tokens=12, use_cache=False)
    )


@served
def test_what_the_engine_does_not_serve_is_float32() -> None:
    """Returned attentions: the components know no other factors."""
    model, ours = twins()
    ids = ids_of(2, 9)
    plain, given = (one(ids, output_attentions=True, return_dict=True) for one in (model, ours))
    assert np.array_equal(given.last_hidden_state, plain.last_hidden_state)


@served
def test_heads_stay_with_the_engine_whoever_computes_the_layers() -> None:
    """With returned attentions embeddings, their projection and layers are float32's bit for bit, logits are not."""
    options = {"output_attentions": True, "output_hidden_states": True}
    plain, given = (one(ids_of(2, 9), **options) for one in twins(RoFormerForMaskedLM, embedding_size=31))
    assert np.array_equal(given.hidden_states, plain.hidden_states)
    assert 1e-4 < np.abs(given.logits - plain.logits).max() < 0.5


@served
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_spreads_as_far_as_it_should(bad: float) -> None:
    """ERR-11.3: through its own sequence and no other."""
    _, model = twins()
    embeds = np.random.default_rng(0).standard_normal((2, 6, SIZES["hidden_size"])).astype(np.float32)
    clean = model(inputs_embeds=embeds).last_hidden_state
    embeds[0, 3, 5] = bad
    spread = model(inputs_embeds=embeds).last_hidden_state
    assert np.isnan(spread[0]).any()
    assert np.array_equal(spread[1], clean[1])


@served
def test_copies_and_folders_keep_their_own_choice(tmp_path: Path) -> None:
    """A copy computes alike; a folder says nothing about it, who loads it does."""
    _, model = twins()
    ids = ids_of(1, 8)
    expected = model(ids).last_hidden_state
    model.save_pretrained(tmp_path)
    assert "compute" not in (tmp_path / "config.json").read_text(encoding="utf-8")
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same.compute == "bfloat16"
        assert np.array_equal(same(ids).last_hidden_state, expected)
    again = RoFormerModel.from_pretrained(tmp_path, compute="bfloat16")
    assert np.array_equal(again(ids).last_hidden_state, expected)
    assert not np.array_equal(RoFormerModel.from_pretrained(tmp_path)(ids).last_hidden_state, expected)


@served
def test_a_model_can_be_told_later() -> None:
    """And back again; its name says how it computes."""
    model, ours = twins()
    ids = ids_of(1, 8)
    exact, narrow_ = model(ids).last_hidden_state, ours(ids).last_hidden_state
    model.compute = "bfloat16"
    assert np.array_equal(model(ids).last_hidden_state, narrow_)
    assert repr(model) == "RoFormerModel(3 × 48, float32, kernels, products in bfloat16)"
    model.compute = "float32"
    assert np.array_equal(model(ids).last_hidden_state, exact)
    with pytest.raises(InputError, match="compute='bf16' is not one of"):
        model.compute = "bf16"
    assert model.compute == "float32"


@served
def test_what_is_told_while_packing_begins_counts_from_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may change a model just when its engine is made: that engine does not pass for the other one."""
    model, ours = twins()
    ids, made = ids_of(1, 8), engine_for

    def told_meanwhile(*given: Any) -> Any:
        engine = made(*given)
        model.compute = "bfloat16"
        return engine

    monkeypatch.setattr(models, "engine_for", told_meanwhile)
    model(ids)
    assert model.compute == "bfloat16"
    assert np.array_equal(model(ids).last_hidden_state, ours(ids).last_hidden_state)


@served
def test_to_say_the_same_again_packs_nothing() -> None:
    """However the word was made."""
    _, model = twins()
    engine = model._engine()
    model.compute = "".join(["bfloat", "16"])
    assert model._engine() is engine


@served
def test_pruned_and_resized_models_go_on_in_bfloat16() -> None:
    """Other weights are packed alike."""
    model = RoFormerForMaskedLM(config_of(), seed=3)
    ours = RoFormerForMaskedLM(config_of(), seed=3, compute="bfloat16")
    for one in (model, ours):
        one.prune_heads({0: [1], 2: [0, 2]})
        one.resize_token_embeddings(60)
    logits, exact = ours(ids_of(2, 9)).logits, model(ids_of(2, 9)).logits
    assert logits.shape == exact.shape == (2, 9, 60)
    assert 1e-4 < np.abs(logits - exact).max() < 0.5


@served
def test_a_copy_on_a_processor_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling for instructions that are not there would end the process."""
    _, model = twins()
    model(ids_of(1, 4))
    carried = pickle.dumps(model)
    monkeypatch.setattr(machine, "HAS_BFLOAT16", False)
    with pytest.raises(InputError, match="needs a processor with AVX512-BF16"):
        pickle.loads(carried)(ids_of(1, 4))


@served
@pytest.mark.parametrize("change", ["components", "weights", "processor"])
def test_no_change_makes_it_float32_in_silence(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Components and weights put in later, and a copy that was never called where there is no engine at all."""
    _, model = twins()
    if change == "components":
        model.components = EQUATIONS
    elif change == "weights":
        model.weights = RoFormerModel(config_of(), dtype="float64").weights
    else:
        model = pickle.loads(pickle.dumps(model))
        monkeypatch.setattr(machine, "HAS_BFLOAT16", False)
        monkeypatch.setattr(machine, "INSTRUCTION_SET", None)
    with pytest.raises(InputError, match="compute='bfloat16' needs"):
        model(ids_of(1, 4))


def test_nothing_is_compiled_ahead_that_the_processor_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM would end the process."""
    monkeypatch.setattr(kernels, "HAS_BFLOAT16", False)
    monkeypatch.setattr(kernels, "_touch_engine", lambda _kind: pytest.fail("compiled"))
    assert kernels.warm_up_engine("bfloat16") < 1.0


@pytest.mark.parametrize("wrong", ["float16", "BFLOAT16", None, 16, np.float32, ["bfloat16"]])
def test_other_arithmetics_are_refused(wrong: Any) -> None:
    """By name, value and what is allowed."""
    with pytest.raises(InputError, match=r"compute=.* is not one of 'float32', 'bfloat16'"):
        RoFormerModel(config_of(), compute=wrong)


@pytest.mark.parametrize("conflict", [{"dtype": "float64"}, {"components": "equations"}])
def test_only_the_engine_has_it(conflict: dict[str, Any]) -> None:
    """Neither float64 nor the definition is made less exact in silence."""
    with pytest.raises(InputError, match="compute='bfloat16' needs dtype='float32' and components='kernels', not"):
        RoFormerModel(config_of(), compute="bfloat16", **conflict)


def test_a_processor_without_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is emulated or left out in silence."""
    monkeypatch.setattr(machine, "HAS_BFLOAT16", False)
    with pytest.raises(InputError, match="needs a processor with AVX512-BF16"):
        RoFormerModel(config_of(), compute="bfloat16")


def test_every_arithmetic_that_may_be_asked_for_is_compiled() -> None:
    """The names of a model's argument are those of the kernels, which it does not import to check them."""
    assert tuple(KINDS) == COMPUTE


def test_float32_is_what_nobody_has_to_ask_for() -> None:
    """A model and an engine are exact unless somebody says otherwise."""
    model = RoFormerModel(config_of())
    assert model.compute == "float32"
    assert Engine(model.weights, model.config, KERNELS, False).compute == "float32"
    assert checked_compute("float32", np.dtype(np.float64), EQUATIONS) == "float32"


@served
@pytest.mark.parametrize("command", [["embed", "床前明月光", "--json"], ["fill-mask", "床前明[MASK]光", "--json"]])
def test_commands_compute_as_they_are_told(command: list[str]) -> None:
    """`--compute bfloat16` gives other numbers, near to float32's."""
    testing, app = pytest.importorskip("typer.testing"), pytest.importorskip("roformer_numpy.cli").app
    name, *rest = command
    plain, told = (
        testing.CliRunner().invoke(app, [name, "tang-mini", *rest, *more]) for more in ([], ["--compute", "bfloat16"])
    )
    assert (plain.exit_code, told.exit_code) == (0, 0), told.output
    first, second = (_numbers(json.loads(done.stdout)) for done in (plain, told))
    assert 0.0 < np.abs(first - second).max() < 0.05


def _numbers(found: Any) -> Array:
    """All floating-point numbers of a JSON object, in their order."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        return np.concatenate([np.zeros(0), *map(_numbers, found)])
    return np.array([found] if isinstance(found, float) else [])


@served
def test_it_conforms_to_what_the_contract_asks_of_bfloat16() -> None:
    """`roformer-conformance check numpy:bfloat16 --level smoke`: sums and what is stored are better than asked."""
    conformance = pytest.importorskip("roformer_conformance")
    result = conformance.check_implementation(bfloat16_adapter(), level="smoke")
    assert result.implementation == "numpy:bfloat16"
    assert not result.failed, [record.message for record in result.failed][:3]
    assert len(result.passed) > 600
