"""HEAD: what can be done to a model's attention heads and to its vocabulary (HEAD-6 to HEAD-8)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..formulas import edited
from ..gradients import agree, gradients
from ..protocol import Array, Outputs
from ..registry import DECODER_HEADS, LANGUAGE_HEADS, check
from ..strategies import Case, OneOf
from ..trial import TRACES, Trial, expect


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


@check(
    "HEAD-7.5", "gradients-after-pruning", heads=("masked_lm",), needs=("pruning", "head_mask", "gradients"),
    effort=0.3, also=("HEAD-7.1", "TRAIN-2.1"), num_attention_heads=4, hidden_size=24, num_hidden_layers=1, max_batch=2,
    min_seq_len=3, max_seq_len=6, masks=("none",),
)  # fmt: skip
def gradients_after_pruning_are_those_of_masked_heads(trial: Trial, case: Case) -> None:
    """After pruning, gradients under a head_mask are the oracle's, what is pruned masked with 0; masked heads get none.

    Whether the tensors of a pruned layer are smaller or hold zeros for what is gone is left open, and so is the padding
    token's row, which many leave untrained.
    """
    inputs = {**case.inputs(), **case.labels()}
    # two of four heads, the last one stays: what is left has other numbers, and each number a mask of its own
    gone, mask = {0: [case.seed % 2, 2]}, np.roll(np.arange(4, dtype=np.float32) / 4, case.seed)[None]
    inputs["input_ids"] = np.maximum(inputs["input_ids"], 1)
    got = gradients(trial, _pruned(trial, case, gone), {**inputs, "head_mask": mask})
    whole = {name: _in_place_of_all(case, gone, name, array) for name, array in got.items()}
    agree(trial, case, {**inputs, "head_mask": mask * _mask_without(case, gone)}, whole, what=f"pruned {gone}")


@check("HEAD-7.6", "one-head-stays", needs=("pruning",))
def a_layer_keeps_a_head(trial: Trial, case: Case) -> None:
    """Pruning every head of a layer is refused, and the model stays as it was."""
    model: Any = trial.load(case)
    before = trial.call(model, case.inputs(), **TRACES)
    layer = case.seed % case.config["num_hidden_layers"]
    heads = list(range(case.config["num_attention_heads"]))
    trial.refuses(lambda: model.prune_heads({layer: heads}), "head")
    trial.equals("after the refusal", trial.call(model, case.inputs(), **TRACES), before)


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
    heads=LANGUAGE_HEADS,
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


def _in_place_of_all(case: Case, gone: dict[int, list[int]], name: str, gradient: Array) -> Array:
    """A gradient by a tensor of a pruned layer with zeros where the heads were that are gone; others as they are."""
    found = re.search(r"layer\.(\d+)\.attention\.(self\.\w+\.\w+|output\.dense\.weight)$", name)
    size = case.config["hidden_size"]
    if not found or int(found[1]) not in gone:
        return gradient
    kept = np.repeat(_mask_without(case, gone)[int(found[1])] > 0, size // case.config["num_attention_heads"])
    axis = 1 if found[2].startswith("output") else 0
    if gradient.ndim <= axis or gradient.shape[axis] != kept.sum():
        return gradient
    shape = list(gradient.shape)
    shape[axis] = size
    whole = np.zeros(shape, gradient.dtype)
    whole[(slice(None),) * axis + (kept,)] = gradient
    return whole


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
