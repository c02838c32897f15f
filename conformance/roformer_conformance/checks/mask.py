"""MASK: what a masked position may do, and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..precision import PRECISIONS
from ..protocol import Array, Outputs
from ..registry import DECODER_HEADS, TOKEN_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect, without_warnings

PADDED = ("right", "left", "irregular")

# Outputs with a row for each token.
PER_TOKEN = ("hidden_states", "last_hidden_state", "logits", "start_logits", "end_logits")


@check("MASK-1", "weight-is-zero", masks=PADDED, profiles=("strong", "high_score", "huge_score"), is_decoder=False)
def masked_keys_weigh_nothing(trial: Trial, case: Case) -> None:
    """A masked key has attention weight exactly 0, however large the scores are."""
    inputs = case.inputs()
    outputs = trial.call(trial.load(case), inputs, **TRACES)
    unmasked = inputs["attention_mask"].reshape(-1, 1, 1, case.seq_len).astype(bool)
    masked = np.broadcast_to(~unmasked, outputs["attentions.0"].shape)
    masked = masked & np.broadcast_to(case.visible().any(axis=-1, keepdims=True), masked.shape)
    for layer in range(case.config["num_hidden_layers"]):
        weights = outputs[f"attentions.{layer}"]
        largest = float(np.abs(weights[masked]).max(initial=0.0))
        expect(largest == 0.0, f"attentions.{layer}: a masked key has weight {largest!r}, expected exactly 0")


@check("MASK-2.1", "content-is-irrelevant", heads=TOKEN_HEADS, masks=PADDED)
def masked_content_reaches_no_token(trial: Trial, case: Case) -> None:
    """Other ids and types at masked positions change no output of an unmasked position."""
    _expect_irrelevant_content(trial, case)


@check("MASK-1", "content-behind-huge-scores", masks=PADDED, profiles=("huge_score",), effort=0.5, is_decoder=False,
       add_pooling_layer=False, also=("MASK-2.1",))  # fmt: skip
def masked_content_with_huge_scores_reaches_no_token(trial: Trial, case: Case) -> None:
    """They change none where scores are near 1e5 either, in a call that returns no attentions."""
    _expect_irrelevant_content(trial, case)


def _expect_irrelevant_content(trial: Trial, case: Case) -> None:
    inputs = case.inputs()
    masked = inputs["attention_mask"] == 0
    changed = {
        "input_ids": np.where(masked, (inputs["input_ids"] + 1) % case.config["vocab_size"], inputs["input_ids"]),
        "token_type_ids": np.where(masked, 0, inputs["token_type_ids"]),
    }
    model = trial.load(case)
    _expect_same_tokens(trial, case, trial.call(model, inputs), trial.call(model, {**inputs, **changed}), ~masked)


@check("MASK-2.1", "embeddings-are-irrelevant", masks=PADDED)
def masked_embeddings_reach_no_token(trial: Trial, case: Case) -> None:
    """Huge embeddings at masked positions change no output of an unmasked position."""
    mask = case.attention_mask()
    plain = {"inputs_embeds": case.embeddings(), "attention_mask": mask}
    content = np.where(mask[..., None] == 0, np.float32(PRECISIONS[trial.dtype].huge), plain["inputs_embeds"])
    huge = {**plain, "inputs_embeds": content}
    model = trial.load(case)
    _expect_same_tokens(trial, case, trial.call(model, plain), trial.call(model, huge), mask == 1)


@check("MASK-2.2", "nan-stays-in-its-row", masks=PADDED, min_batch=2, effort=0.6)
def masked_nan_reaches_no_other_row(trial: Trial, case: Case) -> None:
    """NaN and infinity at masked positions of one row change no other row of the batch."""
    inputs = {**case.inputs(), "inputs_embeds": case.embeddings()}
    del inputs["input_ids"]
    row, bad = case.seed % case.batch, inputs["inputs_embeds"].copy()
    mask = inputs["attention_mask"][row]
    mask[..., -1] = 0  # something is masked
    bad[row][mask == 0] = case.generator("bad").choice([np.nan, np.inf])
    others = [number for number in range(case.batch) if number != row]
    model = trial.load(case)
    with without_warnings():
        got = trial.call(model, {**inputs, "inputs_embeds": bad})
        expected = trial.call(model, inputs)
    trial.equals(
        f"masked positions of row {row} no numbers", {tap: array[others] for tap, array in got.items()},
        {tap: array[others] for tap, array in expected.items()},
    )  # fmt: skip


@check("MASK-2.1", "tokens-matter", masks=("none",), min_seq_len=3, is_decoder=False, also=("DEC-1.2",))
def unmasked_tokens_reach_each_other(trial: Trial, case: Case) -> None:
    """An unmasked token does matter: another id at one end moves the state at the other, backwards in an encoder."""
    inputs = case.inputs()
    changed, seen = (0, case.seq_len - 1) if case.causal else (case.seq_len - 1, 0)
    ids = inputs["input_ids"].copy()
    ids[..., changed] = (ids[..., changed] + 1) % case.config["vocab_size"]
    model = trial.load(case)
    before = {case.last: trial.call(model, inputs, **TRACES)[case.last][:, seen]}
    after = {case.last: trial.call(model, {**inputs, "input_ids": ids}, **TRACES)[case.last][:, seen]}
    what = f"token {changed} changed, seen at position {seen}"
    trial.differ(what, after, before, case, inputs, lambda states: states[:, seen], TRACES)


@check("MASK-1", "ones-are-none", heads="all", masks=("none",), also=("IN-5.2",))
def all_ones_mean_nothing(trial: Trial, case: Case) -> None:
    """An attention_mask of ones gives what no attention_mask gives."""
    inputs = case.inputs()
    ones = {**inputs, "attention_mask": np.ones(case.lead, np.int64)}
    model = trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    trial.match("a mask of ones", trial.call(model, ones, **TRACES), expected, case, inputs, options=TRACES)


@check(
    "MASK-3.1",
    "right-padding",
    heads=(*TOKEN_HEADS, "sequence_classification"),
    masks=("none", "irregular"),
    effort=0.6,
)
def padding_on_the_right_changes_nothing(trial: Trial, case: Case) -> None:
    """Masked tokens after a sequence change no output of its own tokens."""
    _expect_padding_is_nothing(trial, case, 0, 1 + case.seed % 5)


@check(
    "MASK-3.2", "left-padding", heads=TOKEN_HEADS, masks=("none",), effort=0.6, rotary_value=False, also=("ROT-2.3",)
)
def padding_on_the_left_changes_nothing(trial: Trial, case: Case) -> None:
    """Without rotary_value, masked tokens before a sequence change no output of its own tokens."""
    _expect_padding_is_nothing(trial, case, 1 + case.seed % 5, 0)


@check("MASK-4.1", "row-alone", heads="all", min_batch=2, effort=0.6)
def a_row_alone_is_the_row_in_a_batch(trial: Trial, case: Case) -> None:
    """A row called alone gives what it gives within a batch."""
    inputs, row = case.inputs(), slice(case.seed % case.batch, case.seed % case.batch + 1)
    model = trial.load(case)
    together, alone = trial.call(model, inputs), trial.call(model, {name: array[row] for name, array in inputs.items()})
    expected = {tap: array[row] for tap, array in together.items()}
    trial.match(f"row {row.start} alone", alone, expected, case, inputs, lambda array: array[row])


@check("MASK-4.2", "row-order", heads="all", min_batch=2, effort=0.6)
def rows_in_another_order_give_outputs_in_that_order(trial: Trial, case: Case) -> None:
    """Permuting the rows of a batch permutes the outputs and changes nothing else."""
    inputs, order = case.inputs(), np.roll(np.arange(case.batch), 1 + case.seed % (case.batch - 1))
    model = trial.load(case)
    expected = {tap: array[order] for tap, array in trial.call(model, inputs).items()}
    got = trial.call(model, {name: array[order] for name, array in inputs.items()})
    trial.match(f"rows in the order {order.tolist()}", got, expected, case, inputs, lambda array: array[order])


@check("MASK-5", "masked-queries", masks=PADDED, min_seq_len=3, is_decoder=False)
def masked_queries_look_at_the_unmasked_keys(trial: Trial, case: Case) -> None:
    """A masked position gets finite values: in the first layer it looks at the visible keys like any other query."""
    inputs = case.inputs()
    model = trial.load(case)
    got = trial.call(model, inputs, **TRACES)
    _expect_finite(got)
    unmasked = {**inputs, "attention_mask": np.ones_like(inputs["attention_mask"])}
    expected, telling = trial.proportions_left(trial.call(model, unmasked, **TRACES)["attentions.0"], case.visible())
    chosen = telling & ~case.attention_mask().reshape(-1, 1, case.seq_len).astype(bool)
    trial.close(
        "weights of masked queries", got["attentions.0"][chosen], expected[chosen], case, inputs, "attentions.0",
        lambda probs: probs[chosen], TRACES,
    )  # fmt: skip


@check("MASK-6.1", "blind-row-is-uniform", masks=("blind_row",), is_decoder=False, profiles=("strong", "high_score"))
def a_blind_row_attends_to_all(trial: Trial, case: Case) -> None:
    """In a row of the batch that is wholly masked every query gives the same weight to every key causality allows."""
    _expect_uniform(trial, case)


@check(
    "MASK-6.1", "blind-causal-query-is-uniform", heads=DECODER_HEADS, masks=("blind_row", "left", "irregular"),
    min_seq_len=3, is_decoder=True, profiles=("strong", "high_score"), also=("DEC-2.1",),
)  # fmt: skip
def a_blind_decoder_query_attends_to_its_past(trial: Trial, case: Case) -> None:
    """A decoder's query that sees no key, such as left padding, weighs the keys up to its own place equally."""
    _expect_uniform(trial, case)


