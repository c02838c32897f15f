"""HEAD: what stands on top of the encoder, and what can be done to its heads and its vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..formulas import Weights, activation, dense, edited, layer_norm, part
from ..protocol import Array, Outputs
from ..registry import DECODER_HEADS, check
from ..strategies import Case, OneOf
from ..trial import TRACES, Trial, expect

LANGUAGE = ("masked_lm", "causal_lm")
LABELLING = ("sequence_classification", "token_classification")
ATTENTION_KERNEL = "attention.output.dense.weight"


@check("HEAD-1.1", "by-hand", heads=LANGUAGE, also=("HEAD-1.2",), tie_word_embeddings=OneOf((False, True)))
def language_model_by_hand(trial: Trial, case: Case) -> None:
    """Logits are LayerNorm(hidden_act(Dense(last state))) times the transposed word embeddings, plus bias."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    x = activation(case.config["hidden_act"], dense(got[case.last], weights, "predictions.transform.dense"))
    x = layer_norm(x, weights, "predictions.transform.LayerNorm", case.config.get("layer_norm_eps", 1e-12))
    tied = case.config["tie_word_embeddings"]
    table = part(weights, "word_embeddings.weight" if tied else "predictions.decoder.weight")
    expected = np.einsum("bse,ve->bsv", x, table) + part(weights, "predictions.bias")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-1.2", "bias-is-added", heads=LANGUAGE)
def language_model_bias_is_added(trial: Trial, case: Case) -> None:
    """What is added to the language model's bias is added to the logits, token by token."""
    inputs, weights = case.inputs(), trial.weights(case)
    more = case.generator("bias").integers(-4, 5, case.config["vocab_size"]).astype(np.float64)
    expected = trial.call(trial.load(case), inputs)["logits"].astype(np.float64) + more
    got = trial.call(trial.load(case, edited(weights, {r"predictions\.bias": more.__add__})), inputs)["logits"]
    trial.close("bias raised", got, expected, case, inputs, "logits")


@check("HEAD-1.2", "vocabulary-order", heads=LANGUAGE, also=("EMB-1.1", "HEAD-1.3"))
def vocabulary_has_no_order(trial: Trial, case: Case) -> None:
    """A vocabulary in another order, in ids, word embeddings and bias, gives logits in that order."""
    inputs, weights = case.inputs(), trial.weights(case)
    order = case.generator("order").permutation(case.config["vocab_size"])
    renamed = edited(weights, {r"word_embeddings\.weight|predictions\.bias": lambda rows: rows[order]})
    expected = trial.call(trial.load(case), inputs)["logits"]
    got = trial.call(trial.load(case, renamed), {**inputs, "input_ids": np.argsort(order)[inputs["input_ids"]]})
    back = {"logits": got["logits"][..., np.argsort(order)]}
    trial.match("vocabulary in another order", back, {"logits": expected}, case, inputs)


@check("HEAD-1.3", "tied", heads=LANGUAGE)
def tied_embeddings_score(trial: Trial, case: Case) -> None:
    """Another embedding of a word that is not in the input moves this word's logits and no others."""
    _expect_one_column(trial, case, "word_embeddings.weight", moves=True)


@check("HEAD-1.4", "untied-matrix", heads=LANGUAGE, tie_word_embeddings=False)
def an_untied_matrix_scores(trial: Trial, case: Case) -> None:
    """With tie_word_embeddings False another row of the head's own matrix moves this word's logits and no others."""
    _expect_one_column(trial, case, "predictions.decoder.weight", moves=True)


@check("HEAD-1.4", "untied-embeddings", heads=LANGUAGE, tie_word_embeddings=False)
def untied_embeddings_do_not_score(trial: Trial, case: Case) -> None:
    """With tie_word_embeddings False the embedding of a word that is not in the input moves no logit."""
    _expect_one_column(trial, case, "word_embeddings.weight", moves=False)


