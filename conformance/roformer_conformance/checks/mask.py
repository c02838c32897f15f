"""MASK: what a masked position may do, and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..protocol import Array
from ..registry import TOKEN_HEADS, check
from ..strategies import Case
from ..trial import Trial, expect

PADDED = ("right", "left", "irregular")


@check("MASK-1", "weight-is-zero", masks=PADDED, profiles=("strong", "high_score"), is_decoder=False)
def masked_keys_weigh_nothing(trial: Trial, case: Case) -> None:
    """A masked key has attention weight exactly 0, however large the scores are."""
    inputs = case.inputs()
    outputs = trial.call(trial.load(case), inputs, output_attentions=True)
    masked = np.broadcast_to(~inputs["attention_mask"].astype(bool)[:, None, None, :], outputs["attentions.0"].shape)
    for layer in range(case.config["num_hidden_layers"]):
        weights = outputs[f"attentions.{layer}"]
        largest = float(np.abs(weights[masked]).max(initial=0.0))
        expect(largest == 0.0, f"attentions.{layer}: a masked key has weight {largest!r}, expected exactly 0")


@check("MASK-2", "content-is-irrelevant", heads=TOKEN_HEADS, masks=PADDED)
def masked_content_reaches_no_token(trial: Trial, case: Case) -> None:
    """Other ids and types at masked positions change no output of an unmasked position."""
    inputs = case.inputs()
    masked = inputs["attention_mask"] == 0
    changed = {
        "input_ids": np.where(masked, (inputs["input_ids"] + 1) % case.config["vocab_size"], inputs["input_ids"]),
        "token_type_ids": np.where(masked, 0, inputs["token_type_ids"]),
    }
    model = trial.load(case)
    _expect_same_tokens(trial, case, trial.call(model, inputs), trial.call(model, {**inputs, **changed}), ~masked)


@check("MASK-2", "embeddings-are-irrelevant", masks=PADDED)
def masked_embeddings_reach_no_token(trial: Trial, case: Case) -> None:
    """Huge embeddings at masked positions change no output of an unmasked position."""
    mask = case.attention_mask()
    plain = {"inputs_embeds": case.embeddings(), "attention_mask": mask}
    huge = {**plain, "inputs_embeds": np.where(mask[..., None] == 0, np.float32(1e6), plain["inputs_embeds"])}
    model = trial.load(case)
    _expect_same_tokens(trial, case, trial.call(model, plain), trial.call(model, huge), mask == 1)


@check("MASK-2", "tokens-matter", masks=("none",), min_seq_len=3)
def unmasked_tokens_reach_each_other(trial: Trial, case: Case) -> None:
    """An unmasked token does matter: another id at the end moves the first position, unless causality forbids it."""
    inputs = case.inputs()
    ids = inputs["input_ids"].copy()
    ids[:, -1] = (ids[:, -1] + 1) % case.config["vocab_size"]
    model = trial.load(case)
    before = trial.call(model, inputs)["last_hidden_state"]
    after = trial.call(model, {**inputs, "input_ids": ids})["last_hidden_state"]
    moved = float(np.abs(before[:, 0] - after[:, 0]).max())
    expect(
        moved > 1e-6, f"last_hidden_state[:, 0] moved by {moved!r} when the last token changed, expected a difference"
    )


def _expect_same_tokens(trial: Trial, case: Case, got: dict[str, Any], expected: dict[str, Any], rows: Array) -> None:
    for tap, array in expected.items():
        if array.shape[:2] == rows.shape:
            trial.equals("masked content changed", {tap: got[tap][rows]}, {tap: array[rows]})
