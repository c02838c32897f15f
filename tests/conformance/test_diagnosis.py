"""A failure says which output differs first, where that is computed, and which known mistake it looks like."""

from __future__ import annotations

import time
import warnings
import zlib
from typing import Any

import numpy as np
import pytest

from roformer_conformance import parametrize_with_checks
from roformer_conformance.diagnosis import Diagnosis, diagnose
from roformer_conformance.diagnosis.calls import Call, compare
from roformer_conformance.diagnosis.forcing import layer_alone, wrong_layers
from roformer_conformance.diagnosis.variants import CATALOGUE
from roformer_conformance.oracle import schema
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import all_checks
from roformer_conformance.strategies import typical_case
from roformer_conformance.trial import TRACES
from roformer_conformance.weights import draw_weights
from roformer_numpy.adapter import NumpyAdapter

from .faults import FAULTS
from .faults.making import Fault, encoder_run_layer, self_attention

# A seeded fault, a check that it fails, and a word of the one name that the diagnosis has to give it.
NAMED = [
    ("half_split_rotary", "ROT-2.1/plane-probe", "half-split"),
    ("sine_sign_turned", "ROT-2.3/key-and-query-turn", "sign of the sine"),
    ("base_9999", "ROT-2.1/plane-probe", "base 9999"),
    ("position_from_one", "ROT-2.4/value-turns", "counted from 1"),
    ("only_the_query_turns", "ROT-2.1/only-distance-counts", "key not rotated"),
    ("cache_without_offset", "ROT-2.7/cached-offset", "start at 0"),
    ("scale_missing", "ROT-2.1/plane-probe", "not divided by √d"),
    ("mask_on_queries", "MASK-2.1/content-is-irrelevant", "queries in place of keys"),
    ("minus_ten_thousand", "MASK-1/weight-is-zero", "−10000"),
    ("always_causal", "MASK-2.1/tokens-matter", "causality"),
    ("one_token_ahead", "DEC-1.1/future-is-unseen", "one token ahead"),
    ("heads_strided", "ATT-3.3/heads-are-interchangeable", "strided"),
    ("attention_residual_missing", "ATT-3.4/identity-layer", "residual around the attention"),
    ("eps_built_in", "FFN-4.4/embedding-eps", "1e-5"),
    ("tanh_gelu", "FFN-4.1/activation-probe", "tanh-GELU"),
    ("types_left_out", "EMB-1.1/sum-and-norm", "token types"),
    ("projection_without_bias", "EMB-1.2/projection", "projection"),
    ("transposed_pooler", "OUT-4.1/formula", "transposed"),
    ("language_model_bias_missing", "HEAD-1.1/every-tensor-matters", "without bias"),
    ("tying_ignored", "HEAD-1.4/untied-matrix", "tie_word_embeddings"),
    ("start_and_end_exchanged", "HEAD-4/by-hand", "exchanged"),
    ("labels_not_shifted", "LOSS-3.1/by-hand", "not shifted"),
    ("losses_averaged", "LOSS-1.1/by-hand", "averaged"),
    ("drops_in_inference", "TRAIN-1.1/training-false", "chance"),
]
# Faults that nothing in the catalogue resembles, or that are no matter of arithmetic.
NAMELESS = [
    ("absolute_positions", "EMB-1.3/no-position"),
    ("pad_token_never_predicted", "HEAD-1.2/vocabulary-order"),
    ("clamps_integers", "ERR-2/ids"),
]


def diagnosed(fault: str, identifier: str) -> Diagnosis:
    """The diagnosis of the first head on which the fault fails the check's typical case."""
    adapter, check = FAULTS[fault](), all_checks()[identifier]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong model may warn, or divide by zero
        for job in plan([check], Capabilities.of(adapter)):
            drawn_from = zlib.crc32(f"0 {check.id} {job.head} {job.dtype}".encode())
            found = diagnose(adapter, check, check.typical(job.head, drawn_from), job.dtype, 4.0, seconds=30.0)
            if "it passes" not in "".join(found.lines):
                return found
    raise AssertionError(f"{fault} passes the typical case of {identifier}")


