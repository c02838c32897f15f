"""LIFE, further on: what a folder has to hold beside the weights, and folders of another head."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol import Array, Capabilities, Model, Outputs, Unsupported, flatten
from ..registry import DECODER_HEADS, LANGUAGE_HEADS, LOSS_HEADS, check
from ..resources import scratch
from ..strategies import Case, OneOf
from ..trial import TRACES, Trial, expect, without_warnings
from .exchange import DEFAULTS

STATES: Mapping[str, Any] = {"output_hidden_states": True}
# No field that shows in what a model returns has its default value.
UNUSUAL: Mapping[str, Any] = {
    "hidden_act": "relu", "layer_norm_eps": 1e-3, "rotary_value": True, "summary_type": "first",
    "loss_reduction": "mean", "problem_type": "regression", "output_hidden_states": True, "output_attentions": True,
    "hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.6, "add_pooling_layer": False, "is_decoder": True,
    "use_cache": False,
}  # fmt: skip

# Nor has one that shows in config.json alone.
IN_A_FILE: Mapping[str, Any] = {
    **{name: value for name, value in UNUSUAL.items() if name != "problem_type"},
    "initializer_range": 0.5, "pad_token_id": 3, "return_dict": False, "problem_type": "single_label_classification",
    "tie_word_embeddings": False, "max_position_embeddings": 40, "bos_token_id": 5,
    "chunk_size_feed_forward": 2,  # of transformers' own, as a key that no field here knows
}  # fmt: skip


@check("LIFE-4.1", "every-field", heads="all", effort=0.3, needs=("saving", "training"), also=("CFG-1.1", "CFG-4.1"),
       min_seq_len=3, **UNUSUAL)  # fmt: skip
def every_field_survives(trial: Trial, case: Case) -> None:
    """A configuration that is unusual in every field is the same after save and load: so are outputs and dropout."""
    weights = {name: array for name, array in trial.weights(case).items() if "pooler" not in name}
    model, inputs = trial.load(case, weights), {**case.inputs(), **_labels(case)}
    loaded = trial.reload(case, model)
    trial.equals("after save and load", trial.call(loaded, inputs), trial.call(model, inputs))
    dropped: Mapping[str, Any] = {"training": True, "seed": case.seed}
    trial.equals(
        "training after save and load", trial.call(loaded, inputs, **dropped), trial.call(model, inputs, **dropped)
    )


@check("LIFE-4.1", "tuples", effort=0.3, needs=("saving",), also=("CFG-1.1", "OUT-3.1"), return_dict=False,
       num_hidden_layers=1)  # fmt: skip
def the_wish_for_tuples_survives(trial: Trial, case: Case) -> None:
    """A model whose configuration says return_dict False gives the same plain tuple after save and load."""
    model, inputs = trial.load(case), case.inputs()
    got, expected = (one(inputs, style="keywords", options={}) for one in (trial.reload(case, model), model))
    expect(list(got) == list(expected), f"{', '.join(expected)} was returned, after save and load {', '.join(got)}")
    trial.equals("after save and load", flatten(got), flatten(expected))


@check("LIFE-4.1", "fields-in-the-file", effort=0.3, needs=("saving", "formats:safetensors"),
       also=("CFG-1.1", "CFG-1.3", "CFG-4.1"), num_hidden_layers=1, **IN_A_FILE)  # fmt: skip
def every_field_is_saved_again(trial: Trial, case: Case) -> None:
    """A configuration unusual in every field, saved, loaded and saved again, is in config.json both times.

    What is left out of the file has its default; how dropout and the range of new weights are used shows elsewhere.
    """
    model = trial.load(case)
    for what, one in (("saved", model), ("saved, loaded and saved again", trial.reload(case, model))):
        with scratch() as folder:
            _save(one, folder)
            written = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        for name, value in IN_A_FILE.items():
            got = written.get(name, DEFAULTS.get(name))
            expect(got == value, f"{name} is {got!r} in config.json when {what}, expected {value!r}")


@check("LIFE-4.1", "cross-attention", heads=DECODER_HEADS, effort=0.3, needs=("saving", "cross_attention"),
       also=("DEC-5.1",), is_decoder=True, add_cross_attention=True, add_pooling_layer=False)  # fmt: skip
def cross_attention_survives(trial: Trial, case: Case) -> None:
    """A decoder with cross-attention looks at an encoder after save and load as it did before, bit for bit."""
    model, inputs = trial.load(case), {**case.inputs(), "encoder_hidden_states": case.encoder_states()}
    expected = trial.call(model, inputs, **TRACES)
    trial.equals("after save and load", trial.call(trial.reload(case, model), inputs, **TRACES), expected)


@check("LIFE-4.1", "saved-again", effort=0.3, needs=("saving",), also=("LIFE-4.3",))
def a_folder_is_written_over(trial: Trial, case: Case) -> None:
    """A folder that holds another model holds this one after saving: weights and configuration."""
    other = dataclasses.replace(case, seed=case.seed + 1).with_config(num_hidden_layers=1, hidden_act="relu")
    first, model, inputs = trial.load(other), trial.load(case), case.inputs()
    adapter: Any = trial.adapter
    with scratch() as folder:
        _save(first, folder)
        _save(model, folder)
        got = trial.call(adapter.load_saved(case.head, folder, trial.dtype), inputs, **TRACES)
    trial.equals("saved into the folder of another model", got, trial.call(model, inputs, **TRACES))


@check("LIFE-4.1", "backbone-of-a-head", heads=LOSS_HEADS, effort=0.2, needs=("saving",), also=("LIFE-4.3",))
def a_base_model_is_read_from_a_head(trial: Trial, case: Case) -> None:
    """The folder of a model with a head holds its backbone: read as a base model it gives the same hidden states."""
    _expect_same_states(trial, case, case.head, "base")


@check("LIFE-6.2", "head-on-a-base-model", heads=LOSS_HEADS, effort=0.2, needs=("saving",), also=("LIFE-4.3",))
def a_head_is_put_on_a_base_model(trial: Trial, case: Case) -> None:
    """The folder of a base model, read with a head, gives the same hidden states: this is how fine-tuning starts."""
    _expect_same_states(trial, case, "base", case.head)


def _expect_same_states(trial: Trial, case: Case, saved: str, read: str) -> None:
    if "base" not in Capabilities.of(trial.adapter).heads:
        raise Unsupported("head base")
    plain, adapter = dataclasses.replace(case, head=saved), trial.adapter
    reader: Any = adapter
    with scratch() as folder, without_warnings():
        model = trial.load(plain)
        _save(model, folder)
        loaded = reader.load_saved(read, folder, trial.dtype)
    got = trial.call(loaded, _inputs(case, read), **STATES)
    expected = trial.call(model, _inputs(case, saved), **STATES)
    trial.equals(f"a {saved} folder read as {read}", _states(got), _states(expected))


def _inputs(case: Case, head: str) -> dict[str, Array]:
    """The case's call, its choices as rows where the head knows none."""
    rows = (-1, 1, case.seq_len) if head == "multiple_choice" else (-1, case.seq_len)
    return {name: array.reshape(rows) for name, array in case.inputs().items()}


