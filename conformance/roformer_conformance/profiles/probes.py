"""What is looked at where implementations are known to differ: one function for each contested point."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..protocol import Array, Capabilities, Outputs, Unsupported, flatten, is_unsupported
from ..strategies import Case
from ..trial import Trial
from .seeing import probe

OTHER = "something else"


@probe("IN-9.1", needs=("graph",), answers=("the configuration wins", "the argument of the call wins"))
def extras_in_a_graph(trial: Trial, case: Case) -> str:
    """Hidden states that the call asks for and the configuration does not."""
    model: Any = trial.load(case.with_config(output_hidden_states=False))
    got = flatten(model.execute(case.inputs(), {"output_hidden_states": True}, "graph"))
    asked = any(tap.startswith("hidden_states.") for tap in got)
    return "the argument of the call wins" if asked else "the configuration wins"


@probe("IN-9.2", needs=("graph",), answers=("always an output object", "the argument of the call wins"))
def form_in_a_graph(trial: Trial, case: Case) -> str:
    """A plain tuple that the call asks for."""
    model: Any = trial.load(case)
    got = flatten(model.execute(case.inputs(), {"return_dict": False}, "graph"))
    plain = all(tap.startswith("tuple.") for tap in got)
    return "the argument of the call wins" if plain else "always an output object"


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
    if _same(blind, seeing):
        return UNMASKED
    return _of_a_decoder(trial, case) if _same(blind, np.full_like(blind, 1 / case.seq_len)) else OTHER


def _of_a_decoder(trial: Trial, case: Case) -> str:
    """Where the second query of a decoder looks when the first two tokens are padding."""
    mask = np.ones(case.lead, np.int64)
    mask[:, :2] = 0
    model = trial.load(case.with_config(is_decoder=True))
    rows = trial.call(model, {**case.inputs(), "attention_mask": mask}, output_attentions=True)["attentions.0"]
    second = rows[:, :, 1]
    if _same(second[..., :2], np.full_like(second[..., :2], 0.5)):
        return ALLOWED
    if _same(second, np.full_like(second, 1 / case.seq_len)):
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
        dropped = not _same(got["attentions.0"].sum(-1), np.ones(got["attentions.0"].shape[:-1]))
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


@probe("OUT-4.1", answers=("tanh of a dense layer over the first token", "absent", OTHER))
def pooler(trial: Trial, case: Case) -> str:
    """The pooler's output beside its formula."""
    got = trial.call(trial.load(case), case.inputs())
    if "pooler_output" in trial.lacking or "pooler_output" not in got:
        return "absent"
    weights = trial.weights(case)
    first = got["last_hidden_state"][:, 0].astype(np.float64)
    expected = np.tanh(first @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    return "tanh of a dense layer over the first token" if _same(got["pooler_output"], expected) else OTHER


SUMMARIES = {"index 0": 0, "index −1": -1, "the mean over all positions": None}


@probe("HEAD-5.2", head="multiple_choice", needs=("hidden_states",), answers=(*SUMMARIES, OTHER), summary_type="first")
@probe("HEAD-5.3", head="multiple_choice", needs=("hidden_states",), answers=(*SUMMARIES, OTHER), summary_type="mean")
def summary_of_a_choice(trial: Trial, case: Case) -> str:
    """The logits beside those of the first state, of the last and of the mean."""
    got, weights = trial.call(trial.load(case), case.inputs(), output_hidden_states=True), trial.weights(case)
    states = got[case.last].astype(np.float64)
    for words, index in SUMMARIES.items():
        summary = states.mean(1) if index is None else states[:, index]
        logits = (summary @ weights["classifier.weight"].T + weights["classifier.bias"]).reshape(got["logits"].shape)
        if _same(got["logits"], logits):
            return words
    return OTHER


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
        sees.append(not _same(left, right))
    return {(False, False): CAUSAL, (False, True): AS_CONFIGURED, (True, True): BIDIRECTIONAL}.get(
        (sees[0], sees[1]), OTHER
    )


@probe("LOSS-1.2", head="masked_lm", answers=("(n,)", "(1,), the mean", "(), the mean", OTHER))
def shape_of_a_loss(trial: Trial, case: Case) -> str:
    """The loss of all tokens but one a row."""
    labels = case.inputs()["input_ids"].copy()
    labels[:, 0] = -100
    shape = trial.call(trial.load(case), {**case.inputs(), "labels": labels})["loss"].shape
    return {((labels >= 0).sum(),): "(n,)", (1,): "(1,), the mean", (): "(), the mean"}.get(shape, OTHER)


HALVED, IGNORED = "the term is 0, the row is divided by 2", "ignored"


@probe("LOSS-6.3", head="question_answering", answers=(HALVED, IGNORED, "an error", OTHER))
def a_span_beyond_the_sequence(trial: Trial, case: Case) -> str:
    """A start position behind the last token: an error, a half of the row's loss, or a row that nobody counts."""
    starts, ends = np.zeros(case.batch, np.int64), np.ones(case.batch, np.int64)
    starts[0] = case.seq_len + 3
    inputs = {**case.inputs(), "start_positions": starts, "end_positions": ends}
    try:
        got = trial.call(trial.load(case), inputs)
    except Exception as error:  # the class is the framework's own
        if is_unsupported(error):
            raise
        return "an error"
    start, end = (_losses(got[name], at) for name, at in (("start_logits", starts), ("end_logits", ends)))
    if _same(got["loss"], (start + end) / 2):
        return HALVED
    return IGNORED if _same(got["loss"], (start.sum() / (case.batch - 1) + end.mean()) / 2) else OTHER


@probe("LOSS-7.1", head="masked_lm", answers=("(0,), mean 0.0", "nan, shape (1,)", "nan, shape ()", OTHER))
def no_labels_at_all(trial: Trial, case: Case) -> str:
    """The loss when every label is −100."""
    loss = trial.call(trial.load(case), {**case.inputs(), "labels": np.full(case.lead, -100)})["loss"]
    if loss.shape == (0,):
        return "(0,), mean 0.0"
    return f"nan, shape {loss.shape}" if loss.shape in ((), (1,)) and np.isnan(loss).all() else OTHER


def _losses(logits: Array, positions: Array) -> Array:
    """−log softmax at a position of each row, 0 where the position is beyond the row."""
    logits = logits.astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    inside = positions < logits.shape[1]
    picked = np.take_along_axis(log_probs, np.where(inside, positions, 0)[:, None], axis=1)[:, 0]
    picked_losses: Array = np.where(inside, -picked, 0.0)
    return picked_losses


def _layers(got: Outputs, name: str) -> list[Array]:
    return [array for tap, array in got.items() if tap.startswith(f"{name}.")]


def _same(got: Array, expected: Array) -> bool:
    """Whether two arrays agree: what is told apart here differs by far more than rounding."""
    return got.shape == expected.shape and bool(np.allclose(got, expected, rtol=1e-3, atol=1e-4))
