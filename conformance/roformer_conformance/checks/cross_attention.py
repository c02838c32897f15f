"""DEC-5: the numbers of cross-attention, and what it does with masks, positions, dropout and the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocol import Array, cache_of
from ..registry import DECODER_HEADS, check
from ..strategies import Case, OneOf
from ..trial import CACHED, TRACES, Trial, expect

CROSS: Mapping[str, Any] = {
    "heads": DECODER_HEADS, "effort": 0.5, "is_decoder": True, "add_cross_attention": True,
    "rotary_value": OneOf((False, True)), "add_pooling_layer": False,
}  # fmt: skip
NEEDED = ("cross_attention",)


@check("DEC-5.1", "parity", needs=NEEDED, also=("DEC-5.2", "OUT-3.2", "ROT-2.5", "MASK-6.1", "MASK-6.3"), **CROSS)
def agrees_with_the_oracle(trial: Trial, case: Case) -> None:
    """With states of an encoder and a mask over them, one row of it all 0, every output is the oracle's."""
    inputs = _with_encoder(case)
    inputs["encoder_attention_mask"][case.seed % case.batch] = 0
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check("MASK-6.1", "blind-to-the-encoder", needs=NEEDED, also=("DEC-5.2", "MASK-6.2"), **CROSS)
def a_row_without_encoder_attends_to_all_of_it(trial: Trial, case: Case) -> None:
    """Where encoder_attention_mask hides a whole row, its queries weigh every state of the encoder equally."""
    inputs, row = _with_encoder(case), case.seed % case.batch
    inputs["encoder_attention_mask"][row] = 0
    got = trial.call(trial.load(case), inputs, **TRACES)
    taps = [f"cross_attentions.{layer}" for layer in range(case.config["num_hidden_layers"])]
    uniform = {tap: np.full_like(got[tap][row], 1.0 / got[tap].shape[-1]) for tap in taps}
    rows = {tap: got[tap][row] for tap in taps}
    trial.match("a wholly masked encoder", rows, uniform, case, inputs, lambda array: array[row], TRACES)


@check("DEC-5.2", "as-many-states-as-tokens", needs=NEEDED, also=("DEC-5.1",), min_seq_len=4,
       masks=("irregular", "right"), num_hidden_layers=1, max_batch=2, max_seq_len=7,
       **{**CROSS, "heads": ("base",), "effort": 0.3})  # fmt: skip
def masks_are_apart_whatever_the_lengths(trial: Trial, case: Case) -> None:
    """An encoder as long as the decoder has its own mask, or none: the oracle's outputs in both cases."""
    inputs = {name: array[:, : case.seq_len] for name, array in _with_encoder(case).items()}
    model, unmasked = trial.load(case), {k: v for k, v in inputs.items() if k != "encoder_attention_mask"}
    for given in (inputs, unmasked):
        trial.agrees(case, given, trial.call(model, given, **TRACES), TRACES)


@check("DEC-5.2", "still-masked-with-a-cache", needs=(*NEEDED, "cache"), also=("DEC-4", "DEC-5.3"), min_seq_len=3,
       masks=("none",), **CROSS)  # fmt: skip
def the_encoder_stays_masked(trial: Trial, case: Case) -> None:
    """After a cache, masked states of the encoder still have weight exactly 0, and the others those of one call."""
    inputs, half = _with_encoder(case), case.seq_len // 2
    encoder = {name: array for name, array in inputs.items() if name.startswith("encoder")}
    model, options = trial.load(case), {**TRACES, **CACHED}
    whole = trial.call(model, inputs, **TRACES)
    own = {name: array for name, array in inputs.items() if name not in encoder}
    first = trial.call(model, {**{name: array[:, :half] for name, array in own.items()}, **encoder}, **CACHED)
    rest = {name: array[:, half:] for name, array in own.items()}
    got = trial.call(model, {**rest, **encoder, "past_key_values": cache_of(first)}, **options)
    taps = [tap for tap in whole if tap.startswith("cross_attentions")]
    hidden = encoder["encoder_attention_mask"][:, None, None] == 0
    for tap in taps:
        largest = float(np.where(hidden, np.abs(got[tap]), 0.0).max())
        expect(largest == 0.0, f"{tap}: a masked state of the encoder has weight {largest!r}, expected exactly 0")
    expected = {tap: whole[tap][:, :, half:] for tap in taps}
    trial.match("after a cache", got, expected, case, inputs, lambda array: array[:, :, half:], TRACES)


@check("TRAIN-1.2", "cross-attention-dropout", needs=(*NEEDED, "training"), hidden_dropout_prob=0.0,
       attention_probs_dropout_prob=1.0, **CROSS)  # fmt: skip
def cross_attention_weights_are_dropped(trial: Trial, case: Case) -> None:
    """Dropout of attention takes the weights of cross-attention, too: with probability 1 all of them are 0."""
    got = trial.call(trial.load(case), _with_encoder(case), training=True, seed=case.seed, **TRACES)
    for layer in range(case.config["num_hidden_layers"]):
        tap = f"cross_attentions.{layer}"
        expect(not got[tap].any(), f"{tap} holds {float(np.abs(got[tap]).max())!r}, expected only 0")


def _with_encoder(case: Case) -> dict[str, Array]:
    """A call with states of an encoder and a mask that hides some of them, in every row, but not all."""
    states = case.encoder_states()
    mask = (case.generator("encoder mask").random(states.shape[:2]) < 0.6).astype(np.int64)
    mask[:, 0], mask[:, -1] = 1, 0
    return {**case.inputs(), "encoder_hidden_states": states, "encoder_attention_mask": mask}
