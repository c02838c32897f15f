"""What goes wrong only where no attentions are returned: in the faster of two paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.components import EQUATIONS
from roformer_numpy.equations import attention, normalization, rotary

from .making import Array, Call, Fault, FaultyModel, fault, softmax


def on_the_fast_path(name: str, wrong: Callable[..., Any]) -> Fault:
    """`wrong` in place of a component, in calls that return no attentions."""
    right, fast = getattr(EQUATIONS, name), [False]

    class Fast(Fault):
        def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
            asked = options.get("output_attentions", model.config.get("output_attentions"))
            fast[0] = not (asked or "output_attentions" in inputs)
            return inputs, style, options

        def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
            fast[0] = False  # gradients go another way
            return outputs

    return Fast({name: lambda *given: (wrong if fast[0] else right)(*given)})


@fault
def fast_path_hides_by_ten_thousand() -> Fault:
    """The path without attentions hides keys by −10000, which scores of large weights outweigh."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        if causal or not key_mask.any(axis=1).all():
            return attention.attention_probs(scores, key_mask, causal)
        return softmax(scores / 1.0 - 1e4 * ~key_mask[:, None, None, :])

    return on_the_fast_path("attention_probs", probs)


@fault
def fast_path_takes_no_maximum() -> Fault:
    """The path without attentions takes exponentials of scores as they are, which overflow."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        return np.where(np.isfinite(np.exp(scores.astype(np.float32)).sum(-1, keepdims=True)), right, np.nan)

    return on_the_fast_path("attention_probs", probs)


@fault
def fast_path_approximates_gelu() -> Fault:
    """The path without attentions has the tanh form for gelu."""

    def activate(x: Array, name: str) -> Array:
        return EQUATIONS.activate(x, "gelu_new" if name == "gelu" else name)

    def feed_forward(x: Array, first: Any, second: Any, name: str) -> Array:
        inner = activate(EQUATIONS.dense(x, first.kernel, first.bias), name)
        return EQUATIONS.dense(inner, second.kernel, second.bias)

    return on_the_fast_path("feed_forward", feed_forward)


@fault
def fast_path_leaves_units_out() -> Fault:
    """The path without attentions computes inner units up to the 256th, the last whole block."""

    def feed_forward(x: Array, first: Any, second: Any, name: str) -> Array:
        inner = EQUATIONS.activate(EQUATIONS.dense(x, first.kernel, first.bias), name)
        return EQUATIONS.dense(inner[..., :256], second.kernel[:256], second.bias)

    return on_the_fast_path("feed_forward", feed_forward)


@fault
def fast_path_rounds_its_table() -> Fault:
    """The path without attentions keeps cosines and sines beyond position 256 in half precision."""

    def table(positions: Array, head_dim: int, dtype: Any) -> tuple[Array, Array]:
        cos, sin = rotary.rotary_table(positions, head_dim, dtype)
        far = (np.asarray(positions) >= 256)[:, None]
        return tuple(np.where(far, part.astype(np.float16), part).astype(dtype) for part in (cos, sin))  # type: ignore

    return on_the_fast_path("rotary_table", table)


@fault
def fast_path_sees_one_tile() -> Fault:
    """The path without attentions forgets what it kept of the first 384 keys when it goes on to the next ones."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        if right.shape[-1] <= 384:
            return right
        right[..., :384] = 0
        return right / np.maximum(right.sum(axis=-1, keepdims=True), 1e-30)

    return on_the_fast_path("attention_probs", probs)


@fault
def fast_path_repeats_masks() -> Fault:
    """The path without attentions keeps masks for 32 rows, and begins with the first one's again."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        return attention.attention_probs(scores, key_mask[np.arange(len(key_mask)) % 32], causal)

    return on_the_fast_path("attention_probs", probs)


@fault
def fast_path_has_another_eps() -> Fault:
    """The path without attentions normalizes with an eps of 1e-5, whatever the configuration says."""
    return on_the_fast_path("layer_norm", lambda x, gamma, beta, _eps: normalization.layer_norm(x, gamma, beta, 1e-5))
