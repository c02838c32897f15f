"""DEC-4 and DEC-5.3, further on: what a cache holds, number by number, and head_mask beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..formulas import dense, heads_of, turned
from ..protocol import Array, cache_of
from ..registry import DECODER_HEADS, check
from ..strategies import Case, OneOf
from ..trial import CACHED, TRACES, Trial


@check("DEC-5.3", "by-hand", heads=DECODER_HEADS, needs=("cache",), effort=0.4, is_decoder=True,
       rotary_value=OneOf((False, True)), also=("ROT-2.3", "ROT-2.4"))  # fmt: skip
def cached_keys_and_values_by_hand(trial: Trial, case: Case) -> None:
    """The first layer's entry is its rotated key, then its value, rotated with rotary_value: computed by hand."""
    weights, options = trial.weights(case), {**TRACES, **CACHED}
    got = trial.call(trial.load(case), case.inputs(), **options)
    key, value = (_part(got["hidden_states.0"], weights, f"attention.self.{name}", case) for name in ("key", "value"))
    value = turned(value) if case.config["rotary_value"] else value
    expected = {"past_key_values.0.0": turned(key), "past_key_values.0.1": value}
    trial.match("by hand", got, expected, case, case.inputs(), options=options)


@check("DEC-5.3", "cross-entries-by-hand", heads=DECODER_HEADS, needs=("cache", "cross_attention"), effort=0.4,
       is_decoder=True, add_cross_attention=True, rotary_value=OneOf((False, True)),
       also=("ROT-2.5", "DEC-5.1"))  # fmt: skip
def cached_encoder_keys_and_values_by_hand(trial: Trial, case: Case) -> None:
    """The last two of an entry are key, then value of the encoder's states, neither rotated: computed by hand."""
    weights, states = trial.weights(case), case.encoder_states()
    inputs = {**case.inputs(), "encoder_hidden_states": states}
    got = trial.call(trial.load(case), inputs, **CACHED)
    expected = {
        f"past_key_values.0.{entry}": _part(states, weights, f"crossattention.self.{name}", case)
        for entry, name in ((2, "key"), (3, "value"))
    }
    trial.match("by hand", got, expected, case, inputs, options=CACHED)


@check("DEC-4", "head-mask", heads=DECODER_HEADS, needs=("cache", "head_mask"), effort=0.4, is_decoder=True,
       min_heads=2, min_seq_len=3, masks=("none",), also=("HEAD-6.1",))  # fmt: skip
def head_masks_hold_after_a_cache(trial: Trial, case: Case) -> None:
    """A sequence computed in two calls under one head_mask gives what one call gives."""
    shape = (case.config["num_hidden_layers"], case.config["num_attention_heads"])
    mask = {"head_mask": case.generator("head mask").random(shape).astype(np.float32)}
    inputs, model, half = case.inputs(), trial.load(case), case.seq_len // 2
    whole = trial.call(model, {**inputs, **mask}, **TRACES)
    start = trial.call(model, {**{name: array[:, :half] for name, array in inputs.items()}, **mask}, **CACHED)
    rest = {name: array[:, half:] for name, array in inputs.items()}
    got = trial.call(model, {**rest, **mask, "past_key_values": cache_of(start)}, **TRACES)
    expected = {tap: array[:, half:] for tap, array in whole.items() if tap.startswith(("hidden_states", "logits"))}
    trial.match("in two calls", got, expected, case, {**inputs, **mask}, lambda array: array[:, half:], TRACES)


@check("DEC-4", "after-pruning", heads=DECODER_HEADS, needs=("cache", "pruning"), effort=0.3, is_decoder=True,
       min_heads=2, min_seq_len=3, masks=("none",), add_pooling_layer=False, also=("HEAD-7.1",))  # fmt: skip
def a_cache_holds_the_heads_that_are_left(trial: Trial, case: Case) -> None:
    """A pruned model computes a sequence in two calls as in one: its cache has the heads that are left."""
    inputs, model, half = case.inputs(), trial.load(case), case.seq_len // 2
    pruned: Any = model
    pruned.prune_heads({0: [0]})
    whole = trial.call(model, inputs, **TRACES)
    start = trial.call(model, {name: array[:, :half] for name, array in inputs.items()}, **CACHED)
    rest = {name: array[:, half:] for name, array in inputs.items()}
    got = trial.call(model, {**rest, "past_key_values": cache_of(start)}, **TRACES)
    expected = {tap: array[:, half:] for tap, array in whole.items() if tap.startswith(("hidden_states", "logits"))}
    trial.match("pruned, in two calls", got, expected, case, inputs, lambda array: array[:, half:], TRACES)


def _part(states: Array, weights: dict[str, Array], name: str, case: Case) -> Array:
    return heads_of(dense(states, weights, f"layer.0.{name}"), case.config["num_attention_heads"])