def likened(found: Diagnosis) -> str:
    """What a diagnosis says that it looks like; "" when nothing."""
    return next((line for line in found.lines if line.startswith("looks like")), "")


@pytest.mark.parametrize(("fault", "identifier", "word"), NAMED)
def test_a_known_mistake_is_named(fault: str, identifier: str, word: str) -> None:
    """The failure of a seeded fault looks like that fault, and like no other beside it."""
    name = likened(diagnosed(fault, identifier))
    assert word in name
    assert name.count(" or ") <= 1, name


@pytest.mark.parametrize(("which", "ahead"), [("key", "keys"), ("query", "queries")])
def test_who_stands_one_position_ahead_is_named(which: str, ahead: str) -> None:
    """An index that begins at 1 on one side only: every distance is one too long, or one too short."""

    def change(parts: dict[str, Any], forward: Any, weights: Any) -> None:
        pairs = np.arange(forward.config.head_dim // 2)
        angles = 10000.0 ** (-2.0 * pairs / forward.config.head_dim)
        parts[which] = forward.components.rotate(parts[which], np.cos(angles)[None], np.sin(angles)[None])

    check = all_checks()["ROT-2.3/key-and-query-turn"]
    found = diagnose(self_attention(change), check, check.typical("base", 0), "float32", 4.0, seconds=30.0)
    assert f"{ahead} turned one position further" in likened(found)
    assert " or " not in likened(found)


@pytest.mark.parametrize(("fault", "identifier"), NAMELESS)
def test_an_unknown_mistake_gets_no_name(fault: str, identifier: str) -> None:
    """What resembles nothing in the catalogue is not called anything."""
    assert likened(diagnosed(fault, identifier)) == ""


def test_the_first_output_is_told_with_values_grade_and_budget() -> None:
    """Earliest first: output, worst index, got, expected, R, the budget there, and what computes it."""
    first, place, *_ = diagnosed("half_split_rotary", "ROT-2.3/key-and-query-turn").lines
    assert first.startswith("first output that differs: attentions.0[")
    for word in ("got ", "expected ", "R ", "budget ±"):
        assert word in first
    assert place.startswith("that is layer 0, its attention weights")


def test_an_error_that_is_not_raised_is_not_put_down_to_arithmetic() -> None:
    """A check of errors makes no call that differs from the oracle."""
    assert diagnosed("ignores_unknown_names", "ERR-8.1/unknown-keyword").comparison is None
    found = diagnosed("clamps_integers", "ERR-2/ids")
    assert (found.lines, found.comparison) == ((), None)
    assert found.call is not None  # so that a saved failure holds what was called


def test_surgery_tells_the_part_that_matters() -> None:
    """A mask that is ignored makes no difference where there is no mask; a wrong activation none without it."""
    masked = " ".join(diagnosed("mask_ignored", "MASK-1/weight-is-zero").lines)
    assert "it goes away without attention_mask" in masked
    activated = " ".join(diagnosed("tanh_gelu", "FFN-4.1/activation-probe").lines)
    assert "it goes away without the feed-forward" in activated
    assert "stays without token types" in activated


def parity_call(layers: int = 3) -> Call:
    """A plain call of a base model with E ≠ H."""
    case = typical_case(3, "base", num_hidden_layers=layers, projected=True, masks=("right",))
    weights = draw_weights(schema(case.config, "base"), "strong", 3, "float32")
    return Call("base", case.config, weights, "float32", case.inputs(), options=dict(TRACES))


def test_a_layer_alone_gives_what_it_gives_among_the_others() -> None:
    """One layer with the oracle's input as its embeddings returns the next hidden state, but for rounding."""
    comparison = compare(NumpyAdapter("equations"), parity_call(), 4.0)
    assert comparison is not None
    assert comparison.first is None
    for layer in range(3):
        alone = layer_alone(comparison, layer)
        states = alone.oracle().run(alone.inputs, alone.options)["hidden_states.1"]
        np.testing.assert_allclose(states, comparison.expected[f"hidden_states.{layer + 1}"], atol=2e-5)


def test_teacher_forcing_accuses_the_wrong_layer_alone() -> None:
    """A fault in layer 1 is not put down to layer 2, which only continues with what it gets."""

    def run(hidden, layer, number, forward):
        result = encoder_run_layer(hidden, layer, number, forward)
        # the layer is known by its weights, so that it is the same one when it runs alone
        wrong = np.isclose(layer.attention.query.kernel[0, 0], marked)
        return type(result)(hidden * 1.01, result.probs, result.cross_probs, result.cache) if wrong else result

    call = parity_call()
    marked = call.weights["encoder.layer.1.attention.self.query.weight"][0, 0]
    adapter = Fault(patches={"encoder.run_layer": run})
    comparison = compare(adapter, call, 4.0)
    assert comparison is not None
    assert comparison.first is not None
    assert comparison.first.tap == "hidden_states.2"
    assert wrong_layers(adapter, comparison, 4.0) == [1]


def test_an_implementation_that_runs_single_layers_is_asked_to() -> None:
    """`run_layer(index, hidden_states, attention_mask)` takes the place of a model of one layer."""
    asked = []

    class Layered(NumpyAdapter):
        def load(self, head, config, weights, dtype):
            """A model with layers to run."""
            model = super().load(head, config, weights, dtype)
            model.run_layer = lambda index, states, mask: asked.append((index, states.shape)) or states
            return model

    adapter = Layered("equations")
    comparison = compare(adapter, parity_call(), 4.0)
    assert comparison is not None
    assert wrong_layers(adapter, comparison, 4.0) == [0, 1, 2]
    shape = comparison.expected["hidden_states.0"].shape
    assert asked == [(0, shape), (1, shape), (2, shape)]


def test_no_two_mistakes_of_the_catalogue_have_one_name() -> None:
    """A name says which variant it is, and the clause that it breaks."""
    names = [variant.name for variant in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(name.endswith(")") for name in names)


def test_a_diagnosis_ends_in_time() -> None:
    """What is not found within the time limit is left out."""
    adapter, check = FAULTS["half_split_rotary"](), all_checks()["NUM-1.1/parity"]
    started = time.perf_counter()
    found = diagnose(adapter, check, check.typical("base", 0), "float32", 4.0, seconds=0.0)
    assert time.perf_counter() - started < 5.0
    assert likened(found) == ""
    assert found.lines[0].startswith("first output that differs")


def test_an_item_of_pytest_tells_the_diagnosis() -> None:
    """What fails under `parametrize_with_checks` says where it sits, too."""
    mark = parametrize_with_checks(FAULTS["half_split_rotary"](), level="smoke")
    item = next(item for item in mark.args[1] if item.id == "ROT-2.2/gauge[base-float32]")
    with pytest.raises(AssertionError, match=r"first output that differs: attentions\.0"):
        item.values[0]()


class Constant(NumpyAdapter):
    """Returns the right shapes, and one number in all of them; `traces` False hides what is inside."""

    def __init__(self, value: float, *, traces: bool = True) -> None:
        super().__init__("equations")
        self.value, self.traces = value, traces

    def load(self, head, config, weights, dtype):
        """A model that computes for nothing."""
        model = super().load(head, config, weights, dtype)

        def call(inputs, *, style, options):
            shown = model(inputs, style=style, options=options)
            hidden = () if self.traces else ("hidden_states", "attentions")
            return {name: self._filled(shown[name]) for name in shown if name not in hidden}

        return call

    def _filled(self, value):
        return tuple(map(self._filled, value)) if isinstance(value, tuple) else np.full_like(value, self.value)


@pytest.mark.parametrize(("value", "traces"), [(0.0, True), (0.0, False), (0.25, True)])
def test_constants_are_called_constants(value: float, traces: bool) -> None:
    """No layer is said to be right, and no part to blame, where nothing is computed."""
    check = all_checks()["NUM-1.1/parity"]
    adapter = Constant(value, traces=traces)
    found = diagnose(adapter, check, check.typical("base", 0), "float32", 4.0)
    if traces:
        assert f"nothing computed: every output is {value:g} everywhere" in found.lines[-1]
    assert "is right" not in " ".join(found.lines)
