"""OUT: what a call returns, in which shapes and order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from ..precision import PRECISIONS, carried
from ..protocol import Array, Outputs, flatten
from ..registry import DECODER_HEADS, LOSS_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect, heard_warnings, without_warnings

# The documented order of all outputs; what a call does not give takes no place.
ORDER = (
    "loss", "last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "past_key_values",
    "hidden_states", "attentions", "cross_attentions",
)  # fmt: skip
Shapes = Mapping[str, tuple[int, ...]]


@check("OUT-1.1", "base", needs=("pooler_output",), heads=("base",), effort=0.5)
def the_base_model_returns_states_and_pooler(trial: Trial, case: Case) -> None:
    """last_hidden_state is (batch, seq_len, hidden_size), pooler_output (batch, hidden_size)."""
    shape = (case.batch, case.seq_len, case.config["hidden_size"])
    expected = {"last_hidden_state": shape, "pooler_output": shape[::2]}
    _have_shapes(trial.call(trial.load(case), case.inputs()), expected)


@check("OUT-1.2", "shapes", needs=("hidden_states",), heads="all", effort=0.3)
def hidden_states_have_their_shapes(trial: Trial, case: Case) -> None:
    """hidden_states is a tuple of num_hidden_layers + 1 arrays (batch, seq_len, hidden_size)."""
    shape = (*_rows(case), case.config["hidden_size"])
    expected = {f"hidden_states.{number}": shape for number in range(case.config["num_hidden_layers"] + 1)}
    _have_shapes(_only(trial.call(trial.load(case), case.inputs(), **TRACES), "hidden_states"), expected)


@check("OUT-1.2", "last-state", heads=("base",))
def the_last_hidden_state_is_the_last_of_hidden_states(trial: Trial, case: Case) -> None:
    """The last of hidden_states equals last_hidden_state, bit for bit."""
    got = trial.call(trial.load(case), case.inputs(), output_hidden_states=True)
    last = f"hidden_states.{case.config['num_hidden_layers']}"
    expect(last in got, f"{last} is missing")
    trial.equals(f"{last} beside last_hidden_state", {last: got[last]}, {last: got["last_hidden_state"]})


@check("OUT-1.3", "shapes", needs=("attentions",), heads="all", effort=0.3)
def attentions_have_their_shapes(trial: Trial, case: Case) -> None:
    """attentions is a tuple of num_hidden_layers arrays (batch, heads, seq_len, seq_len)."""
    rows, seq_len = _rows(case)
    shape = (rows, case.config["num_attention_heads"], seq_len, seq_len)
    expected = {f"attentions.{number}": shape for number in range(case.config["num_hidden_layers"])}
    _have_shapes(_only(trial.call(trial.load(case), case.inputs(), **TRACES), "attentions"), expected)


@check("OUT-1.3", "query-before-key", masks=("right",), min_seq_len=4)
def queries_come_before_keys(trial: Trial, case: Case) -> None:
    """A masked position takes no weight as a key, and has weights of its own as a query: query stands before key."""
    inputs = case.inputs()
    inputs["attention_mask"][..., -1] = 0
    inputs["attention_mask"][..., 0] = 1
    got = trial.call(trial.load(case), inputs, output_attentions=True)
    for layer in range(case.config["num_hidden_layers"]):
        weights = got[f"attentions.{layer}"]
        as_key, as_query = weights[..., -1], weights[..., -1, :]
        expect(not as_key.any(), f"attentions.{layer}[..., -1] of a masked key is not 0: are its last axes exchanged?")
        expect(bool(as_query.any()), f"attentions.{layer}[..., -1, :] of a masked query is 0: are its axes exchanged?")


@check("OUT-1.4", "after-head-mask", needs=("head_mask",))
def attentions_are_taken_after_the_head_mask(trial: Trial, case: Case) -> None:
    """attentions under a head_mask are those without it times the head's entry: they are what multiplies value."""
    inputs, model = case.inputs(), trial.load(case)
    head_mask = _head_mask(case, trial.dtype)
    got = trial.call(model, {**inputs, "head_mask": head_mask}, output_attentions=True)["attentions.0"]
    plain = trial.call(model, inputs, output_attentions=True)["attentions.0"]
    scale = head_mask[0][:, None, None]
    options = {"output_attentions": True}
    trial.close("attentions under head_mask", got, plain * scale, case, inputs, "attentions.0", options=options)


@check("OUT-1.5", "rows", heads="all", effort=0.4)
def attentions_are_weights(trial: Trial, case: Case) -> None:
    """In inference attentions are 0 or above, and each row sums to 1."""
    inputs = case.inputs()
    got = trial.call(trial.load(case), inputs, output_attentions=True)
    _sum_to(trial, case, inputs, got, np.ones((case.config["num_hidden_layers"], 1, 1)))