@check("MASK-6.2", "others-are-unaffected", heads="all", masks=("blind_row",), min_batch=2, effort=0.6)
def a_blind_row_leaves_the_others_alone(trial: Trial, case: Case) -> None:
    """Masking all of one row changes no other row of the batch."""
    inputs, blind = case.inputs(), case.attention_mask().reshape(-1, case.seq_len).sum(axis=-1) == 0
    opened = case.attention_mask().reshape(-1, case.seq_len)
    opened[blind] = 1
    model = trial.load(case)
    got = trial.call(model, inputs)
    expected = trial.call(model, {**inputs, "attention_mask": opened.reshape(case.lead)})
    kept = ~blind if case.head != "multiple_choice" else ~blind.reshape(case.lead[:-1]).any(axis=-1)
    trial.match(
        "one row wholly masked", {tap: array[kept] for tap, array in got.items()},
        {tap: array[kept] for tap, array in expected.items()}, case, inputs, lambda array: array[kept],
    )  # fmt: skip


@check(
    "MASK-6.3", "blind-row-is-finite", heads="all", masks=("blind_row",), effort=0.6, profiles=("strong", "huge_score")
)
def a_blind_row_stays_finite(trial: Trial, case: Case) -> None:
    """A row of the batch that is wholly masked gives neither NaN nor infinity in any output."""
    _expect_finite(trial.call(trial.load(case), case.inputs(), **TRACES))


