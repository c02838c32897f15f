"""Sizes that cases are not drawn with: what is computed in blocks, or counted in few bits, shows beyond them.

A loop over blocks is right as long as everything fits into one. The sizes here lie past the blocks that programs
use, 4 to 512, and divide by none of them; those of a vocabulary lie past what 8 and 16 bits count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas import edited, within_reach
from ..precision import PRECISIONS, rounded
from ..protocol import Array
from ..registry import DECODER_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect
from .numerical import expect_agreement

# The last rows of a table, and those around what 7, 8, 15 and 16 bits count.
ROWS = np.array([0, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 70_001, 70_002])
# Poolers are another claim's matter (OUT-4).
SMALL: Mapping[str, Any] = {
    "effort": 0.1, "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1, "add_pooling_layer": False,
}  # fmt: skip
# One head of 134 features: more than a block of 64 or 128.
WIDE_HEAD: Mapping[str, Any] = {
    **SMALL, "hidden_size": 134, "num_attention_heads": 1, "max_batch": 1, "min_seq_len": 4, "max_seq_len": 5,
    "intermediate_size": 7,
}  # fmt: skip
LONG: Mapping[str, Any] = {
    "effort": 0.1, "max_batch": 1, "min_seq_len": 521, "max_seq_len": 521, "max_position_embeddings": 600,
    "hidden_size": 6, "num_attention_heads": 1, "num_hidden_layers": 1, "add_pooling_layer": False,
}  # fmt: skip
CACHED_BEFORE = 2100


@check(
    "EMB-1.1", "large-vocabulary", heads=("base", "masked_lm"), also=("EMB-1.4", "HEAD-1.1", "IN-4.2"),
    vocab_size=70_003, embedding_size=4, masks=("none",), max_batch=1, **SMALL,
)  # fmt: skip
def every_row_of_a_large_table_is_reached(trial: Trial, case: Case) -> None:
    """Eleven words of a vocabulary of 70,003 give the states, and the logits, of a vocabulary of these eleven."""
    weights, ids = trial.weights(case), np.broadcast_to(np.arange(len(ROWS)), (case.batch, len(ROWS)))
    few = case.with_config(vocab_size=len(ROWS))
    tables = r"(word_embeddings\.weight|predictions\.(decoder\.)?bias|predictions\.decoder\.weight)$"
    picked = edited(weights, {tables: lambda table: table[ROWS]})
    expected = trial.call(trial.load(few, picked), {"input_ids": ids}, **TRACES)
    got = trial.call(trial.load(case), {"input_ids": ROWS[ids]}, **TRACES)
    if "logits" in got:
        got["logits"] = got["logits"][..., ROWS]
    what = f"ids {ROWS.tolist()} of {case.config['vocab_size']}"
    trial.match(what, got, expected, few, {"input_ids": ids}, options=TRACES, weights=picked)


@check("EMB-1.1", "one-token-type", type_vocab_size=1, **SMALL)
def the_only_token_type_is_added(trial: Trial, case: Case) -> None:
    """With type_vocab_size 1 the one token type is added like any other."""
    _agrees(trial, case, case.inputs())


@check(
    "NUM-1.1", "parity-wide", also=("ATT-3.3", "FFN-4.1", "EMB-1.2"), effort=0.1, max_batch=2, max_seq_len=4,
    hidden_size=130, num_attention_heads=13, embedding_size=133, intermediate_size=261, num_hidden_layers=1,
    add_pooling_layer=False,
)  # fmt: skip
def agrees_when_wide(trial: Trial, case: Case) -> None:
    """13 heads, 130 features, 133 of an embedding and 261 inner units give the oracle's outputs."""
    _agrees(trial, case, case.inputs())


@check("ATT-3.1", "wide-head", also=("ROT-2.1", "ROT-2.2", "ATT-3.3"), **WIDE_HEAD)
def agrees_on_a_wide_head(trial: Trial, case: Case) -> None:
    """A head of 134 features gives the oracle's outputs: all 67 pairs turn, and the scale is √134."""
    _agrees(trial, case, case.inputs())


@check("FFN-4.3", "wide-rows-with-a-large-mean", also=("EMB-1.1",), embedding_size=134, **WIDE_HEAD)
def wide_rows_with_a_large_mean_are_normalised(trial: Trial, case: Case) -> None:
    """Rows of 134 features whose mean is 64 are normalised as exactly as narrow ones: variance around the mean."""
    raised_mean = {r"word_embeddings\.weight$": lambda table: rounded(table + 64.0, trial.dtype)}
    weights, inputs = edited(trial.weights(case), raised_mean), case.inputs()
    got = trial.call(trial.load(case, weights), inputs, **TRACES)
    trial.agrees(case, inputs, got, TRACES, weights)