@check("OUT-1.5", "rows-under-head-mask", effort=0.5, needs=("head_mask",))
def attentions_sum_to_the_head_mask(trial: Trial, case: Case) -> None:
    """In inference each row of attentions sums to its head's entry of head_mask."""
    head_mask = _head_mask(case, trial.dtype)
    inputs = {**case.inputs(), "head_mask": head_mask}
    got = trial.call(trial.load(case), inputs, output_attentions=True)
    _sum_to(trial, case, inputs, got, head_mask[..., None])


@check("OUT-1.6", "shapes", heads=LOSS_HEADS, effort=0.5)
def logits_have_their_shapes(trial: Trial, case: Case) -> None:
    """logits, or start_logits and end_logits, have the documented shape of the head."""
    got, expected = trial.call(trial.load(case), case.inputs()), _logits(case)
    _have_shapes({name: array for name, array in got.items() if "logits" in name}, expected)


@check("OUT-1.6", "shapes-of-one", heads="all", effort=0.3, max_seq_len=1, masks=("none",))
def no_axis_of_one_is_dropped(trial: Trial, case: Case) -> None:
    """One row of one token keeps every axis of every output."""
    one = Case(**{**vars(case), "batch": 1, "seq_len": 1})
    got = trial.call(trial.load(one), one.inputs())
    shape = (1, 1, case.config["hidden_size"])
    expected: Shapes = {"last_hidden_state": shape, "pooler_output": shape[1:]} if one.head == "base" else _logits(one)
    expected = {name: shape for name, shape in expected.items() if name not in trial.lacking}
    _have_shapes({name: got[name] for name in got if name in expected}, expected)


@check("OUT-1.6", "no-softmax", heads=LOSS_HEADS, effort=0.5)
def logits_are_scores(trial: Trial, case: Case) -> None:
    """logits are scores before the softmax: their rows do not hold probabilities that sum to 1."""
    got = trial.call(trial.load(case), case.inputs())
    for name in _logits(case):
        array = got[name]
        rounding = array.shape[-1] * 2.0 * PRECISIONS[trial.dtype].unit
        off = np.abs(array.sum(axis=-1) - 1.0).max()
        expect(bool((array < 0).any()) or off > rounding, f"{name} holds probabilities: its rows sum to 1")


@check("OUT-1.7", "loss", heads=LOSS_HEADS, effort=0.5)
def a_loss_comes_with_labels_only(trial: Trial, case: Case) -> None:
    """loss is present when labels are given, and only then."""
    model, inputs = trial.load(case), case.inputs()
    expect("loss" not in trial.call(model, inputs), "loss was returned, but no labels were given")
    expect("loss" in trial.call(model, {**inputs, **case.labels()}), "loss is missing, though labels were given")


@check("OUT-1.9", "past", heads=DECODER_HEADS, needs=("cache", "hidden_states", "attentions"), is_decoder=True)
def past_key_values_stand_before_hidden_states(trial: Trial, case: Case) -> None:
    """past_key_values stands directly before hidden_states."""
    _tuple_equals_object(trial, case, {**case.inputs(), **case.labels()}, {**TRACES, "use_cache": True})