def _expect_padding_is_nothing(trial: Trial, case: Case, front: int, back: int) -> None:
    inputs = {**case.inputs(), "attention_mask": case.attention_mask()}
    around = [(0, 0)] * (len(case.lead) - 1) + [(front, back)]
    padded = {name: np.pad(array, around, mode="wrap") for name, array in inputs.items()}
    padded["attention_mask"] = np.pad(inputs["attention_mask"], around)
    model = trial.load(case)
    real = inputs["attention_mask"].astype(bool)
    expected, got = (trial.call(model, given, **TRACES) for given in (inputs, padded))
    # the pooler and the sequence head read position 0, which padding in front replaces
    whole = {"pooler_output", *(["logits"] if case.head == "sequence_classification" else [])} & expected.keys()
    tokens = [tap for tap in expected if tap.startswith(PER_TOKEN) and tap not in whole]
    what = f"{front} masked tokens in front, {back} behind"
    inner = slice(front, front + case.seq_len)
    trial.match(
        what, {tap: got[tap][:, inner][real] for tap in tokens}, {tap: expected[tap][real] for tap in tokens}, case,
        inputs, lambda array: array[real], TRACES,
    )  # fmt: skip
    if not front:
        trial.match(what, got, {tap: expected[tap] for tap in whole}, case, inputs, options=TRACES)


def _expect_uniform(trial: Trial, case: Case) -> None:
    inputs = case.inputs()
    got = trial.call(trial.load(case), inputs, **TRACES)
    allowed = np.tri(case.seq_len) if case.causal else np.ones((case.seq_len, case.seq_len))
    shape = got["attentions.0"].shape
    blind = np.broadcast_to(~case.visible().any(axis=-1), shape[:3])
    known = np.broadcast_to(allowed / allowed.sum(axis=-1, keepdims=True), shape)[blind]
    expected = {f"attentions.{layer}": known for layer in range(case.config["num_hidden_layers"])}
    trial.match(
        "queries that see no key", {tap: got[tap][blind] for tap in expected}, expected, case, inputs,
        lambda probs: probs[blind], TRACES,
    )  # fmt: skip


def _expect_finite(outputs: Outputs) -> None:
    for tap, array in outputs.items():
        wrong = np.argwhere(~np.isfinite(array))
        expect(not len(wrong), f"{tap}{wrong[:1].tolist()} is not finite: {array[~np.isfinite(array)][:1]}")


def _expect_same_tokens(trial: Trial, case: Case, got: dict[str, Any], expected: dict[str, Any], rows: Array) -> None:
    for tap, array in expected.items():
        if array.shape[:2] == rows.shape:
            trial.equals("masked content changed", {tap: got[tap][rows]}, {tap: array[rows]})