@check("HEAD-2", "by-hand", heads=("sequence_classification",))
def sequence_head_by_hand(trial: Trial, case: Case) -> None:
    """Logits of a sequence are Dense(hidden_act(Dense(last state of the first token))), for every hidden_act."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    inner = activation(case.config["hidden_act"], dense(got[case.last][:, 0], weights, "classifier.dense"))
    expected = dense(inner, weights, "classifier.out_proj")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-3", "by-hand", heads=("token_classification",))
def token_head_by_hand(trial: Trial, case: Case) -> None:
    """Logits of a token are one Dense layer on its last state."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    expected = dense(got[case.last], weights, "classifier")
    trial.close("by hand", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-3", "label-order", heads=LABELLING, effort=0.6, also=("HEAD-2",))
def labels_have_no_order(trial: Trial, case: Case) -> None:
    """Labels in another order, in the last kernel and bias, give logits in that order."""
    inputs, weights = case.inputs(), trial.weights(case)
    order = case.generator("order").permutation(case.config["num_labels"])
    last = r"classifier\.(out_proj\.)?(weight|bias)$"
    expected = {"logits": trial.call(trial.load(case), inputs)["logits"][..., order]}
    got = trial.call(trial.load(case, edited(weights, {last: lambda rows: rows[order]})), inputs)
    trial.match("labels in another order", got, expected, case, inputs, lambda logits: logits[..., order])


@check("HEAD-4", "by-hand", heads=("question_answering",))
def span_head_by_hand(trial: Trial, case: Case) -> None:
    """start_logits are the first and end_logits the second output of one Dense layer, whatever num_labels says."""
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    spans = dense(got[case.last], weights, "qa_outputs")
    expected = {"start_logits": spans[..., 0], "end_logits": spans[..., 1]}
    trial.match("by hand", got, expected, case, inputs, options=TRACES)


def _summary_by_hand(trial: Trial, case: Case) -> None:
    inputs, weights = case.inputs(), trial.weights(case)
    got = trial.call(trial.load(case), inputs, **TRACES)
    states, kind = got[case.last].astype(np.float64), case.config["summary_type"]
    summary = {"last": states[:, -1], "first": states[:, 0], "mean": states.sum(axis=1) / case.seq_len}[kind]
    expected = dense(summary, weights, "classifier")[:, 0].reshape(case.batch, case.choices)
    trial.close(f"by hand, summary_type {kind}", got["logits"], expected, case, inputs, "logits", options=TRACES)


@check("HEAD-5.1", "last-state", heads=("multiple_choice",), summary_type="last", min_seq_len=2)
def choices_are_summed_up_by_their_last_state(trial: Trial, case: Case) -> None:
    """With summary_type last a choice is scored by its state at index −1, padding or not."""
    _summary_by_hand(trial, case)


@check("HEAD-5.2", "first-state", heads=("multiple_choice",), summary_type="first", min_seq_len=2)
def choices_are_summed_up_by_their_first_state(trial: Trial, case: Case) -> None:
    """With summary_type first a choice is scored by its state at index 0."""
    _summary_by_hand(trial, case)


@check("HEAD-5.3", "mean-state", heads=("multiple_choice",), summary_type="mean", min_seq_len=2)
def choices_are_summed_up_by_their_mean_state(trial: Trial, case: Case) -> None:
    """With summary_type mean a choice is scored by the mean over all positions, masked ones included."""
    _summary_by_hand(trial, case)


@check("HEAD-5.4", "choices-stay-together", heads=("multiple_choice",), min_batch=2)
def choices_stay_with_their_example(trial: Trial, case: Case) -> None:
    """Choices of one example in another order give its logits in that order and leave other examples alone."""
    inputs, row = case.inputs(), case.seed % case.batch
    order = np.roll(np.arange(case.choices), 1)

    def moved(array: Array) -> Array:
        array = array.copy()
        array[row] = array[row][order]
        return array

    model = trial.load(case)
    expected = {"logits": moved(trial.call(model, inputs)["logits"])}
    got = trial.call(model, {name: moved(array) for name, array in inputs.items()})
    trial.match(f"choices of example {row} in another order", got, expected, case, inputs, moved)


@check("HEAD-1.1", "every-tensor-matters", heads=LANGUAGE, effort=0.5, hidden_act="gelu", tie_word_embeddings=False)
def every_language_model_tensor_is_live(trial: Trial, case: Case) -> None:
    """Every tensor of the language model's head moves the logits."""
    _expect_live(trial, case, "cls.")


@check(
    "HEAD-2", "every-tensor-matters", effort=0.5, hidden_act="gelu", also=("HEAD-3", "HEAD-4", "HEAD-5.4"),
    heads=("sequence_classification", "token_classification", "multiple_choice", "question_answering"),
)  # fmt: skip
def every_head_tensor_is_live(trial: Trial, case: Case) -> None:
    """Every tensor of a head for sequences, tokens, choices or spans moves the logits."""
    _expect_live(trial, case, "qa_outputs" if case.head == "question_answering" else "classifier")


# ── head_mask ────────────────────────────────────────────────────────────────────────────────────────────────────────


@check("HEAD-6.1", "ones", heads="all", needs=("head_mask",), effort=0.4)
def ones_are_no_head_mask(trial: Trial, case: Case) -> None:
    """A head_mask of ones, for one layer or for each, gives what no head_mask gives."""
    inputs, model = case.inputs(), trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    for shape in (_mask_shape(case)[1:], _mask_shape(case)):
        got = trial.call(model, {**inputs, "head_mask": np.ones(shape, np.float32)}, **TRACES)
        trial.match(f"head_mask of ones {shape}", got, expected, case, inputs, options=TRACES)


@check("HEAD-6.1", "one-row-for-all-layers", needs=("head_mask",), min_heads=2, num_hidden_layers=3)
def one_row_stands_for_every_layer(trial: Trial, case: Case) -> None:
    """A head_mask (N,) gives what the same row in every layer gives."""
    inputs, model, row = case.inputs(), trial.load(case), _some_mask(case)[0]
    each = np.repeat(row[None], case.config["num_hidden_layers"], axis=0)
    expected = trial.call(model, {**inputs, "head_mask": each}, **TRACES)
    got = trial.call(model, {**inputs, "head_mask": row}, **TRACES)
    trial.match(f"head_mask {row.tolist()}", got, expected, case, {**inputs, "head_mask": each}, options=TRACES)


@check("HEAD-6.2", "surgery", heads="all", needs=("head_mask",), effort=0.4, min_heads=2, also=("ATT-3.2",))
def head_mask_scales_a_head(trial: Trial, case: Case) -> None:
    """A head's mask, 0 or a fraction, does what scaling its columns of the output kernel does."""
    inputs, weights, mask = case.inputs(), trial.weights(case), _some_mask(case)
    scaled = dict(weights)
    for layer, row in enumerate(mask.astype(np.float64)):
        each = np.repeat(row, case.config["hidden_size"] // case.config["num_attention_heads"])
        scaled = edited(scaled, {rf"layer\.{layer}\.attention\.output\.dense\.weight": each.__mul__})
    expected = _without_probs(trial.call(trial.load(case, scaled), inputs, **TRACES))
    got = trial.call(trial.load(case), {**inputs, "head_mask": mask}, **TRACES)
    trial.match(f"head_mask {mask.tolist()}", got, expected, case, inputs, options=TRACES, weights=scaled)


@check("ATT-3.2", "not-normalised-again", needs=("head_mask",), min_heads=2, also=("OUT-1.4", "HEAD-6.2"))
def masked_weights_are_not_normalised_again(trial: Trial, case: Case) -> None:
    """The attention weights of the first layer are those without head_mask, times the mask of their head."""
    inputs, model, mask = case.inputs(), trial.load(case), _some_mask(case)
    tap = "attentions.0"
    expected = trial.call(model, inputs, **TRACES)[tap] * mask[0][None, :, None, None]
    got = trial.call(model, {**inputs, "head_mask": mask}, **TRACES)[tap]
    trial.close(f"head_mask {mask[0].tolist()}", got, expected, case, inputs, tap, options=TRACES)


@check(
    "HEAD-6.3", "cross-attention-is-spared", heads=DECODER_HEADS, needs=("head_mask", "cross_attention"),
    effort=0.5, min_heads=2, num_hidden_layers=1, add_cross_attention=True, is_decoder=True,
)  # fmt: skip
def head_mask_spares_cross_attention(trial: Trial, case: Case) -> None:
    """In a decoder with cross-attention a head_mask scales heads of self-attention alone."""
    inputs = {**case.inputs(), "encoder_hidden_states": case.encoder_states()}
    mask, weights = _some_mask(case), trial.weights(case)
    each = np.repeat(mask[0], case.config["hidden_size"] // case.config["num_attention_heads"]).astype(np.float64)
    scaled = edited(weights, {r"\.attention\.output\.dense\.weight": each.__mul__})
    expected = trial.call(trial.load(case, scaled), inputs, **TRACES)
    expected = {tap: array for tap, array in expected.items() if not tap.startswith(("attentions", "past_key_values"))}
    got = trial.call(trial.load(case), {**inputs, "head_mask": mask}, **TRACES)
    trial.match(f"head_mask {mask.tolist()}", got, expected, case, inputs, options=TRACES, weights=scaled)


# ── prune_heads ──────────────────────────────────────────────────────────────────────────────────────────────────────


@check("HEAD-7.1", "pruned-is-masked", heads="all", needs=("pruning", "head_mask"), effort=0.4, min_heads=2)
def pruned_heads_are_masked_heads(trial: Trial, case: Case) -> None:
    """Pruning heads gives the outputs that masking them with 0 gives."""
    inputs, gone = case.inputs(), _some_heads(case)
    mask = _mask_without(case, gone)
    expected = _without_probs(trial.call(trial.load(case), {**inputs, "head_mask": mask}, **TRACES))
    got = trial.call(_pruned(trial, case, gone), inputs, **TRACES)
    trial.match(f"pruned {gone}", got, expected, case, {**inputs, "head_mask": mask}, options=TRACES)


@check("HEAD-7.2", "original-numbers", needs=("pruning",), num_attention_heads=4, hidden_size=24)
def pruning_keeps_the_original_numbers(trial: Trial, case: Case) -> None:
    """Heads pruned one after another, by their original numbers and some of them twice, are those pruned at once."""
    inputs, layer = case.inputs(), case.seed % case.config["num_hidden_layers"]
    first, second, _ = case.generator("heads").permutation(4)[:3].tolist()
    at_once = _pruned(trial, case, {layer: [first, second]})
    one_by_one = _pruned(trial, case, {layer: [first]}, {layer: [first, second]}, {layer: [second]})
    expected = trial.call(at_once, inputs, **TRACES)
    trial.equals(f"pruned {first}, then {second}, again", trial.call(one_by_one, inputs, **TRACES), expected)


@check("HEAD-7.3", "survives-saving", heads="all", needs=("pruning", "saving"), effort=0.3, min_heads=2)
def pruning_survives_saving(trial: Trial, case: Case) -> None:
    """A pruned model that was saved and loaded gives what it gave before."""
    inputs, model = case.inputs(), _pruned(trial, case, _some_heads(case))
    expected = trial.call(model, inputs, **TRACES)
    trial.equals("pruned, saved and loaded", trial.call(trial.reload(case, model), inputs, **TRACES), expected)


@check("HEAD-7.4", "remaining-weights", needs=("pruning",), min_heads=2)
def remaining_heads_keep_their_weights(trial: Trial, case: Case) -> None:
    """The attention weights of a pruned first layer are those of the heads that remain, in their order."""
    inputs, heads = case.inputs(), case.config["num_attention_heads"]
    gone = sorted(case.generator("heads").permutation(heads)[: 1 + case.seed % (heads - 1)].tolist())
    kept = [head for head in range(heads) if head not in gone]
    tap = "attentions.0"
    expected = trial.call(trial.load(case), inputs, **TRACES)[tap][:, kept]
    got = trial.call(_pruned(trial, case, {0: gone}), inputs, **TRACES)[tap]
    trial.close(f"pruned {gone}", got, expected, case, inputs, tap, lambda probs: probs[:, kept], TRACES)


@check("HEAD-7.5", "mask-after-pruning", needs=("pruning", "head_mask"), num_attention_heads=4, hidden_size=24)
def head_mask_keeps_its_numbers(trial: Trial, case: Case) -> None:
    """After pruning, head_mask still names heads by their original numbers and ignores those that are gone."""
    inputs, gone = case.inputs(), _some_heads(case)
    mask = _some_mask(case)
    full = {**inputs, "head_mask": mask * _mask_without(case, gone)}
    expected = _without_probs(trial.call(trial.load(case), full, **TRACES))
    got = trial.call(_pruned(trial, case, gone), {**inputs, "head_mask": mask}, **TRACES)
    trial.match(f"pruned {gone}, masked {mask.tolist()}", got, expected, case, full, options=TRACES)


@check("HEAD-7.6", "one-head-stays", needs=("pruning",))
def a_layer_keeps_a_head(trial: Trial, case: Case) -> None:
    """Pruning every head of a layer is refused, and the model stays as it was."""
    model: Any = trial.load(case)
    before = trial.call(model, case.inputs(), **TRACES)
    layer = case.seed % case.config["num_hidden_layers"]
    heads = list(range(case.config["num_attention_heads"]))
    trial.refuses(lambda: model.prune_heads({layer: heads}), "head")
    trial.equals("after the refusal", trial.call(model, case.inputs(), **TRACES), before)


# ── resize_token_embeddings ──────────────────────────────────────────────────────────────────────────────────────────


@check("HEAD-8.1", "kept-rows", heads="all", needs=("resizing",), effort=0.3)
def kept_rows_stay(trial: Trial, case: Case) -> None:
    """A vocabulary grown or cut leaves the outputs for kept ids as they were, and knows the new ids."""
    for size in _sizes(case):
        inputs = _within(case, size)
        model: Any = trial.load(case)
        expected = trial.call(model, inputs, **TRACES)
        model.resize_token_embeddings(size)
        got = trial.call(model, inputs, **TRACES)
        states = {tap: array for tap, array in expected.items() if tap.startswith(("hidden_states", "attentions"))}
        trial.match(f"vocabulary resized to {size}", got, states, case, inputs, options=TRACES)
        newest = {**inputs, "input_ids": np.full_like(inputs["input_ids"], size - 1)}
        _expect_shapes(trial.call(model, newest, **TRACES), got)


@check(
    "HEAD-8.2",
    "language-model",
    heads=LANGUAGE,
    needs=("resizing",),
    effort=0.5,
    tie_word_embeddings=OneOf((False, True)),
    also=("HEAD-8.3",),
)
def logits_follow_the_vocabulary(trial: Trial, case: Case) -> None:
    """A language model whose vocabulary was grown or cut scores the kept words as before, bias included."""
    for size in _sizes(case):
        inputs, kept = _within(case, size), min(size, case.config["vocab_size"])
        model: Any = trial.load(case)
        expected = trial.call(model, inputs)["logits"][..., :kept]
        model.resize_token_embeddings(size)
        got = trial.call(model, inputs)["logits"]
        expect(got.shape[-1] == size, f"resized to {size}: logits has {got.shape[-1]} columns, expected {size}")
        trial.close(
            f"vocabulary resized to {size}", got[..., :kept], expected, case, inputs, "logits",
            lambda logits, kept=kept: logits[..., :kept],  # type: ignore[misc]
        )  # fmt: skip


def _mask_shape(case: Case) -> tuple[int, int]:
    return case.config["num_hidden_layers"], case.config["num_attention_heads"]


def _some_mask(case: Case) -> Array:
    """A head_mask with a zero, a fraction and ones in every layer, fractions exact in every type."""
    layers, heads = _mask_shape(case)
    mask = np.ones((layers, heads), np.float32)
    for row in mask:
        order = case.generator(f"mask {mask.size}").permutation(heads)
        row[order[0]], row[order[-1]] = 0.0, 0.625
    return np.roll(mask, case.seed % heads, axis=1)


def _some_heads(case: Case) -> dict[int, list[int]]:
    """Some heads of some layers, never all of a layer."""
    layers, heads = _mask_shape(case)
    draw = case.generator("heads")
    return {
        layer: sorted(draw.permutation(heads)[: int(draw.integers(1, heads))].tolist())
        for layer in range(layers)
        if layer == case.seed % layers or draw.random() < 0.5
    }


def _mask_without(case: Case, gone: dict[int, list[int]]) -> Array:
    mask = np.ones(_mask_shape(case), np.float32)
    for layer, heads in gone.items():
        mask[layer, heads] = 0.0
    return mask


def _pruned(trial: Trial, case: Case, *steps: dict[int, list[int]]) -> Any:
    model: Any = trial.load(case)
    for heads in steps:
        model.prune_heads(heads)
    return model


def _without_probs(outputs: Outputs) -> Outputs:
    """What does not have an entry for each head: hidden states and what stands on top."""
    return {tap: array for tap, array in outputs.items() if not tap.startswith(("attentions", "past_key_values"))}


def _sizes(case: Case) -> tuple[int, int]:
    return case.config["vocab_size"] + 5, case.config["vocab_size"] - 7


def _within(case: Case, size: int) -> dict[str, Array]:
    inputs = case.inputs()
    return {**inputs, "input_ids": inputs["input_ids"] % min(size, case.config["vocab_size"])}


def _expect_shapes(got: Outputs, expected: Outputs) -> None:
    for tap, array in expected.items():
        expect(got[tap].shape == array.shape, f"new ids: {tap} has shape {got[tap].shape}, expected {array.shape}")


def _expect_one_column(trial: Trial, case: Case, table: str, *, moves: bool) -> None:
    inputs, weights = case.inputs(), trial.weights(case)
    word = case.seed % case.config["vocab_size"]
    inputs["input_ids"] = np.where(
        inputs["input_ids"] == word, (word + 1) % case.config["vocab_size"], inputs["input_ids"]
    )

    def with_another_row(rows: Array) -> Array:
        rows = rows.copy()
        rows[word] += case.generator("row").standard_normal(rows.shape[1])
        return rows

    before = trial.call(trial.load(case), inputs)["logits"]
    after = trial.call(trial.load(case, edited(weights, {rf"{table}$": with_another_row})), inputs)["logits"]
    changed = np.flatnonzero((before != after).any(axis=(0, 1))).tolist()
    expected = [word] if moves else []
    expect(
        changed == expected, f"row {word} of {table} changed: logits of the words {changed} moved, expected {expected}"
    )


def _expect_live(trial: Trial, case: Case, prefix: str) -> None:
    weights: Weights = trial.weights(case)
    inputs = case.inputs()
    before = trial.call(trial.load(case), inputs)
    for name, array in weights.items():
        if name.startswith(prefix):
            noise = case.generator(name).normal(size=array.shape)
            after = trial.call(trial.load(case, {**weights, name: array + noise}), inputs)
            same = [tap for tap in before if "logits" in tap and np.array_equal(before[tap], after[tap])]
            expect(not same, f"{name} was changed, and {', '.join(same)} stayed as it was")
