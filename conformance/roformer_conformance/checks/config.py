"""CFG: what a configuration means, and which ones are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..protocol import ImplementationDied, is_unsupported
from ..registry import DECODER_HEADS, check
from ..strategies import HIDDEN_ACTS, Case
from ..trial import CACHED, TRACES, Trial, Violation, expect, without_warnings

# The defaults that a small model can have; those of the sizes are tried one at a time.
SWITCH_DEFAULTS: dict[str, Any] = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
    "num_labels": 2,
    "pad_token_id": 0,
    "rotary_value": False,
    "is_decoder": False,
    "add_cross_attention": False,
    "add_pooling_layer": True,
    "tie_word_embeddings": True,
    "problem_type": None,
    "summary_type": "last",
    "loss_reduction": "none",
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
}
SMALL_SIZE_DEFAULTS = {"num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE_SIZE_DEFAULTS = {"vocab_size": 50000, "hidden_size": 768}

SIZES = (
    "vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size",
)  # fmt: skip


@check("CFG-1.1", "absent-fields", heads="all", effort=0.4, profiles=("low_variance",), **SWITCH_DEFAULTS)
def absent_fields_mean_their_defaults(trial: Trial, case: Case) -> None:
    """A field that the configuration does not hold means its default: the same results as with the default written."""
    inputs = {**case.inputs(), **case.labels()}
    expected = trial.call(trial.load(case), inputs, **TRACES)
    absent = [name for name, default in SWITCH_DEFAULTS.items() if case.config.get(name) == default]
    got = trial.call(trial.load(_without(case, *absent), trial.weights(case)), inputs, **TRACES)
    trial.equals(f"{', '.join(absent)} left out of the configuration", got, expected)


@check("CFG-1.1", "absent-sizes", effort=0.2, num_hidden_layers=1, max_seq_len=5)
def absent_sizes_mean_their_defaults(trial: Trial, case: Case) -> None:
    """num_hidden_layers, num_attention_heads and intermediate_size left out mean 12, 12 and 3072."""
    _sizes_have_defaults(trial, case.with_config(hidden_size=24), SMALL_SIZE_DEFAULTS)


@check(
    "CFG-1.1", "absent-large-sizes", effort=0.1, num_hidden_layers=1, num_attention_heads=3, embedding_size=5,
    max_seq_len=5,
)  # fmt: skip
def absent_large_sizes_mean_their_defaults(trial: Trial, case: Case) -> None:
    """vocab_size and hidden_size left out mean 50000 and 768."""
    _sizes_have_defaults(trial, case, LARGE_SIZE_DEFAULTS)


@check("CFG-1.1", "absent-length", effort=0.1, num_hidden_layers=1, num_attention_heads=1)
def the_default_length_is_1536(trial: Trial, case: Case) -> None:
    """max_position_embeddings left out means 1536: more than 512 tokens work, 1537 are refused."""
    model = trial.load(_without(case, "max_position_embeddings"), trial.weights(case))
    ids = dataclasses.replace(case, batch=1, seq_len=1537, choices=1).inputs()["input_ids"]
    trial.call(model, {"input_ids": ids[..., :600]})
    trial.refuses(lambda: trial.call(model, {"input_ids": ids}), "input_ids", "1537", "1536")


@check("CFG-1.1", "embedding-size")
def embedding_size_follows_hidden_size(trial: Trial, case: Case) -> None:
    """embedding_size left out means hidden_size."""
    written = case.with_config(embedding_size=case.config["hidden_size"])
    inputs = case.inputs()
    expected = trial.call(trial.load(written), inputs, **TRACES)
    got = trial.call(trial.load(_without(written, "embedding_size"), trial.weights(written)), inputs, **TRACES)
    trial.equals("embedding_size left out of the configuration", got, expected)


@check("CFG-1.1", "switches")
def switches_default_to_the_configuration(trial: Trial, case: Case) -> None:
    """output_hidden_states and output_attentions left out of a call are those of the configuration; False is False."""
    inputs, model = case.inputs(), trial.load(case.with_config(**TRACES), trial.weights(case))
    expected = trial.call(trial.load(case), inputs, **TRACES)
    told = "output_hidden_states and output_attentions set in the configuration"
    trial.equals(told, trial.call(model, inputs), expected)
    neither: dict[str, Any] = dict.fromkeys(TRACES, False)
    got = trial.call(model, inputs, **neither)
    left = sorted(tap for tap in got if tap.startswith(("hidden_states", "attentions")))
    expect(not left, f"{told}, and {', '.join(left)} returned by a call that said False")


@check("CFG-1.1", "use-cache", heads=DECODER_HEADS, needs=("cache",), effort=0.3, is_decoder=True, use_cache=False)
def the_configuration_may_leave_the_cache_out(trial: Trial, case: Case) -> None:
    """With use_cache False in the configuration past_key_values is returned to who asks for it, and to nobody else."""
    model, inputs = trial.load(case), case.inputs()
    kept = [tap for tap in trial.call(model, inputs) if tap.startswith("past_key_values")]
    expect(not kept, f"use_cache is False in the configuration, and {', '.join(kept[:2])} returned unasked")
    asked = trial.call(model, inputs, **CACHED)
    expect("past_key_values.0.0" in asked, "past_key_values is missing where a call says use_cache=True")


@check("CFG-1.3", "unknown-keys")
def unknown_keys_are_tolerated(trial: Trial, case: Case) -> None:
    """Keys of a config.json that no field knows change nothing and are no error."""
    keys = {"transformers_version": "4.37.2", "architectures": ["RoFormerModel"], "my_note": {"kept": [1, None]}}
    inputs = case.inputs()
    got = trial.call(trial.load(case.with_config(**keys), trial.weights(case)), inputs)
    trial.equals("unknown keys in the configuration", got, trial.call(trial.load(case), inputs))


@check("CFG-1.4", "id2label", heads=("sequence_classification", "token_classification"), problem_type=None)
def label_names_count_the_labels(trial: Trial, case: Case) -> None:
    """num_labels left out is the number of names in id2label, whose keys may be strings as in a JSON file."""
    labels = case.config["num_labels"]
    names = {"id2label": {str(number): f"name {number}" for number in range(labels)}}
    inputs = case.inputs()
    named = _without(case.with_config(**names, label2id={f"name {number}": number for number in range(labels)}))
    got = trial.call(trial.load(_without(named, "num_labels"), trial.weights(case)), inputs)
    trial.equals(f"id2label of {labels} names", got, trial.call(trial.load(case), inputs))


@check("CFG-2.1", "every-name", effort=0.2, num_hidden_layers=1, max_seq_len=5)
def every_activation_agrees_with_the_oracle(trial: Trial, case: Case) -> None:
    """Each of the twelve names of hidden_act is accepted and gives the oracle's outputs."""
    for name in HIDDEN_ACTS:
        _agrees_with_activation(trial, case, name)


