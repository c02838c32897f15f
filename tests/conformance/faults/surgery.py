"""head_mask, pruning and resizing, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.equations import attention

from .making import Array, Fault, encoder_cross_attention, fault, models_validate


def _head_mask(wrong: Callable[[Array, Array, int, Any], Array]) -> Fault:
    """`wrong(probs, mask of all layers, layer, forward)` in place of the product."""

    def mask_heads(probs: Array, number: int, forward: Any) -> Array:
        mask = forward.inputs.head_mask
        return probs if mask is None else wrong(probs, mask, number, forward)

    return Fault(patches={"encoder._mask_heads": mask_heads})


@fault
def head_mask_ignored() -> Fault:
    """head_mask is accepted and not used."""
    return _head_mask(lambda probs, mask, number, forward: probs)


@fault
def head_mask_inverted() -> Fault:
    """A head_mask of 1 switches a head off."""
    return _head_mask(lambda probs, mask, number, forward: probs * (1 - mask[number])[:, None, None])


@fault
def head_mask_first_layer_only() -> Fault:
    """A head_mask (N,) masks the first layer alone."""

    def validate(given: Any, config: Any, head: str, dtype: Any) -> Any:
        checked = models_validate(given, config, head, dtype)
        if np.ndim(given.get("head_mask", 0)) == 1:
            mask = np.ones((config.num_hidden_layers, config.num_attention_heads), dtype)
            mask[0] = given["head_mask"]
            checked = dataclasses.replace(checked, head_mask=mask)
        return checked

    return Fault(patches={"models.validate": validate})


@fault
def head_mask_renormalised() -> Fault:
    """Masked weights are normalised to sum to 1 again."""

    def wrong(probs: Array, mask: Array, number: int, forward: Any) -> Array:
        masked = probs * mask[number][:, None, None]
        total = masked.sum(-1, keepdims=True)
        return (masked / np.where(total > 0, total, 1)).astype(probs.dtype)

    return _head_mask(wrong)


@fault
def head_mask_reaches_cross_attention() -> Fault:
    """One mask is handed to both attentions of a layer."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        mask = forward.inputs.head_mask
        if mask is None:
            return encoder_cross_attention(x, weights, past, forward)
        masked = dataclasses.replace(forward, components=dataclasses.replace(
            forward.components,
            attention_probs=lambda *given: attention.attention_probs(*given) * mask[0][:, None, None],
        ))  # fmt: skip
        return encoder_cross_attention(x, weights, past, masked)

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def head_mask_numbers_what_is_left() -> Fault:
    """After pruning, the first entries of head_mask go to the heads that are left."""

    def wrong(probs: Array, mask: Array, number: int, forward: Any) -> Array:
        return probs * mask[number, : probs.shape[1]][:, None, None]

    return _head_mask(wrong)


@fault
def neighbour_pruned() -> Fault:
    """Pruning takes out the head after the one that is named."""

    def prune(model: Any, heads: Any) -> None:
        count = model.model.config.num_attention_heads
        model.model.prune_heads({layer: [(head + 1) % count for head in gone] for layer, gone in heads.items()})

    return Fault(methods={"prune_heads": prune})


@fault
def pruned_numbers_shift() -> Fault:
    """Heads are named by their number among those that are left."""

    def prune(model: Any, heads: Any) -> None:
        kept = {layer: model.model.config.kept_heads(layer) for layer in heads}
        model.model.prune_heads(
            {layer: [kept[layer][head % len(kept[layer])] for head in gone] for layer, gone in heads.items()}
        )

    return Fault(methods={"prune_heads": prune})


@fault
def pruning_not_saved() -> Fault:
    """The saved model names no pruned heads, and its loader puts zeros where they were."""

    def save(model: Any, path: Any) -> None:
        config = model.model.config.replace(pruned_heads={})
        type(model.model)(config, dtype=model.model.dtype, components=model.model.components).save_pretrained(path)

    return Fault(methods={"save": save})


@fault
def remaining_heads_reversed() -> Fault:
    """The attention weights of a pruned layer come in another order."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if outputs.get("attentions"):
            outputs["attentions"] = tuple(probs[:, ::-1] for probs in outputs["attentions"])
        return outputs

    return Fault(calls=call)


@fault
def last_head_pruned_in_silence() -> Fault:
    """Asked to prune every head of a layer, it does nothing and says nothing."""

    def prune(model: Any, heads: Any) -> None:
        count = model.model.config.num_attention_heads
        model.model.prune_heads({layer: gone for layer, gone in heads.items() if len(set(gone)) < count})

    return Fault(methods={"prune_heads": prune})


def _resized(change: Callable[[Any], Any]) -> Fault:
    def resize(model: Any, vocab_size: int) -> None:
        model.model.resize_token_embeddings(vocab_size)
        model.model.weights = change(model.model.weights)

    return Fault(methods={"resize_token_embeddings": resize})


@fault
def resizing_draws_all_rows() -> Fault:
    """Resizing draws the whole table anew."""

    def change(weights: Any) -> Any:
        embeddings = dataclasses.replace(weights.embeddings, word=weights.embeddings.word[::-1].copy())
        return dataclasses.replace(weights, embeddings=embeddings)

    return _resized(change)


@fault
def resizing_clears_the_bias() -> Fault:
    """Resizing sets the language model's bias to 0."""

    def change(weights: Any) -> Any:
        if not hasattr(weights.head, "transform"):
            return weights
        return dataclasses.replace(weights, head=dataclasses.replace(weights.head, bias=0 * weights.head.bias))

    return _resized(change)


@fault
def head_mask_before_the_softmax() -> Fault:
    """The scores are multiplied by the head_mask, and the softmax makes weights of them all the same."""

    def mask_heads(probs: Array, number: int, forward: Any) -> Array:
        if forward.inputs.head_mask is None:
            return probs
        kept = forward.inputs.head_mask[number, forward.config.kept_heads(number)][:, None, None]
        powers = np.where(probs > 0, probs, 1) ** kept * (probs > 0)
        return (powers / powers.sum(-1, keepdims=True)).astype(probs.dtype)

    return Fault(patches={"encoder._mask_heads": mask_heads})