@check("OUT-2", "extras", heads="all", effort=0.4)
def extras_change_nothing_else(trial: Trial, case: Case) -> None:
    """Asking for hidden_states and attentions leaves the other outputs as they are, up to rounding."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    plain, traced = trial.call(model, inputs), trial.call(model, inputs, **TRACES)
    extra = sorted(name for name in plain if name.startswith(("hidden_states", "attentions")))
    expect(not extra, f"{', '.join(extra)} were returned without being asked for")
    trial.match("with hidden_states and attentions asked for", traced, plain, case, inputs)


@check("OUT-3.1", "tuple", heads="all", effort=0.3, also=("OUT-1.8",))
def tuples_hold_the_same_elements(trial: Trial, case: Case) -> None:
    """return_dict=False gives a plain tuple of the same elements in the documented order, for every flag and label."""
    for labels, states, attentions in product(({}, case.labels()), (False, True), (False, True)):
        options = {"output_hidden_states": states, "output_attentions": attentions}
        _tuple_equals_object(trial, case, {**case.inputs(), **labels}, options)


@check("OUT-3.1", "by-configuration", needs=("hidden_states", "attentions"), effort=0.3, also=("CFG-1.1",))
def the_configuration_may_ask_for_tuples(trial: Trial, case: Case) -> None:
    """return_dict False in the configuration gives the plain tuple that the argument gives."""
    inputs = case.inputs()
    told = trial.load(case)(inputs, style="keywords", options={**TRACES, "return_dict": False})
    got = trial.load(case.with_config(return_dict=False), trial.weights(case))(inputs, style="keywords", options=TRACES)
    expect(list(got) == ["tuple"], f"return_dict=False in the configuration gave {', '.join(got)}, not a plain tuple")
    trial.equals("the tuple that the configuration asks for", flatten(got), flatten(told))


@check(
    "OUT-3.2", "cross-attentions", heads=DECODER_HEADS, needs=("cross_attention", "attentions"), is_decoder=True,
    add_cross_attention=True,
)  # fmt: skip
def cross_attentions_stand_last(trial: Trial, case: Case) -> None:
    """cross_attentions, arrays (batch, heads, seq_len, encoder_len), stand after attentions in the tuple."""
    states = case.encoder_states()
    inputs = {**case.inputs(), "encoder_hidden_states": states}
    got = trial.call(trial.load(case), inputs, **TRACES)
    shape = (case.batch, case.config["num_attention_heads"], case.seq_len, states.shape[1])
    expected = {f"cross_attentions.{number}": shape for number in range(case.config["num_hidden_layers"])}
    _have_shapes(_only(got, "cross_attentions"), expected)
    _tuple_equals_object(trial, case, inputs, TRACES)


@check("OUT-4.1", "formula", needs=("pooler_output",), heads=("base",), also=("OUT-4.2",))
def the_pooler_is_a_tanh_of_the_first_state(trial: Trial, case: Case) -> None:
    """pooler_output = tanh(W · last_hidden_state[:, 0] + b), computed by hand from the weights."""
    weights, inputs = trial.weights(case), case.inputs()
    got = trial.call(trial.load(case), inputs)
    expect("pooler_output" in got, "pooler_output is missing, though the weights hold a pooler")
    first = got["last_hidden_state"][:, 0].astype(np.float64)
    hand = np.tanh(first @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    what = "tanh(W · last_hidden_state[:, 0] + b) by hand"
    trial.close(what, got["pooler_output"], hand, case, inputs, "pooler_output")


@check("OUT-4.3", "no-weights", needs=("pooler_output",), heads=("base",), effort=0.5)
def no_pooler_weights_no_pooler_output(trial: Trial, case: Case) -> None:
    """Without pooler weights pooler_output is absent and everything else is as before: no random numbers."""
    weights = trial.weights(case)
    inputs, expected = case.inputs(), trial.call(trial.load(case), case.inputs())
    without = {name: array for name, array in weights.items() if "pooler" not in name}
    with without_warnings():
        got = trial.call(trial.load(case, without), inputs)
    expect("pooler_output" not in got, "pooler_output was returned, but the weights hold no pooler: a random result")
    trial.equals("without pooler weights", got, expected, ["last_hidden_state"])


@check("OUT-4.3", "warning", heads=("base",), effort=0.3, needs=("warnings", "pooler_output"))
def a_missing_pooler_is_warned_about(trial: Trial, case: Case) -> None:
    """Without pooler weights, or without one of the two, one warning names what is missing."""
    weights = trial.weights(case)
    for lost in (("pooler.dense.weight", "pooler.dense.bias"), ("pooler.dense.bias",)):
        with heard_warnings() as heard:
            trial.load(case, {name: array for name, array in weights.items() if name not in lost})
        naming = [text for text in heard if all(name in text for name in lost)]
        expect(len(naming) == 1, f"{len(naming)} warnings name {' and '.join(lost)}, expected one; heard: {heard}")


@check("OUT-4.4", "switched-off", needs=("pooler_output",), heads=("base",), effort=0.5)
def add_pooling_layer_false_means_no_pooler(trial: Trial, case: Case) -> None:
    """With add_pooling_layer False there is no pooler_output, and nothing else changes."""
    inputs, weights = case.inputs(), trial.weights(case)
    expected = trial.call(trial.load(case), inputs)
    without = {name: array for name, array in weights.items() if "pooler" not in name}
    got = trial.call(trial.load(case.with_config(add_pooling_layer=False), without), inputs)
    expect("pooler_output" not in got, "pooler_output was returned, though add_pooling_layer is False")
    trial.equals("add_pooling_layer=False", got, expected, ["last_hidden_state"])


@check("OUT-4.4", "no-warning", heads=("base",), effort=0.3, needs=("warnings", "pooler_output"))
def a_pooler_that_nobody_wants_is_not_missed(trial: Trial, case: Case) -> None:
    """With add_pooling_layer False nothing warns that pooler weights are missing."""
    without = {name: array for name, array in trial.weights(case).items() if "pooler" not in name}
    with heard_warnings() as heard:
        trial.load(case.with_config(add_pooling_layer=False), without)
    expect(not heard, f"add_pooling_layer=False: expected no warning about pooler_output, heard: {heard}")


@check("OUT-5.1", "access", heads="all", effort=0.3, needs=("output_objects",))
def fields_are_reached_in_three_ways(trial: Trial, case: Case) -> None:
    """A present output is reached by attribute, by key and by index, and is the same object's value each time."""
    output = _object(trial, case)
    names = [name for name in ORDER if name in output]
    for number, name in enumerate(names):
        for way, value in (("attribute", getattr(output, name, None)), ("index", _item(output, number))):
            got, expected = flatten({name: value}), flatten({name: output[name]})
            trial.equals(f"{name} by {way} beside {name} by key", got, expected)


