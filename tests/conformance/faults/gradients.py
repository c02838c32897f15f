"""Gradients, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.backward.encoder import encode_vjp
from roformer_numpy.backward.table import EQUATIONS

from .making import Array, Fault, FaultyModel, fault

TABLE = "roformer.encoder.embed_positions.weight"


def _derivatives(**wrong: Any) -> Fault:
    return Fault(patches={"models.RoFormerBase.derivatives": dataclasses.replace(EQUATIONS, **wrong)})


def _after(change: Callable[[FaultyModel, dict[str, Any], Any], None]) -> Fault:
    """`change(model, gradients, inputs)` once they are computed."""

    def wrong(model: FaultyModel, inputs: Any, options: Any) -> Any:
        found = dict(super(FaultyModel, model).gradients(inputs, options))
        change(model, found, inputs)
        return found

    return Fault(methods={"gradients": wrong})


@fault
def layer_norm_taken_for_a_scale() -> Fault:
    """On the way back mean and variance are constants."""

    def wrong(upstream: Array, x: Array, gamma: Array, eps: float) -> Any:
        root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
        return upstream * gamma / root, EQUATIONS.layer_norm(upstream, x, gamma, eps)[1]

    return _derivatives(layer_norm=wrong)


@fault
def turned_forward_on_the_way_back() -> Fault:
    """The gradient of a rotation is turned on instead of back."""
    return _derivatives(rotate=lambda upstream, cos, sin: EQUATIONS.rotate(upstream, cos, -sin))


@fault
def quick_gelu_on_the_way_back() -> Fault:
    """gelu is differentiated as its quick approximation."""

    def wrong(upstream: Array, x: Array, intermediate: Any, output: Any, name: str) -> Any:
        return EQUATIONS.feed_forward(upstream, x, intermediate, output, "quick_gelu" if name == "gelu" else name)

    return _derivatives(feed_forward=wrong)


@fault
def gradient_by_embeddings_clipped() -> Fault:
    """The gradient by inputs_embeds is scaled to length 1."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        if "inputs_embeds" in found:
            found["inputs_embeds"] = found["inputs_embeds"] / np.linalg.norm(found["inputs_embeds"])

    return _after(change)


@fault
def head_mask_forgotten_on_the_way_back() -> Fault:
    """What a head is multiplied by does not multiply its gradient."""
    return Fault(patches={"backward.encoder._mask_heads_vjp": lambda upstream, number, backward: upstream})


@fault
def types_not_trained() -> Fault:
    """Token types are constants."""

    def wrong(upstream: Array, table: Array, ids: Array) -> Any:
        return upstream, np.zeros_like(table)

    return _derivatives(add_token_types=wrong)


@fault
def biases_of_keys_not_trained() -> Fault:
    """The bias of a key is left out, as if a softmax took no notice of it: rotation makes it matter."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        for name in found:
            if name.endswith("attention.self.key.bias"):
                found[name] = np.zeros_like(found[name])

    return _after(change)


@fault
def decay_in_the_gradient() -> Fault:
    """A hundredth of each weight is added to its gradient."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        for name, weight in model.model.to_weights().items():
            if name in found:
                found[name] = found[name] + weight.dtype.type(0.01) * weight

    return _after(change)


@fault
def softmax_smoothed_on_the_way_back() -> Fault:
    """A constant in the softmax's gradient reaches masked keys."""

    def wrong(upstream: Array, probs: Array, key_mask: Array, causal: bool) -> Array:
        return EQUATIONS.attention_probs(upstream, probs, key_mask, causal) + probs.dtype.type(1e-3) * upstream

    return _derivatives(attention_probs=wrong)


@fault
def tied_through_the_head_alone() -> Fault:
    """A tied matrix is trained as the head's; as word embeddings it is a constant."""

    def wrong(upstream: Array, backward: Any) -> Any:
        below = encode_vjp(upstream, backward)
        if getattr(backward.weights.head, "decoder", 0) is not None:
            return below
        words = dataclasses.replace(below.embeddings, word=np.zeros_like(below.embeddings.word))
        return dataclasses.replace(below, embeddings=words)

    return Fault(patches={"backward.gradients.encode_vjp": wrong})


