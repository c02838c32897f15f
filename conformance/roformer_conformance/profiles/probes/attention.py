"""Who looks where: masks, queries that see nothing, causality, and the weights that are handed out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...protocol import Array, Capabilities, Outputs, Unsupported
from ...strategies import Case
from ...trial import Trial
from ..seeing import OTHER, probe, same


@probe(
    "MASK-1", needs=("attentions",), profiles=("huge_score",), masks=("right",),
    answers=("exactly 0", "not 0 where scores are large"),
)  # fmt: skip
def weight_of_masked_keys(trial: Trial, case: Case) -> str:
    """The largest weight of a masked key, with scores near 1e5."""
    mask = np.ones(case.lead, np.int64)
    mask[:, -2:] = 0
    got = trial.call(trial.load(case), {**case.inputs(), "attention_mask": mask}, output_attentions=True)
    leaked = max(float(np.max(array[..., -2:])) for array in _layers(got, "attentions"))
    return "not 0 where scores are large" if leaked > 0 else "exactly 0"


@probe("MASK-2.2", answers=("spreads to the unmasked positions of the row", "stays at the masked position"))
def nan_at_a_masked_position(trial: Trial, case: Case) -> str:
    """NaN in the embedding of a masked token, and the states of its neighbours."""
    mask, embeddings = np.ones(case.lead, np.int64), case.embeddings()
    mask[:, -1], embeddings[:, -1] = 0, np.nan
    inputs = {"inputs_embeds": embeddings, "attention_mask": mask}
    style = "dict" if Capabilities.of(trial.adapter).claims("call_styles:dict") else "keywords"
    got = trial.call(trial.load(case), inputs, style=style)["last_hidden_state"]
    spread = bool(np.isnan(got[:, :-1]).any())
    return "spreads to the unmasked positions of the row" if spread else "stays at the masked position"


ALLOWED, EVERYWHERE = "uniform over the keys that causality allows", "uniform over all keys"
FUTURE, UNMASKED = "uniform over all keys, in a decoder over future ones too", "as if nothing were masked"


@probe("MASK-6.1", needs=("attentions",), answers=(ALLOWED, FUTURE, EVERYWHERE, UNMASKED, OTHER))
def queries_that_see_nothing(trial: Trial, case: Case) -> str:
    """The weights of a row that is masked whole; then, in a decoder, those of queries before the first token."""
    model, inputs = trial.load(case), case.inputs()
    mask = np.ones(case.lead, np.int64)
    mask[1] = 0
    blind, seeing = (
        trial.call(model, {**inputs, "attention_mask": given}, output_attentions=True)["attentions.0"][1]
        for given in (mask, np.ones_like(mask))
    )
    if same(blind, seeing):
        return UNMASKED
    return _of_a_decoder(trial, case) if same(blind, np.full_like(blind, 1 / case.seq_len)) else OTHER


def _of_a_decoder(trial: Trial, case: Case) -> str:
    """Where the second query of a decoder looks when the first two tokens are padding."""
    mask = np.ones(case.lead, np.int64)
    mask[:, :2] = 0
    model = trial.load(case.with_config(is_decoder=True))
    rows = trial.call(model, {**case.inputs(), "attention_mask": mask}, output_attentions=True)["attentions.0"]
    second = rows[:, :, 1]
    if same(second[..., :2], np.full_like(second[..., :2], 0.5)):
        return ALLOWED
    if same(second, np.full_like(second, 1 / case.seq_len)):
        return FUTURE
    return EVERYWHERE if not second[..., :2].any() else OTHER  # it sees later tokens: there is no decoder


AFTER_BOTH, AFTER_DROPOUT = "after dropout and head_mask", "after dropout"
AFTER_MASK, AFTER_NONE = "after head_mask", "before dropout and head_mask"


@probe(
    "OUT-1.4", needs=("attentions",), answers=(AFTER_BOTH, AFTER_DROPOUT, AFTER_MASK, AFTER_NONE),
    attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0,
)  # fmt: skip
def which_weights_are_handed_out(trial: Trial, case: Case) -> str:
    """Weights in training, of which half are dropped; and those of a head that is masked."""
    model, capabilities = trial.load(case), Capabilities.of(trial.adapter)
    if not (capabilities.training or capabilities.head_mask):
        raise Unsupported("training or head_mask")
    dropped = masked = False
    if capabilities.training:
        got = trial.call(model, case.inputs(), output_attentions=True, training=True, seed=1)
        dropped = not same(got["attentions.0"].sum(-1), np.ones(got["attentions.0"].shape[:-1]))
    if capabilities.head_mask:
        masked = _masks_the_first_head(trial, model, case.inputs(), case)
    return {(True, True): AFTER_BOTH, (True, False): AFTER_DROPOUT, (False, True): AFTER_MASK}.get(
        (dropped, masked), AFTER_NONE
    )


def _masks_the_first_head(trial: Trial, model: Any, inputs: dict[str, Array], case: Case) -> bool:
    heads = np.ones(case.config["num_attention_heads"], np.float32)
    heads[0] = 0
    try:
        got = trial.call(model, {**inputs, "head_mask": heads}, output_attentions=True)
    except NotImplementedError:
        return False
    return not got["attentions.0"][:, 0].any()


SELF_ALONE, CROSS_TOO = "self-attention only", "multiplies the weights of cross-attention too"
NOWHERE = "head_mask has no effect anywhere"


@probe(
    "HEAD-6.3", needs=("head_mask", "cross_attention", "attentions"), answers=(SELF_ALONE, CROSS_TOO, NOWHERE),
    is_decoder=True, add_cross_attention=True,
)  # fmt: skip
def head_mask_in_cross_attention(trial: Trial, case: Case) -> str:
    """The weights of the first head, masked, over the decoder's own tokens and over those of an encoder."""
    heads = np.ones(case.config["num_attention_heads"], np.float32)
    heads[0] = 0
    inputs = {**case.inputs(), "head_mask": heads, "encoder_hidden_states": case.encoder_states()}
    got = trial.call(trial.load(case), inputs, output_attentions=True)
    if got["attentions.0"][:, 0].any():
        return NOWHERE
    return SELF_ALONE if got["cross_attentions.0"][:, 0].any() else CROSS_TOO


CAUSAL, BIDIRECTIONAL = "causal, whatever is_decoder says", "bidirectional, always"
AS_CONFIGURED = "causal with is_decoder True, bidirectional with False"


@probe("DEC-1.1", head="causal_lm", answers=(CAUSAL, AS_CONFIGURED, BIDIRECTIONAL, OTHER))
def who_sees_the_future(trial: Trial, case: Case) -> str:
    """The logits before a last token that is exchanged, with is_decoder True and False."""
    inputs = case.inputs()
    other = {**inputs, "input_ids": inputs["input_ids"].copy()}
    other["input_ids"][:, -1] = (other["input_ids"][:, -1] + 1) % case.config["vocab_size"]
    sees = []
    for is_decoder in (True, False):
        model = trial.load(case.with_config(is_decoder=is_decoder))
        left, right = (trial.call(model, given)["logits"][:, :-1] for given in (inputs, other))
        sees.append(not same(left, right))
    return {(False, False): CAUSAL, (False, True): AS_CONFIGURED, (True, True): BIDIRECTIONAL}.get(
        (sees[0], sees[1]), OTHER
    )


def _layers(got: Outputs, name: str) -> list[Array]:
    return [array for tap, array in got.items() if tap.startswith(f"{name}.")]