@check("OUT-5.2", "iteration", heads="all", effort=0.3, needs=("output_objects",))
def iteration_runs_over_present_fields(trial: Trial, case: Case) -> None:
    """Iteration runs over the present outputs in order, and to_tuple() holds their values."""
    output = _object(trial, case)
    names = [name for name in ORDER if output.get(name) is not None]
    expect(list(output) == names, f"iteration gives {list(output)}, expected the present outputs {names}")
    expect(hasattr(output, "to_tuple"), "the output has no to_tuple()")
    got, expected = {"tuple": output.to_tuple()}, {"tuple": tuple(output[name] for name in names)}
    trial.equals("to_tuple()", flatten(got), flatten(expected))


def _rows(case: Case) -> tuple[int, int]:
    """(sequences, seq_len): each choice is a sequence of its own."""
    return int(np.prod(case.lead[:-1])), case.seq_len


def _logits(case: Case) -> Shapes:
    labels, vocab = case.config["num_labels"], case.config["vocab_size"]
    tokens = (case.batch, case.seq_len)
    if case.head == "question_answering":
        return {"start_logits": tokens, "end_logits": tokens}
    shapes = {
        "masked_lm": (*tokens, vocab),
        "causal_lm": (*tokens, vocab),
        "token_classification": (*tokens, labels),
        "sequence_classification": (case.batch, labels),
        "multiple_choice": (case.batch, case.choices),
    }
    return {"logits": shapes[case.head]}


def _have_shapes(got: Outputs, expected: Shapes) -> None:
    missing, unknown = sorted(expected.keys() - got.keys()), sorted(got.keys() - expected.keys())
    expect(not missing, f"outputs are missing: {', '.join(missing)}")
    expect(not unknown, f"outputs that nobody asked for: {', '.join(unknown)}")
    for name, shape in expected.items():
        expect(got[name].shape == shape, f"{name} has shape {got[name].shape}, expected {shape}")


def _only(outputs: Outputs, name: str) -> Outputs:
    return {tap: array for tap, array in outputs.items() if tap.partition(".")[0] == name}


def _head_mask(case: Case, dtype: str) -> Array:
    """Entries between 0 and 1, some of them 0, (layers, heads)."""
    shape = (case.config["num_hidden_layers"], case.config["num_attention_heads"])
    return carried(np.round(case.generator("head_mask").random(shape) * 4) / 4, dtype)


def _sum_to(trial: Trial, case: Case, inputs: dict[str, Any], got: Outputs, expected: Array) -> None:
    """Each row of each layer's attentions sums to `expected` (layers, heads or 1, 1), within the honest spread."""
    for layer in range(case.config["num_hidden_layers"]):
        tap = f"attentions.{layer}"
        expect(tap in got, f"{tap} is missing")
        lowest = float(got[tap].min(initial=0.0))
        expect(lowest >= 0.0, f"{tap} holds {lowest!r}, expected 0 or above")
        sums = got[tap].sum(axis=-1)
        options = {"output_attentions": True}
        wanted = np.broadcast_to(expected[layer], sums.shape)
        trial.close("the sum of a row", sums, wanted, case, inputs, tap, lambda array: array.sum(axis=-1), options)


def _tuple_equals_object(trial: Trial, case: Case, inputs: dict[str, Any], options: Mapping[str, Any]) -> None:
    model = trial.load(case)
    output = trial.call(model, inputs, **options, return_dict=True)
    plain = model(inputs, style="keywords", options={**options, "return_dict": False})
    expect(list(plain) == ["tuple"], f"return_dict=False gave {', '.join(plain)}, expected a plain tuple")
    present = [name for name in ORDER if _only(output, name)]
    names, flags = ", ".join(present), ", ".join(name for name, value in options.items() if value) or "no extras"
    count = len(plain["tuple"])
    expect(count == len(present), f"the tuple with {flags} has {count} elements, expected {len(present)}: {names}")
    for number, name in enumerate(present):
        got, expected = flatten({name: plain["tuple"][number]}), _only(output, name)
        trial.equals(f"element {number} of the tuple with {flags}", got, expected)


def _item(output: Any, number: int) -> Any:
    try:
        return output[number]
    except (KeyError, IndexError, TypeError):
        return None


def _object(trial: Trial, case: Case) -> Any:
    """The output object itself, with everything that the head can give."""
    inputs = {**case.inputs(), **case.labels()}
    return trial.load(case)(inputs, style="keywords", options=TRACES)