@check("CFG-2.2", "selu", num_hidden_layers=1)
def selu_works(trial: Trial, case: Case) -> None:
    """hidden_act "selu" builds a working model that gives the oracle's outputs."""
    _agrees_with_activation(trial, case, "selu")


@check("CFG-2.3", "unknown-name", effort=0.3)
def an_unknown_activation_is_refused(trial: Trial, case: Case) -> None:
    """An unknown hidden_act is an error that names it and lists the known ones."""
    _refuses_config(trial, case, {"hidden_act": "gelu_nwe"}, "hidden_act", "gelu_nwe", *HIDDEN_ACTS)


@check("CFG-3.1", "heads-divide", effort=0.5)
def heads_divide_the_hidden_size(trial: Trial, case: Case) -> None:
    """A hidden_size that is no multiple of num_attention_heads is an error that names both with their values."""
    heads, hidden = case.config["num_attention_heads"] + 1, case.config["hidden_size"]
    hidden += 1 if hidden % heads == 0 else 0
    changes = {"num_attention_heads": heads, "hidden_size": hidden}
    _refuses_config(trial, case, changes, "hidden_size", "num_attention_heads", str(hidden), str(heads))


@check("CFG-3.1", "head-size-is-even", effort=0.5)
def head_sizes_are_even(trial: Trial, case: Case) -> None:
    """An odd head size is an error that names hidden_size and num_attention_heads with their values."""
    heads = case.config["num_attention_heads"]
    changes = {"hidden_size": 5 * heads}
    _refuses_config(trial, case, changes, "hidden_size", "num_attention_heads", str(5 * heads), str(heads))


@check("CFG-3.2", "sizes-are-positive", effort=0.5)
def sizes_are_positive(trial: Trial, case: Case) -> None:
    """A size of 0, below 0 or given as text is an error that names the field and the value."""
    for name in SIZES:
        for value in (0, -3, "many"):
            _refuses_config(trial, case, {name: value}, name, str(value))


@check("CFG-3.2", "probabilities", effort=0.5)
def probabilities_lie_between_0_and_1(trial: Trial, case: Case) -> None:
    """A dropout probability below 0 or above 1 is an error that names the field and the value."""
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        for value in (-0.25, 1.5):
            _refuses_config(trial, case, {name: value}, name, str(value))


def _without(case: Case, *names: str) -> Case:
    """The case with these fields left out of its configuration."""
    kept = {name: value for name, value in case.config.items() if name not in names}
    return Case(**{**vars(case), "config": kept})


def _sizes_have_defaults(trial: Trial, case: Case, defaults: dict[str, int]) -> None:
    """For each field: left out, with weights of the default size, is the default written out."""
    for name, value in defaults.items():
        written = case.with_config(**{name: value})
        inputs, weights = written.inputs(), trial.weights(written)
        expected = trial.call(trial.load(written, weights), inputs)
        try:
            got = trial.call(trial.load(_without(written, name), weights), inputs)
        except ValueError as error:
            raise Violation(f"{name} left out of the configuration is not {value}: {error}") from error
        trial.equals(f"{name} left out of the configuration", got, expected)


def _agrees_with_activation(trial: Trial, case: Case, name: str) -> None:
    changed = case.with_config(hidden_act=name)
    inputs = changed.inputs()
    try:
        got = trial.call(trial.load(changed), inputs, **TRACES)
    except ImplementationDied:
        raise
    except Exception as error:
        if is_unsupported(error):
            raise
        raise Violation(f"hidden_act={name!r} gives {type(error).__name__}: {error}") from error
    expect(
        all(np.isfinite(array).all() for array in got.values()), f"hidden_act={name!r} gives values that are infinite"
    )
    try:
        trial.agrees(changed, inputs, got, TRACES)
    except Violation as violation:
        raise Violation(f"hidden_act={name!r}: {violation}", violation.grade) from violation


def _refuses_config(trial: Trial, case: Case, changes: dict[str, Any], field: str, *mentions: str) -> None:
    """Building (or, at the latest, calling) a model of the changed configuration is an error."""
    weights, inputs = trial.weights(case), case.inputs()
    with without_warnings():
        trial.refuses(
            lambda: trial.load(case.with_config(**changes), weights)(inputs, style="keywords", options={}),
            field,
            *mentions,
        )
