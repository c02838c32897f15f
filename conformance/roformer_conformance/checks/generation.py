"""DEC-6, further on: what ends a row, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas import edited
from ..protocol import Array
from ..registry import check
from ..strategies import Case
from ..trial import Trial, expect

GENERATES: Mapping[str, Any] = {"heads": ("causal_lm",), "needs": ("generation",), "masks": ("none",), "effort": 0.4}
NEW_TOKENS = 4
# More words than generators keep by default (50), and draws enough that a word stays out once in a billion runs.
WORDS, DRAWS = 73, 2048


@check("DEC-6.3", "eos-in-the-prompt", **GENERATES)
def an_eos_of_the_prompt_ends_nothing(trial: Trial, case: Case) -> None:
    """A prompt that holds the eos token is gone on with: only a token that is generated ends a row."""
    model: Any = trial.load(case)
    inputs = {"input_ids": case.inputs()["input_ids"], "attention_mask": case.attention_mask()}
    free = _generate(model, inputs, max_new_tokens=NEW_TOKENS)
    left = np.setdiff1d(np.arange(case.config["vocab_size"]), free[:, case.seq_len :])
    inputs["input_ids"][:, 0] = inputs["input_ids"][:, -1] = eos = int(left[0])
    free = _generate(model, inputs, max_new_tokens=NEW_TOKENS)
    if not (free[:, case.seq_len :] == eos).any():
        got = _generate(model, inputs, max_new_tokens=NEW_TOKENS, eos_token_id=eos)
        trial.equals(f"eos {eos} in the prompt", {"generated": got}, {"generated": free})


@check("DEC-6.3", "eos-of-the-configuration", **GENERATES)
def the_configuration_may_name_the_eos(trial: Trial, case: Case) -> None:
    """Where a call names neither, eos_token_id and pad_token_id of the configuration end and fill a row."""
    plain: Any = trial.load(case)
    inputs = {"input_ids": case.inputs()["input_ids"], "attention_mask": case.attention_mask()}
    eos, pad, expected = _ended(plain, inputs, case)
    model: Any = trial.load(case.with_config(eos_token_id=eos, pad_token_id=pad), trial.weights(case))
    got = _generate(model, inputs, max_new_tokens=NEW_TOKENS)
    trial.equals(f"eos_token_id {eos}, pad_token_id {pad} in the configuration", {"generated": got}, expected)


@check("LIFE-4.1", "generates-on", also=("DEC-6.3",), **{**GENERATES, "needs": ("generation", "saving")})
def what_ends_a_row_survives(trial: Trial, case: Case) -> None:
    """After save and load the same tokens are generated, and end with the eos token of the configuration."""
    inputs = {"input_ids": case.inputs()["input_ids"], "attention_mask": case.attention_mask()}
    eos, pad, _ = _ended(trial.load(case), inputs, case)
    named = case.with_config(eos_token_id=eos, pad_token_id=pad)
    model: Any = trial.load(named, trial.weights(case))
    expected = _generate(model, inputs, max_new_tokens=NEW_TOKENS)
    got = _generate(trial.reload(named, model), inputs, max_new_tokens=NEW_TOKENS)
    trial.equals("after save and load", {"generated": got}, {"generated": expected})


@check("DEC-6.2", "every-token-draws-anew", num_hidden_layers=1, **GENERATES)
def every_token_of_a_row_draws_anew(trial: Trial, case: Case) -> None:
    """Of two words as likely as each other 64 rows draw eight times each, and few draw the same word every time."""
    words = np.arange(case.config["vocab_size"])
    bias = np.where(words < 2, 0.0, -80.0)
    weights = edited(
        trial.weights(case),
        {r"predictions\.transform\.LayerNorm\.": np.zeros_like, r"predictions\.bias": lambda old: bias},
    )
    inputs = {name: np.ones((64, 1), np.int64) for name in ("input_ids", "attention_mask")}
    drawn = _generate(trial.load(case, weights), inputs, max_new_tokens=8, do_sample=True, seed=case.seed)[:, 1:]
    # a row draws one word eight times once in 128; more than 10 rows of 64 do so less than once in a billion runs
    same = int((drawn == drawn[:, :1]).all(axis=1).sum())
    expect(same <= 10, f"{same} of 64 rows drew the same word eight times of two as likely, expected about one in 128")


def _ended(model: Any, inputs: Mapping[str, Array], case: Case) -> tuple[int, int, dict[str, Array]]:
    """An eos token that the first row generates, another token as padding, and what is generated with both."""
    eos = int(_generate(model, inputs, max_new_tokens=NEW_TOKENS)[0, case.seq_len + 1])
    pad = (eos + 1) % case.config["vocab_size"]
    ended = _generate(model, inputs, max_new_tokens=NEW_TOKENS, eos_token_id=eos, pad_token_id=pad)
    return eos, pad, {"generated": ended}


@check("DEC-6.2", "every-word", vocab_size=WORDS, num_hidden_layers=1, **GENERATES)
def sampling_leaves_no_word_out(trial: Trial, case: Case) -> None:
    """Of 73 words that are about as likely, 2048 draws leave none out: nothing is cut off unasked."""
    bias = np.linspace(0.0, 0.05, WORDS)
    weights = edited(
        trial.weights(case),
        {r"predictions\.transform\.LayerNorm\.": np.zeros_like, r"predictions\.bias": lambda old: bias},
    )
    inputs = {name: np.ones((DRAWS, 1), np.int64) for name in ("input_ids", "attention_mask")}
    drawn = _generate(trial.load(case, weights), inputs, max_new_tokens=1, do_sample=True, seed=case.seed)[:, -1]
    left = sorted(set(range(WORDS)) - set(drawn.tolist()))
    expect(not left, f"{DRAWS} tokens drawn among {WORDS} words as likely as each other left out {len(left)}: {left}")


def _generate(model: Any, inputs: Mapping[str, Any], **options: Any) -> Array:
    return np.asarray(model.generate(inputs, options))