def _states(outputs: Outputs) -> Outputs:
    return {tap: array for tap, array in outputs.items() if tap.startswith("hidden_states")}


def _labels(case: Case) -> dict[str, Array]:
    if case.head != "sequence_classification":
        return case.labels()
    return {
        "labels": case.generator("values").standard_normal((case.batch, case.config["num_labels"])).astype(np.float32)
    }


def _save(model: Model, folder: Any) -> None:
    saved: Any = model
    saved.save(folder)


@check("HEAD-7.3", "pruned-twice", effort=0.3, needs=("pruning", "saving"), min_heads=3, also=("HEAD-7.2",),
       num_hidden_layers=2)  # fmt: skip
def both_prunings_survive_saving(trial: Trial, case: Case) -> None:
    """Heads that were taken out in two calls, of one layer and of two, are all out after save and load."""
    model: Any = trial.load(case)
    model.prune_heads({0: [0]})
    model.prune_heads({0: [2], 1: [1]})
    expected = trial.call(model, case.inputs(), **TRACES)
    got = trial.call(trial.reload(case, model), case.inputs(), **TRACES)
    trial.equals("pruned twice, after save and load", got, expected)


@check("HEAD-8.3", "resized-and-saved", heads=LANGUAGE_HEADS, effort=0.3, needs=("resizing", "saving"),
       also=("HEAD-8.1", "HEAD-8.2", "LIFE-4.1"), tie_word_embeddings=OneOf((False, True)))  # fmt: skip