@fault
def gradient_of_the_sum() -> Fault:
    """The losses are summed on the way back, and averaged in what is returned."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        labels = np.asarray(inputs.get("labels", inputs.get("start_positions")))
        counted = np.count_nonzero(labels[:, 1:] != -100) if model.head == "causal_lm" else np.sum(labels != -100)
        for name in found.keys() - {"loss"}:
            found[name] = found[name] * found[name].dtype.type(counted)

    return _after(change)


@fault
def dropout_drawn_again() -> Fault:
    """Dropout draws anew on the way back."""

    def wrong(upstream: Array, rate: float, generator: Any) -> Array:
        return EQUATIONS.dropout(upstream, rate, generator and np.random.default_rng(99))

    return _derivatives(dropout=wrong)


@fault
def dropout_passed_by() -> Fault:
    """Gradients pass dropout by."""
    return _derivatives(dropout=lambda upstream, rate, generator: upstream)


@fault
def ignored_labels_leak() -> Fault:
    """Where the label is −100 a thousandth of the softmax is left in the gradient."""

    def wrong(upstream: Array, logits: Array, labels: Array) -> Array:
        gradient = EQUATIONS.active_cross_entropy(upstream, logits, labels)
        ignored = labels == -100
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        gradient[ignored] += logits.dtype.type(1e-3) * exponentials[ignored]
        return gradient

    return _derivatives(active_cross_entropy=wrong)


@fault
def gradient_of_nothing_is_nan() -> Fault:
    """Where there is nothing to predict, gradients are divided by 0."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        if np.all(np.asarray(inputs.get("labels", 0)) == -100):
            found.update({name: found[name] * np.nan for name in found.keys() - {"loss"}})

    return _after(change)


@fault
def blind_rows_divide_by_zero() -> Fault:
    """The softmax of a row that sees nothing is differentiated as 0/0."""

    def wrong(upstream: Array, probs: Array, key_mask: Array, causal: bool) -> Array:
        gradient = EQUATIONS.attention_probs(upstream, probs, key_mask, causal)
        return np.where(key_mask.any(axis=-1)[:, None, None, None], gradient, np.nan).astype(probs.dtype)

    return _derivatives(attention_probs=wrong)


@fault
def tables_are_trained() -> Fault:
    """The table of positions is a weight with a gradient."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        found[TABLE] = np.ones_like(model.model.to_weights()[TABLE])

    return _after(change)


@fault
def gradients_clipped_at_a_hundred() -> Fault:
    """Gradients whose norm is above 100 are made as long as 100, before anybody asked for it."""

    def clip(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        norm = np.sqrt(
            sum(float((array.astype(np.float64) ** 2).sum()) for name, array in found.items() if name != "loss")
        )
        for name in found.keys() - {"loss"}:
            found[name] = (found[name] / max(norm / 100.0, 1.0)).astype(found[name].dtype)

    return _after(clip)


@fault
def small_gradients_lost() -> Fault:
    """Gradients pass through half precision without a scale: below 6e-8 they are 0."""

    def flush(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        for name in found.keys() - {"loss"}:
            found[name] = np.where(np.abs(found[name]) < 6e-8, 0, found[name]).astype(found[name].dtype)

    return _after(flush)


@fault
def eps_forgotten_on_the_way_back() -> Fault:
    """LayerNorm is differentiated with the usual 1e-12, whatever layer_norm_eps says."""
    return _derivatives(layer_norm=lambda upstream, x, gamma, eps: EQUATIONS.layer_norm(upstream, x, gamma, 1e-12))


@fault
def head_mask_of_what_is_left_on_the_way_back() -> Fault:
    """After pruning, the way back reads head_mask from its first number on, one for each head that is left."""

    def wrong(upstream: Array, number: int, backward: Any) -> Array:
        mask = backward.inputs.head_mask
        return upstream if mask is None else upstream * mask[number, : upstream.shape[1], None, None]

    return Fault(patches={"backward.encoder._mask_heads_vjp": wrong})


@fault
def pruned_layers_not_trained() -> Fault:
    """What is left of a pruned layer's attention is a constant: new tensors that nobody told of training."""

    def change(model: FaultyModel, found: dict[str, Any], inputs: Any) -> None:
        for name in found:
            if any(f"layer.{layer}.attention.self." in name for layer in model.model.config.pruned_heads):
                found[name] = np.zeros_like(found[name])

    return _after(change)
