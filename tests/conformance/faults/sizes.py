"""What goes wrong beyond the sizes that somebody tried."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from roformer_numpy.equations import attention, embedding, feed_forward, normalization, rotary

from .making import Array, Call, Fault, encoder_run_layer, fault, wrong_probs


@fault
def one_type_is_none() -> Fault:
    """With type_vocab_size 1 token types are not added: there is nothing to tell apart."""

    def add(words: Array, table: Array, types: Array) -> Array:
        return words if len(table) == 1 else embedding.add_token_types(words, table, types)

    return Fault({"add_token_types": add})


@fault
class IdsInSixteenBits(Fault):
    """Ids are kept as int16: a vocabulary above 32767 words reads other rows."""

    exchanged: ClassVar = {"lookup": lambda table, ids: table[ids.astype(np.int16)]}


@fault
class LayersInTheOrderOfText(Fault):
    """Layers are read in the order of their names, in which 10 stands before 2."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        count = config.get("num_hidden_layers")
        if not isinstance(count, int) or isinstance(count, bool):
            return config, weights
        places = {f"encoder.layer.{name}.": place for place, name in enumerate(sorted(map(str, range(count))))}
        return config, {_moved(name, places): array for name, array in weights.items()}


def _moved(name: str, places: dict[str, int]) -> str:
    for layer, place in places.items():
        if layer in name:
            return name.replace(layer, f"encoder.layer.{place}.")
    return name


@fault
def three_layers_in_turn() -> Fault:
    """A pipeline of three stages: the fourth layer computes with the weights of the first again."""

    def layers(hidden: Array, weights: Any, forward: Any) -> Any:
        for number in range(len(weights.encoder)):
            result = encoder_run_layer(hidden, weights.encoder[number % 3], number, forward)
            hidden = result.hidden
            yield result

    return Fault(patches={"encoder._run_layers": layers})


@fault
def heads_in_fours() -> Fault:
    """Heads are computed four at a time, and what is left over is 0."""

    def attend(probs: Array, value: Array) -> Array:
        context = np.array(attention.attend(probs, value))
        heads = context.shape[1]
        context[:, heads - heads % 4 if heads > 4 else heads :] = 0
        return context

    return Fault({"attend": attend})


@fault
def inner_units_in_blocks() -> Fault:
    """Inner units are computed in blocks of 64; above one block an incomplete last one is left out."""

    def blocks(x: Array, intermediate: Any, output: Any, name: str) -> Array:
        units = len(intermediate.bias)
        kept = units - units % 64 if units > 64 else units
        first = type(intermediate)(intermediate.kernel[:, :kept], intermediate.bias[:kept])
        return feed_forward.feed_forward(x, first, type(output)(output.kernel[:kept], output.bias), name)

    return Fault({"feed_forward": blocks})


@fault
def sixteen_rows_at_most() -> Fault:
    """A grid of threads covers sixteen rows of a batch; later ones attend to nothing."""

    def attend(probs: Array, value: Array) -> Array:
        context = np.array(attention.attend(probs, value))
        context[16:] = 0
        return context

    return Fault({"attend": attend})


@fault
def split_is_guessed_by_size() -> Fault:
    """Axes are told apart by size: with as many tokens as heads, positions are taken for heads."""

    def split(x: Array, head_dim: int) -> Array:
        rows = x.reshape(*x.shape[:2], x.shape[2] // head_dim, head_dim)
        return rows if rows.shape[1] == rows.shape[2] else rows.transpose(0, 2, 1, 3)

    return Fault(patches={"encoder.split_heads": split})


@fault
def mask_ends_at_256() -> Fault:
    """The path for more than 256 keys knows no mask."""
    return wrong_probs(lambda s, mask, causal: attention.attention_probs(s, mask | (s.shape[-1] > 256), causal))


@fault
def causal_mask_ends_at_512() -> Fault:
    """The causal mask is a buffer of 512 positions; later queries see everything."""

    def probs(scores: Array, mask: Array, causal: bool) -> Array:
        result = np.array(attention.attention_probs(scores, mask, causal))
        result[:, :, 512:] = (
            attention.attention_probs(scores[:, :, 512:], mask, False) if causal else result[:, :, 512:]
        )
        return result

    return wrong_probs(probs)


@fault
def table_ends_at_1536() -> Fault:
    """The table has the default's 1536 rows whatever max_position_embeddings says; later positions read the last."""
    return Fault({"rotary_table": lambda at, dim, dtype: rotary.rotary_table(np.minimum(at, 1535), dim, dtype)})


@fault
def pairs_beyond_32_stand_still() -> Fault:
    """The rotation's kernel turns 32 pairs; wider heads keep the others as they are."""

    def table(positions: Array, head_dim: int, dtype: Any) -> tuple[Array, Array]:
        cos, sin = rotary.rotary_table(positions, head_dim, dtype)
        cos[:, 32:], sin[:, 32:] = 1, 0
        return cos, sin

    return Fault({"rotary_table": table})


@fault
def wide_rows_in_one_pass() -> Fault:
    """Rows of more than 64 features are normalised in one pass: the mean of squares less the square of the mean."""

    def norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        if x.shape[-1] <= 64:
            return normalization.layer_norm(x, gamma, beta, eps)
        mean = x.mean(axis=-1, keepdims=True)
        variance = np.mean(x * x, axis=-1, keepdims=True) - mean * mean
        return (x - mean) / np.sqrt(np.maximum(variance, 0) + eps) * gamma + beta

    return Fault({"layer_norm": norm})