@check("NUM-1.1", "parity-deep", also=("ATT-3.4", "LIFE-4.3"), max_batch=1, max_seq_len=4,
       **{**SMALL, "num_hidden_layers": 13})  # fmt: skip
def agrees_when_deep(trial: Trial, case: Case) -> None:
    """13 layers give the oracle's outputs, each with its own weights: layer 10 comes after layer 9, not after 1."""
    _agrees(trial, case, case.inputs())


@check("MASK-4.1", "many-rows", heads="all", also=("LOSS-1.2",), min_batch=35, max_batch=35, min_seq_len=3,
       max_seq_len=5, masks=("irregular", "blind_row"), **SMALL)  # fmt: skip
def agrees_on_many_rows(trial: Trial, case: Case) -> None:
    """35 rows, each with a mask and labels of its own, give the oracle's outputs and losses row by row."""
    expect_agreement(trial, case)


@check("OUT-1.6", "equal-sizes", heads="all", also=("NUM-1.1",), effort=0.1, min_batch=3, max_batch=3, min_seq_len=3,
       max_seq_len=3, hidden_size=12, num_attention_heads=3, num_hidden_layers=3, embedding_size=12,
       intermediate_size=12, vocab_size=12, type_vocab_size=3, num_labels=3, add_pooling_layer=False)  # fmt: skip
def agrees_when_sizes_are_equal(trial: Trial, case: Case) -> None:
    """With 3 rows, tokens, heads, layers, types, labels and choices the outputs are the oracle's: sizes tell nothing.

    The sizes of other cases all differ, so that no transposed axis passes; a guess of axes by size passes there.
    """
    _agrees(trial, case, case.inputs())


@check("MASK-1", "long", also=("ATT-3.1",), masks=("right", "left", "irregular"), is_decoder=False, **LONG)
def masks_reach_far(trial: Trial, case: Case) -> None:
    """Under a mask over 521 keys, masked ones have weight exactly 0 and every other one more."""
    _expect_what_is_visible(trial, case)


@check("DEC-2.1", "long", also=("DEC-1.1", "DEC-2.2"), heads=DECODER_HEADS, masks=("none", "right", "irregular"),
       is_decoder=True, **LONG)  # fmt: skip
def causality_reaches_far(trial: Trial, case: Case) -> None:
    """Of 521 positions each has weight for itself and every visible one before, and exactly 0 for every later one."""
    _expect_what_is_visible(trial, case)


@check("ROT-2.8", "after-a-long-cache", also=("ROT-2.7", "DEC-4"), heads=DECODER_HEADS, needs=("cache",), max_batch=1,
       max_seq_len=4, masks=("none",), is_decoder=True, max_position_embeddings=CACHED_BEFORE + 8, **SMALL)  # fmt: skip
def positions_go_on_after_a_long_cache(trial: Trial, case: Case) -> None:
    """After 2100 cached positions the next ones are 2100, 2101, …: no table ends before max_position_embeddings."""
    heads, width = case.config["num_attention_heads"], case.config["hidden_size"]
    shape = (2, case.batch, heads, CACHED_BEFORE, width // heads)
    keys, values = rounded(case.generator("cache").standard_normal(shape).astype(np.float32), trial.dtype)
    _agrees(trial, case, {**case.inputs(), "past_key_values": ((keys, values),)})


def _agrees(trial: Trial, case: Case, inputs: Mapping[str, Any]) -> None:
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


def _expect_what_is_visible(trial: Trial, case: Case) -> None:
    """The weights of queries that see something are 0 for what they do not see, above 0 for what they do."""
    got: Array = trial.call(trial.load(case), case.inputs(), **TRACES)["attentions.0"]
    visible = np.broadcast_to(case.visible(), got.shape)
    seen = (got > 0.0) | (visible & PRECISIONS[trial.dtype].underflows)
    wrong = (seen != visible) & visible.any(axis=-1, keepdims=True)
    if wrong.any():
        exact = trial.oracle(case).run(case.inputs(), TRACES)["attentions.0"]
        wrong &= ~visible | within_reach(exact)
    wrong = np.argwhere(wrong)
    if len(wrong):
        place = tuple(wrong[0].tolist())
        what = "visible, expected more than 0" if visible[place] else "masked or later, expected exactly 0"
        expect(False, f"attentions.0{list(place)} is {float(got[place])!r} for a key that is {what}")