def a_resized_model_survives_saving(trial: Trial, case: Case) -> None:
    """After save and load a grown vocabulary gives the same finite logits for old and new words, tied or not."""
    model: Any = trial.load(case)
    size = case.config["vocab_size"] + 5
    model.resize_token_embeddings(size)
    inputs = case.inputs()
    inputs["input_ids"].flat[-1] = size - 1
    expected = trial.call(model, inputs, **TRACES)
    expect(bool(np.isfinite(expected["logits"]).all()), f"logits are not finite after growing to {size} words")
    got = trial.call(trial.reload(case.with_config(vocab_size=size), model), inputs, **TRACES)
    trial.equals(f"grown to {size} words, after save and load", got, expected)


@check("LIFE-6.3", "other-fields", effort=0.3, needs=("saving", "overrides"), is_decoder=False, min_seq_len=3)
def every_field_can_be_overridden(trial: Trial, case: Case) -> None:
    """Keywords at load override any field: activation, rotary_value and extras are those of a model made with them."""
    fields = {"hidden_act": "relu", "rotary_value": not case.config["rotary_value"], "output_hidden_states": True}
    got = trial.call(trial.reload(case, trial.load(case), **fields), case.inputs())
    made = trial.load(case.with_config(**fields), trial.weights(case))
    trial.equals(f"loaded with {', '.join(fields)}", got, trial.call(made, case.inputs()))


@check("LIFE-6.3", "unknown-field", effort=0.2, needs=("saving", "overrides"), also=("CFG-1.2",))
def misspelt_overrides_are_refused(trial: Trial, case: Case) -> None:
    """A keyword at load that is no field of the configuration is an error that names it."""
    model = trial.load(case)
    trial.refuses(lambda: trial.reload(case, model, hiden_act="relu"), "hiden_act")


@check("LIFE-6.5", "made-longer-at-load", effort=0.2, needs=("saving", "overrides"), also=("LIFE-6.3",), max_batch=1,
       num_hidden_layers=1, max_position_embeddings=16, add_pooling_layer=False)  # fmt: skip
def a_saved_model_can_be_made_longer(trial: Trial, case: Case) -> None:
    """A larger max_position_embeddings at load takes sequences that the saved model refuses, as exactly as others."""
    longer = dataclasses.replace(case, seq_len=23).with_config(max_position_embeddings=24)
    loaded = trial.reload(case, trial.load(case), max_position_embeddings=24)
    inputs = longer.inputs()
    trial.agrees(longer, inputs, trial.call(loaded, inputs, **TRACES), TRACES, trial.weights(case))


@check("LIFE-6.2", "drawn-not-zero", heads=LOSS_HEADS, effort=0.3, min_seq_len=3, masks=("none",))
def a_missing_head_is_drawn(trial: Trial, case: Case) -> None:
    """A head that is missing is drawn: its logits are not all the same number."""
    backbone = {name: array for name, array in trial.weights(case).items() if name.startswith("roformer.")}
    with without_warnings():
        got = trial.call(trial.load(case, backbone), case.inputs())
    for tap in (tap for tap in got if tap.endswith("logits")):
        expect(float(np.ptp(got[tap])) > 0.0, f"{tap} is {got[tap].flat[0]!r} everywhere without the head's tensors")
