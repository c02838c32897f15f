"""Small wrong implementations: each makes one mistake that somebody has made, or could, in the arithmetic.

A fault is our own model by the equations with something exchanged while it runs: an entry of the component table, a
function of the encoder or of a head, the configuration it was given, or a method. The oracle never runs inside it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from roformer_numpy import encoder, models
from roformer_numpy.adapter import NumpyAdapter, NumpyModel
from roformer_numpy.components import EQUATIONS
from roformer_numpy.equations import attention, losses, normalization, rotary
from roformer_numpy.heads import HEAD_FUNCTIONS, LOSS_FUNCTIONS

Array = Any
NEGATIVE = -10000.0


@dataclass(frozen=True)
class Fault:
    """What a wrong implementation has in place of the right thing."""

    components: Mapping[str, Any] = field(default_factory=dict)
    patches: Mapping[str, Any] = field(default_factory=dict)  # "encoder.split_heads": …, while a model runs
    config: Mapping[str, Any] = field(default_factory=dict)  # fields it overrides
    calls: Callable[[Any, dict[str, Any], dict[str, Any]], Any] | None = None  # call(model, inputs, options)
    methods: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # in place of NumpyModel's


class FaultyAdapter(NumpyAdapter):
    """The reference with one mistake."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(dataclasses.replace(EQUATIONS, name="faulty", **fault.components))

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        """The model called `head`, mistaken."""
        with self.mistaken():
            return FaultyModel(self, super().load(head, {**config, **self.fault.config}, weights, dtype).model)

    def load_saved(self, head: str, path: Any, dtype: str) -> Any:
        """The saved model, mistaken."""
        with self.mistaken():
            return FaultyModel(self, super().load_saved(head, path, dtype).model)

    @contextmanager
    def mistaken(self) -> Iterator[None]:
        """The time in which the mistake is made."""
        with ExitStack() as stack:
            for name, replacement in self.fault.patches.items():
                stack.enter_context(patch(f"roformer_numpy.{name}", replacement))
            yield


class FaultyModel(NumpyModel):
    """A model of a faulty adapter; every method runs under the mistake."""

    def __init__(self, adapter: FaultyAdapter, model: Any) -> None:
        super().__init__(model)
        self.adapter = adapter

    def __call__(self, inputs: Mapping[str, Any], *, style: str = "keywords", options: Any = None) -> Any:
        """The outputs of a mistaken call."""
        fault = self.adapter.fault
        with self.adapter.mistaken(), np.errstate(all="ignore"):
            if fault.calls is None:
                return super().__call__(inputs, style=style, options=options)
            call = lambda inputs, options: NumpyModel.__call__(self, inputs, style=style, options=options)  # noqa: E731
            return fault.calls(call, dict(inputs), dict(options or {}))

    def _method(self, name: str, *arguments: Any) -> Any:
        with self.adapter.mistaken():
            wrong = self.adapter.fault.methods.get(name)
            return wrong(self, *arguments) if wrong else getattr(super(), name)(*arguments)

    def save(self, path: Any) -> None:
        """Saved, mistaken."""
        self._method("save", path)

    def prune_heads(self, heads: Any) -> None:
        """Pruned, mistaken."""
        self._method("prune_heads", heads)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """Resized, mistaken."""
        self._method("resize_token_embeddings", vocab_size)

    def generate(self, inputs: Any, options: Any) -> Any:
        """Continued, mistaken."""
        return self._method("generate", inputs, options)


FAULTS: dict[str, Callable[[], Fault]] = {}


def fault(function: Callable[[], Fault]) -> Callable[[], Fault]:
    """Enter a fault into the list under its function's name; its docstring names the mistake."""
    FAULTS[function.__name__] = function
    return function


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────────────────────────


@fault
def types_left_out() -> Fault:
    """Token types are accepted and not added."""
    return Fault({"add_token_types": lambda words, table, types: words})


@fault
def row_off_by_one() -> Fault:
    """Ids are counted from 1: each reads the row after its own."""
    return Fault({"lookup": lambda table, ids: table[(ids + 1) % len(table)]})


@fault
def absolute_positions() -> Fault:
    """BERT's absolute positions are carried over, as small sinusoids on the embeddings."""

    def add(words: Array, table: Array, types: Array) -> Array:
        positions, features = np.arange(words.shape[1])[:, None], np.arange(words.shape[2])
        return words + table[types] + 0.05 * np.sin(positions + features).astype(words.dtype)

    return Fault({"add_token_types": add})


@fault
def embeddings_not_normalised() -> Fault:
    """The LayerNorm of the embeddings is left out."""

    def embed(forward: Any, weights: Any) -> Array:
        silent = dataclasses.replace(forward, components=dataclasses.replace(
            forward.components, layer_norm=lambda x, gamma, beta, eps: x))  # fmt: skip
        return encoder_embed(silent, weights)

    return Fault(patches={"encoder.embed": embed})


@fault
def projection_without_bias() -> Fault:
    """The projection from E to H has no bias."""

    def embed(forward: Any, weights: Any) -> Array:
        if weights.project is None:
            return encoder_embed(forward, weights)
        project = dataclasses.replace(weights.project, bias=0 * weights.project.bias)
        return encoder_embed(forward, dataclasses.replace(weights, project=project))

    return Fault(patches={"encoder.embed": embed})


# ── LayerNorm and feed-forward ───────────────────────────────────────────────────────────────────────────────────────


@fault
def eps_outside_the_root() -> Fault:
    """eps is added to the standard deviation."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def eps_built_in() -> Fault:
    """eps is a framework's 1e-5, whatever the configuration says."""
    return Fault({"layer_norm": lambda x, gamma, beta, eps: normalization.layer_norm(x, gamma, beta, 1e-5)})


@fault
def unbiased_variance() -> Fault:
    """The variance divides by the width minus 1."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        variance = x.var(axis=-1, ddof=1, keepdims=True)
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def batch_statistics() -> Fault:
    """LayerNorm takes its mean over the batch as well."""

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        centred = x - x.mean(axis=(0, -1), keepdims=True)
        return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + eps) * gamma + beta

    return Fault({"layer_norm": layer_norm})


@fault
def nan_reaches_the_batch() -> Fault:
    """A mean over the whole batch is computed and added times 0, which spreads NaN."""
    return Fault({"add_token_types": lambda words, table, types: words + table[types] + 0 * words.mean()})


@fault
def tanh_gelu() -> Fault:
    """gelu is the tanh approximation."""

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        return EQUATIONS.feed_forward(x, intermediate, output, "gelu_new" if hidden_act == "gelu" else hidden_act)

    return Fault({"feed_forward": feed_forward})


@fault
def odd_unit_cut() -> Fault:
    """A vectorised loop forgets the last unit of an odd intermediate_size."""

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        kept = len(intermediate.bias) // 2 * 2
        inner = EQUATIONS.activate(x @ intermediate.kernel[:, :kept] + intermediate.bias[:kept], hidden_act)
        return inner @ output.kernel[:kept] + output.bias

    return Fault({"feed_forward": feed_forward})


@fault
def residual_doubled() -> Fault:
    """The feed-forward's own function adds its input, and the layer adds it again."""
    return Fault({"feed_forward": lambda x, *rest: x + EQUATIONS.feed_forward(x, *rest)})


@fault
def layers_reversed() -> Fault:
    """Layers run from the last to the first."""

    def run_layers(hidden: Array, weights: Any, forward: Any) -> Any:
        return encoder_run_layers(hidden, dataclasses.replace(weights, encoder=weights.encoder[::-1]), forward)

    return Fault(patches={"encoder._run_layers": run_layers})


# ── rotation ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tables(theta: Callable[[Array, int], Array], dtype: Any = np.float64) -> Fault:
    def table(positions: Array, head_dim: int, model_dtype: Any) -> tuple[Array, Array]:
        angles = positions[:, None].astype(dtype) * theta(np.arange(head_dim // 2), head_dim).astype(dtype)
        return np.cos(angles).astype(model_dtype), np.sin(angles).astype(model_dtype)

    return Fault({"rotary_table": table})


@fault
def base_9999() -> Fault:
    """The rotary base is 9999."""
    return _tables(lambda pair, dim: 9999.0 ** (-2.0 * pair / dim))


@fault
def exponent_halved() -> Fault:
    """The exponent is −i/d in place of −2i/d."""
    return _tables(lambda pair, dim: 10000.0 ** (-1.0 * pair / dim))


@fault
def float32_angles() -> Fault:
    """Frequencies and angles are computed in float32."""
    return _tables(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float32)


@fault
def half_precision_angles() -> Fault:
    """Frequencies and angles are computed in float16."""
    return _tables(lambda pair, dim: 10000.0 ** (-2.0 * pair / dim), np.float16)


@fault
def half_split_rotary() -> Fault:
    """Feature i is paired with feature i + d/2, the layout of LLaMA."""

    def rotate(x: Array, cos: Array, sin: Array) -> Array:
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    return Fault({"rotate": rotate})


@fault
def sine_sign_turned() -> Fault:
    """The sign of the sine is turned around in query, key and value."""
    return Fault({"rotate": lambda x, cos, sin: rotary.rotate(x, cos, -sin)})


@fault
def never_rotated() -> Fault:
    """Nothing is rotated."""
    return Fault({"rotate": lambda x, cos, sin: x})


@fault
def position_from_one() -> Fault:
    """Positions are counted from 1."""
    return Fault({"rotary_table": lambda positions, dim, dtype: rotary.rotary_table(positions + 1, dim, dtype)})


def _self_attention(change: Callable[[dict[str, Array], Any, Any], None]) -> Fault:
    """A self-attention that does `change` to its parts; a copy of the right one, opened up."""

    def wrong(x: Array, weights: Any, number: int, past: Any, forward: Any) -> Any:
        dim, rotate = forward.config.head_dim, forward.components.rotate
        parts = {
            name: encoder.split_heads(forward.dense(x, getattr(weights, name)), dim)
            for name in ("query", "key", "value")
        }
        turned = [name for name in parts if name != "value" or forward.config.rotary_value]
        parts |= {"x": x} | {f"plain_{name}": part for name, part in parts.items()}
        parts |= {name: rotate(parts[name], *forward.rotation) for name in turned}
        change(parts, forward, weights)
        key, value = parts["key"], parts["value"]
        if past:
            key, value = np.concatenate([past[0], key], axis=2), np.concatenate([past[1], value], axis=2)
        probs = encoder._probs(parts["query"], key, forward.inputs.attention_mask, forward.causal, forward)
        probs = encoder._mask_heads(probs, number, forward)
        cached = parts.get("cached_key", key)
        return encoder._finish(probs, value, x, weights, forward), probs, (cached, value)

    return Fault(patches={"encoder._self_attention": wrong})


@fault
def only_the_query_turns() -> Fault:
    """The key is not rotated."""
    return _self_attention(lambda parts, forward, weights: parts.update(key=parts["plain_key"]))


@fault
def bias_after_rotation() -> Fault:
    """The query's bias is added after its rotation."""

    def change(parts: dict[str, Array], forward: Any, weights: Any) -> None:
        bias = weights.query.bias.reshape(1, -1, 1, forward.config.head_dim)
        parts["query"] = forward.components.rotate(parts["plain_query"] - bias, *forward.rotation) + bias

    return _self_attention(change)


@fault
def rotary_value_ignored() -> Fault:
    """The value is never rotated."""
    return _self_attention(lambda parts, forward, weights: parts.update(value=parts["plain_value"]))


@fault
def value_always_turned() -> Fault:
    """The value is rotated whatever rotary_value says."""
    return Fault(config={"rotary_value": True})


@fault
def value_from_the_key() -> Fault:
    """The value is projected with the key's weights."""
    return _self_attention(lambda parts, forward, weights: parts.update(value=parts["plain_key"]))


@fault
def cached_keys_unturned() -> Fault:
    """The cache keeps keys from before their rotation."""
    return _self_attention(lambda parts, forward, weights: parts.update(cached_key=parts["plain_key"]))


def _bias_missing(name: str) -> Fault:
    def change(parts: dict[str, Array], forward: Any, weights: Any) -> None:
        plain = encoder.split_heads(parts["x"] @ getattr(weights, name).kernel, forward.config.head_dim)
        turns = name != "value" or forward.config.rotary_value
        parts[name] = forward.components.rotate(plain, *forward.rotation) if turns else plain

    return _self_attention(change)


@fault
def key_bias_missing() -> Fault:
    """The key has no bias, which would be harmless without rotation."""
    return _bias_missing("key")


@fault
def value_bias_missing() -> Fault:
    """The value has no bias."""
    return _bias_missing("value")


def _positions(positions_of: Callable[[Array], Array]) -> Fault:
    """Positions that depend on the mask; the last of them stand for the new tokens."""

    def prepare(inputs: Any, weights: Any, config: Any, components: Any, causal: bool) -> Any:
        forward = encoder_prepare(inputs, weights, config, components, causal)
        places = positions_of(inputs.attention_mask.astype(np.int64))[:, inputs.past_length :]
        tables = [components.rotary_table(row, config.head_dim, weights.embeddings.word.dtype) for row in places]
        rotation = tuple(np.stack(part)[:, None] for part in zip(*tables, strict=True))
        return dataclasses.replace(forward, rotation=rotation)

    return Fault(patches={"encoder._prepare": prepare})


@fault
def position_counts_tokens() -> Fault:
    """A position is the number of unmasked tokens before it."""
    return _positions(lambda mask: np.maximum(mask.cumsum(axis=1) - 1, 0))


@fault
def position_from_the_first_token() -> Fault:
    """Positions are counted from the first unmasked token."""
    return _positions(lambda mask: np.maximum(np.arange(mask.shape[1]) - mask.argmax(axis=1)[:, None], 0))


@fault
def cache_without_offset() -> Fault:
    """Every call starts at position 0, whatever is cached."""

    def prepare(inputs: Any, weights: Any, config: Any, components: Any, causal: bool) -> Any:
        forward = encoder_prepare(inputs, weights, config, components, causal)
        places = np.arange(inputs.token_type_ids.shape[1])
        rotation = components.rotary_table(places, config.head_dim, weights.embeddings.word.dtype)
        return dataclasses.replace(forward, rotation=rotation)

    return Fault(patches={"encoder._prepare": prepare})


# ── attention and masks ──────────────────────────────────────────────────────────────────────────────────────────────


def _probs(wrong: Callable[..., Array]) -> Fault:
    return Fault({"attention_probs": wrong})


def _additive(size: float) -> Fault:
    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        queries, keys = scores.shape[-2:]
        allowed = np.tri(queries, keys, keys - queries, dtype=bool) if causal else np.ones((queries, keys), bool)
        return _softmax(scores + np.where(key_mask[:, None, None, :] & allowed, 0.0, size).astype(scores.dtype))

    return _probs(probs)


def _softmax(scores: Array, axis: int = -1) -> Array:
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@fault
def minus_ten_thousand() -> Fault:
    """Masks add −10000 to the scores, which scores of that size overcome."""
    return _additive(NEGATIVE)


@fault
def minus_infinity() -> Fault:
    """Masks add −∞, and a row without a visible key is NaN."""
    return _additive(-np.inf)


@fault
def blind_sees_the_future() -> Fault:
    """A row without a visible key is uniform over all keys, in a decoder over later ones too."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        queries, keys = scores.shape[-2:]
        allowed = np.tri(queries, keys, keys - queries, dtype=bool) if causal else np.ones((queries, keys), bool)
        blind = ~(key_mask[:, None, None, :] & allowed).any(axis=-1, keepdims=True)
        return np.where(blind, 1.0 / keys, right).astype(scores.dtype)

    return _probs(probs)


@fault
def mask_ignored() -> Fault:
    """attention_mask is accepted and not used."""
    return _probs(lambda scores, mask, causal: attention.attention_probs(scores, np.ones_like(mask), causal))


@fault
def mask_of_the_first_row() -> Fault:
    """One row's mask is broadcast to the whole batch."""
    return _probs(lambda s, mask, causal: attention.attention_probs(s, np.broadcast_to(mask[:1], mask.shape), causal))


@fault
def mask_gives_up_for_the_batch() -> Fault:
    """One wholly masked row switches masking off for every row."""
    return _probs(lambda s, mask, causal: attention.attention_probs(s, mask | ~mask.any(-1).all(), causal))


@fault
def mask_on_queries() -> Fault:
    """The mask hides queries in place of keys."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, np.ones_like(key_mask), causal)
        queries = key_mask[:, -scores.shape[2] :]
        return (right * queries[:, None, :, None]).astype(scores.dtype)

    return _probs(probs)


@fault
def masked_queries_emptied() -> Fault:
    """Masked positions attend to nothing: queries are masked beside the keys."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        return (right * key_mask[:, None, -scores.shape[2] :, None]).astype(scores.dtype)

    return _probs(probs)


@fault
def given_mask_inverted() -> Fault:
    """1 means masked, as in frameworks whose masks say what to hide."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        if "attention_mask" in inputs:
            inputs["attention_mask"] = 1 - inputs["attention_mask"]
        return right(inputs, options)

    return Fault(calls=call)


@fault
def one_in_the_denominator() -> Fault:
    """The softmax has a 1 more in its denominator."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        visible = attention.attention_probs(scores, key_mask, causal)
        total = np.where(visible > 0, np.exp(scores), 0.0).sum(-1, keepdims=True)
        return (visible * (total / (1.0 + total))).astype(scores.dtype)

    return _probs(probs)


@fault
def softmax_over_heads() -> Fault:
    """The softmax runs over the heads."""
    return _probs(lambda scores, mask, causal: _softmax(scores, axis=1))


@fault
def scores_capped() -> Fault:
    """Scores pass a soft cap before the softmax, as in other models."""
    return Fault({"attention_scores": lambda q, k: 2.0 * np.tanh(attention.attention_scores(q, k) / 2.0)})


@fault
def scale_missing() -> Fault:
    """Scores are not divided by √d."""
    return Fault({"attention_scores": lambda query, key: query @ key.swapaxes(-1, -2)})


@fault
def scale_by_length() -> Fault:
    """Scores are scaled with the logarithm of the number of keys."""

    def scores(query: Array, key: Array) -> Array:
        return attention.attention_scores(query, key) * np.asarray(math.log(1 + key.shape[2]), query.dtype)

    return Fault({"attention_scores": scores})


@fault
def heads_strided() -> Fault:
    """Head h owns the features h, h + N, h + 2N, … in split and merge."""

    def split(x: Array, head_dim: int) -> Array:
        return x.reshape(*x.shape[:2], head_dim, x.shape[2] // head_dim).transpose(0, 3, 1, 2)

    def merge(x: Array) -> Array:
        batch, heads, seq_len, head_dim = x.shape
        return x.transpose(0, 2, 3, 1).reshape(batch, seq_len, heads * head_dim)

    return Fault(patches={"encoder.split_heads": split, "encoder.merge_heads": merge})


@fault
def attention_residual_missing() -> Fault:
    """The input is not added to the attention's output."""
    return Fault(patches={"encoder._finish": lambda probs, value, x, *rest: encoder_finish(probs, value, 0 * x, *rest)})


@fault
def always_causal() -> Fault:
    """Every model is causal."""
    return Fault(patches={"models.is_causal": lambda config, head: True})


@fault
def causal_only_as_decoder() -> Fault:
    """A causal language model sees the future unless is_decoder is True."""
    return Fault(patches={"models.is_causal": lambda config, head: config.is_decoder})


@fault
def is_decoder_ignored() -> Fault:
    """Only the causal language model is causal."""
    return Fault(patches={"models.is_causal": lambda config, head: head == "causal_lm"})


@fault
def causal_mask_replaces_padding() -> Fault:
    """In a decoder the causal mask takes the place of attention_mask."""
    return _probs(lambda s, mask, causal: attention.attention_probs(s, mask | causal, causal))


@fault
def own_key_hidden() -> Fault:
    """The causal mask hides a query's own key, too."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        queries, keys = scores.shape[-2:]
        if not causal or keys == 1:
            return attention.attention_probs(scores, key_mask, causal)
        allowed = np.tri(queries, keys, keys - queries - 1, dtype=bool)
        hidden = np.where(allowed | (np.arange(keys) == 0), scores, -1e30).astype(scores.dtype)
        return attention.attention_probs(hidden, key_mask, causal)

    return _probs(probs)


# ── head_mask, pruning, resizing ─────────────────────────────────────────────────────────────────────────────────────


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


# ── heads ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _heads(**functions: Callable[..., Any]) -> Fault:
    return Fault(patches={"models.HEAD_FUNCTIONS": {**HEAD_FUNCTIONS, **functions}})


def _language_model(change: Callable[[Any, Any], Any]) -> Fault:
    """Language models whose context `change(context, head)` has made another head or arithmetic for."""

    def wrong(encoded: Any, context: Any) -> Any:
        return HEAD_FUNCTIONS["masked_lm"](encoded, change(context, context.weights.head))

    return _heads(masked_lm=wrong, causal_lm=wrong)


def _with_head(context: Any, **changes: Any) -> Any:
    head = dataclasses.replace(context.weights.head, **changes)
    return dataclasses.replace(context, weights=dataclasses.replace(context.weights, head=head))


@fault
def language_model_without_norm() -> Fault:
    """The language model's head has no LayerNorm."""

    def change(context: Any, head: Any) -> Any:
        plain = dataclasses.replace(context.components, layer_norm=lambda x, gamma, beta, eps: x)
        return dataclasses.replace(context, components=plain)

    return _language_model(change)


@fault
def language_model_bias_missing() -> Fault:
    """The language model's scores have no bias."""
    return _language_model(lambda context, head: _with_head(context, bias=0 * head.bias))


@fault
def tying_ignored() -> Fault:
    """The head scores with the word embeddings although tie_word_embeddings is False."""
    return _language_model(lambda context, head: _with_head(context, decoder=None))


@fault
def tied_to_a_copy() -> Fault:
    """The tied head keeps the matrix that it was initialised with."""

    def change(context: Any, head: Any) -> Any:
        word = context.weights.embeddings.word
        return _with_head(context, decoder=np.random.default_rng(0).standard_normal(word.shape).astype(word.dtype))

    return _language_model(change)


@fault
def pad_token_never_predicted() -> Fault:
    """The pad token's logit is pushed down."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if np.ndim(outputs.get("logits", 0)) == 3:
            outputs["logits"] = np.concatenate([outputs["logits"][..., :1] - 100, outputs["logits"][..., 1:]], axis=-1)
        return outputs

    return Fault(calls=call)


@fault
def sequence_head_with_tanh() -> Fault:
    """The sequence head's activation is tanh, as in BERT."""

    def wrong(encoded: Any, context: Any) -> Any:
        tanh = context.config.replace(hidden_act="tanh")
        return HEAD_FUNCTIONS["sequence_classification"](encoded, dataclasses.replace(context, config=tanh))

    return _heads(sequence_classification=wrong)


@fault
def token_head_with_activation() -> Fault:
    """The token head has an activation that nobody asked for."""

    def wrong(encoded: Any, context: Any) -> Any:
        states = SimpleNamespace(last_hidden_state=np.tanh(encoded.last_hidden_state))
        return HEAD_FUNCTIONS["token_classification"](states, context)

    return _heads(token_classification=wrong)


@fault
def head_without_bias() -> Fault:
    """The last layer of every head but the language models' has no bias."""

    def without(name: str) -> Callable[..., Any]:
        def wrong(encoded: Any, context: Any) -> Any:
            head = context.weights.head
            if name == "sequence_classification":
                silent = {"output": dataclasses.replace(head.output, bias=0 * head.output.bias)}
            else:
                silent = {"bias": 0 * head.bias}
            return HEAD_FUNCTIONS[name](encoded, _with_head(context, **silent))

        return wrong

    names = ("sequence_classification", "token_classification", "multiple_choice", "question_answering")
    return _heads(**{name: without(name) for name in names})


@fault
def labels_reversed() -> Fault:
    """Logits come from the last label to the first."""

    def reversed_logits(name: str) -> Callable[..., Any]:
        return lambda encoded, context: {"logits": HEAD_FUNCTIONS[name](encoded, context)["logits"][..., ::-1]}

    return _heads(**{name: reversed_logits(name) for name in ("sequence_classification", "token_classification")})


@fault
def start_and_end_exchanged() -> Fault:
    """The first output is taken for the end."""

    def wrong(encoded: Any, context: Any) -> Any:
        right = HEAD_FUNCTIONS["question_answering"](encoded, context)
        return {"start_logits": right["end_logits"], "end_logits": right["start_logits"]}

    return _heads(question_answering=wrong)


def _choice_summary(summary: Callable[[Array, Array], Array]) -> Fault:
    def wrong(encoded: Any, context: Any) -> Any:
        states = summary(encoded.last_hidden_state, context.inputs.attention_mask)
        return HEAD_FUNCTIONS["multiple_choice"](SimpleNamespace(last_hidden_state=states[:, None]), context)

    return _heads(multiple_choice=wrong)


@fault
def summary_before_the_last() -> Fault:
    """The summary is the state before the last one, the [SEP] left out."""
    return _choice_summary(lambda states, mask: states[:, -2:][:, 0])


@fault
def summary_type_ignored() -> Fault:
    """The summary is the last state, whatever summary_type says."""
    return _choice_summary(lambda states, mask: states[:, -1])


@fault
def mean_over_unmasked() -> Fault:
    """The summary is the mean over the unmasked positions."""

    def mean(states: Array, mask: Array) -> Array:
        return (states * mask[..., None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None]

    return _choice_summary(mean)


@fault
def choices_mixed() -> Fault:
    """Rows are regrouped as (choices, batch)."""

    def wrong(encoded: Any, context: Any) -> Any:
        logits = HEAD_FUNCTIONS["multiple_choice"](encoded, context)["logits"]
        return {"logits": logits.reshape(logits.shape[::-1]).T}

    return _heads(multiple_choice=wrong)


# ── decoder ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cross(rotated: tuple[bool, bool], use_states: bool = True) -> Fault:
    def wrong(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        states = forward.inputs.encoder_hidden_states
        dim = forward.config.head_dim

        def turned(part: Array, turn: bool) -> Array:
            places = np.arange(part.shape[2])
            return rotary.rotate(part, *rotary.rotary_table(places, dim, part.dtype)) if turn else part

        states = states if use_states else x
        query = turned(encoder.split_heads(forward.dense(x, weights.query), dim), rotated[0])
        key = turned(encoder.split_heads(forward.dense(states, weights.key), dim), rotated[1])
        value = encoder.split_heads(forward.dense(states, weights.value), dim)
        mask = forward.inputs.encoder_attention_mask if use_states else None
        probs = encoder._probs(query, key, np.ones(key.shape[::2], bool) if mask is None else mask, False, forward)
        return encoder._finish(probs, value, x, weights, forward), probs, (key, value)

    return Fault(patches={"encoder._cross_attention": wrong})


@fault
def cross_keys_turned() -> Fault:
    """Keys of cross-attention are rotated by their place in the encoder."""
    return _cross((False, True))


@fault
def cross_queries_turned() -> Fault:
    """Queries of cross-attention are rotated by their place in the decoder."""
    return _cross((True, False))


@fault
def cross_looks_at_the_decoder() -> Fault:
    """Key and value of cross-attention are computed from the decoder's own states."""
    return _cross((False, False), use_states=False)


@fault
def cross_after_feed_forward() -> Fault:
    """Cross-attention runs after the feed-forward."""

    def run(hidden: Array, layer: Any, number: int, forward: Any) -> Any:
        if not layer.cross_attention:
            return encoder_run_layer(hidden, layer, number, forward)
        result = encoder_run_layer(hidden, dataclasses.replace(layer, cross_attention=None), number, forward)
        past = forward.inputs.past_key_values[number][2:] if forward.inputs.past_key_values else ()
        hidden, probs, cross = encoder._cross_attention(result.hidden, layer.cross_attention, past, forward)
        return dataclasses.replace(result, hidden=hidden, cross_probs=probs, cache=(*result.cache, *cross))

    return Fault(patches={"encoder.run_layer": run})


def _encoder_mask(mask_of: Callable[[Any, tuple[int, int]], Array]) -> Fault:
    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        shape = (past[0] if past else forward.inputs.encoder_hidden_states).shape
        length = shape[2] if past else shape[1]
        inputs = dataclasses.replace(forward.inputs, encoder_attention_mask=mask_of(forward.inputs, (len(x), length)))
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, inputs=inputs))

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def encoder_mask_ignored() -> Fault:
    """encoder_attention_mask is accepted and not used."""
    return _encoder_mask(lambda inputs, shape: np.ones(shape, bool))


@fault
def decoder_mask_on_the_encoder() -> Fault:
    """The decoder's own mask is laid over the encoder's positions."""

    def mask(inputs: Any, shape: tuple[int, int]) -> Array:
        laid = np.ones(shape, bool)
        laid[:, : inputs.attention_mask.shape[1]] = inputs.attention_mask[:, : shape[1]]
        return laid

    return _encoder_mask(mask)


@fault
def cross_cache_left_out() -> Fault:
    """The cache holds no keys and values of cross-attention."""
    return _entries(lambda layer: layer[:2])


@fault
def cache_transposed() -> Fault:
    """The cache has the positions before the heads."""
    return _entries(lambda layer: tuple(part.transpose(0, 2, 1, 3) for part in layer))


def _entries(change: Callable[[Any], Any]) -> Fault:
    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if outputs.get("past_key_values"):
            outputs["past_key_values"] = tuple(change(layer) for layer in outputs["past_key_values"])
        return outputs

    return Fault(calls=call)


def _generation(**changes: Any) -> Fault:
    return Fault(patches={f"generation.{name}": value for name, value in changes.items()})


@fault
def least_likely_token() -> Fault:
    """Greedy generation takes the second most likely token."""
    return _generation(_greedy=lambda logits: np.argsort(-logits, axis=-1)[:, 1])


@fault
def unseeded_sampling() -> Fault:
    """Sampling draws from global randomness."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        return NumpyModel.generate(model, inputs, {**options, "seed": int(np.random.default_rng().integers(2**31))})

    return Fault(methods={"generate": generate})


@fault
def seed_ignored() -> Fault:
    """Sampling uses one seed of its own."""
    return Fault(
        methods={"generate": lambda m, inputs, options: NumpyModel.generate(m, inputs, {**options, "seed": 0})}
    )


@fault
def sampling_too_warm() -> Fault:
    """Sampling divides the logits by 2."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        warm = {"temperature": 2.0} if options.get("do_sample") else {}
        return NumpyModel.generate(model, inputs, {**options, **warm})

    return Fault(methods={"generate": generate})


@fault
def eos_ends_nothing() -> Fault:
    """A row goes on after its eos token."""
    return _generation(_end_ids=lambda eos, config: [])


@fault
def one_eos_ends_all() -> Fault:
    """The whole batch ends with the first row that does."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        ids = NumpyModel.generate(model, inputs, options)
        start, eos = np.shape(inputs["input_ids"])[1], options.get("eos_token_id")
        ends = np.flatnonzero((ids[:, start:] == eos).any(axis=0)) if eos is not None else []
        return ids[:, : start + int(ends[0]) + 1] if len(ends) else ids

    return Fault(methods={"generate": generate})


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _active(wrong: Callable[[Array, Array], Array]) -> Fault:
    return Fault({"active_cross_entropy": wrong})


@fault
def losses_in_column_order() -> Fault:
    """The losses come column by column."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits.swapaxes(0, 1), labels.T))


@fault
def losses_averaged() -> Fault:
    """One mean is returned where n values are promised."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, labels).mean(keepdims=True))


@fault
def zeros_kept_at_ignored() -> Fault:
    """Ignored positions are kept as losses of 0."""

    def wrong(logits: Array, labels: Array) -> Array:
        each = losses.cross_entropy(logits.reshape(-1, logits.shape[-1]), np.maximum(labels, 0).ravel())
        return each * (labels.ravel() != losses.IGNORED)

    return _active(wrong)


@fault
def ignored_taken_for_zero() -> Fault:
    """The label −100 is clamped to class 0 and trained."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.maximum(labels, 0)))


@fault
def label_zero_ignored() -> Fault:
    """Labels count when they are above 0."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.where(labels > 0, labels, -100)))


@fault
def pad_label_ignored() -> Fault:
    """A label equal to pad_token_id is taken for ignored; here the pad token is 1."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.where(labels == 1, -100, labels)))


@fault
def mask_selects_labels() -> Fault:
    """attention_mask decides which labels count."""

    def masked(name: str) -> Callable[..., Any]:
        def wrong(fields: Any, context: Any) -> Any:
            labels = np.where(context.inputs.attention_mask, context.inputs.labels, losses.IGNORED)
            inputs = dataclasses.replace(context.inputs, labels=labels)
            return LOSS_FUNCTIONS[name](fields, dataclasses.replace(context, inputs=inputs))

        return wrong

    return _losses(**{name: masked(name) for name in ("masked_lm", "causal_lm", "token_classification")})


def _losses(**functions: Callable[..., Any]) -> Fault:
    return Fault(patches={"models.LOSS_FUNCTIONS": {**LOSS_FUNCTIONS, **functions}})


@fault
def labels_not_shifted() -> Fault:
    """A causal language model's logits meet the label of their own position."""
    return _losses(causal_lm=LOSS_FUNCTIONS["masked_lm"])


@fault
def labels_shifted_twice() -> Fault:
    """A causal language model's logits meet the label after the next."""

    def wrong(fields: Any, context: Any) -> Any:
        shifted = {**fields, "logits": fields["logits"][:, :-1]}
        inputs = dataclasses.replace(context.inputs, labels=context.inputs.labels[:, 1:])
        return LOSS_FUNCTIONS["causal_lm"](shifted, dataclasses.replace(context, inputs=inputs))

    return _losses(causal_lm=wrong)


@fault
def loss_in_bits() -> Fault:
    """Losses are measured with the logarithm to base 2."""

    def bits(function: Callable[..., Array]) -> Callable[..., Array]:
        return lambda *given: (function(*given) / math.log(2.0)).astype(given[0].dtype)

    names = ("cross_entropy", "active_cross_entropy", "span_cross_entropy")
    return Fault({name: bits(getattr(losses, name)) for name in names})


@fault
def softmax_overflows() -> Fault:
    """The loss takes exponentials of the logits as they are."""

    def log_softmax(logits: Array) -> Array:
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    return Fault(patches={"equations.losses.log_softmax": log_softmax})


@fault
def mean_over_all_positions() -> Fault:
    """The mean divides by all positions, ignored ones too."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        labels = inputs.get("labels", inputs.get("start_positions"))
        if "loss" in outputs and np.ndim(outputs["loss"]) == 0 and labels is not None:
            counted = np.count_nonzero(np.asarray(labels) != losses.IGNORED)
            outputs["loss"] = (outputs["loss"] * counted / np.size(labels)).astype(outputs["loss"].dtype)
        return outputs

    return Fault(calls=call)


@fault
def mean_is_a_sum() -> Fault:
    """loss_reduction "mean" sums."""
    return Fault({"reduce_loss": lambda loss, reduction: loss if reduction == "none" else np.asarray(loss.sum())})


@fault
def mean_of_nothing_is_nan() -> Fault:
    """The mean of no losses is 0/0."""

    def reduce(loss: Array, reduction: str) -> Array:
        return loss if reduction == "none" else np.asarray(loss.sum() / np.asarray(loss.size, loss.dtype))

    return Fault({"reduce_loss": reduce})


def _sequence_loss(change: Callable[[Any, Array], Array]) -> Fault:
    def wrong(fields: Any, context: Any) -> Any:
        return change(context, LOSS_FUNCTIONS["sequence_classification"](fields, context))

    return _losses(sequence_classification=wrong)


@fault
def batch_loss_averaged() -> Fault:
    """One mean over the batch is returned where (B,) is promised."""
    return _sequence_loss(lambda context, loss: loss.mean(keepdims=True))


@fault
def problem_type_ignored() -> Fault:
    """One label means regression, several mean one of them, whatever problem_type says."""

    def wrong(fields: Any, context: Any) -> Any:
        logits, labels = fields["logits"], context.inputs.labels
        if context.config.num_labels == 1:
            return losses.squared_error(logits, np.reshape(labels, (-1, 1)))
        return losses.cross_entropy(logits, labels if labels.ndim == 1 else labels.argmax(axis=1))

    return _losses(sequence_classification=wrong)


@fault
def regression_truncates() -> Fault:
    """The labels of a regression are read as integers."""
    return Fault({"squared_error": lambda logits, labels: losses.squared_error(logits, np.trunc(labels))})


@fault
def column_labels_broadcast() -> Fault:
    """Labels (B, 1) minus logits (B,) are broadcast to (B, B)."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if "loss" in outputs and np.shape(inputs.get("labels", 0))[1:] == (1,):
            logits = outputs["logits"]
            outputs["loss"] = ((logits[:, 0] - inputs["labels"].astype(logits.dtype)) ** 2).mean(axis=1)
        return outputs

    return Fault(calls=call)


@fault
def regression_sums() -> Fault:
    """The squared errors of several labels are summed."""
    return Fault({"squared_error": lambda logits, labels: ((logits - labels) ** 2).sum(axis=-1)})


@fault
def several_labels_compete() -> Fault:
    """Independent labels go through one softmax."""
    return Fault({"binary_cross_entropy": lambda x, labels: -(losses.log_softmax(x) * labels).sum(axis=-1)})


@fault
def binary_loss_overflows() -> Fault:
    """ln(1 + eˣ) is computed as written."""
    return Fault({"binary_cross_entropy": lambda x, y: (np.log(1 + np.exp(x)) - x * y).mean(axis=-1)})


@fault
def choices_of_all_examples_compete() -> Fault:
    """The softmax of the choices runs over the whole batch."""

    def wrong(fields: Any, context: Any) -> Any:
        logits = fields["logits"]
        return -np.take_along_axis(
            losses.log_softmax(logits.reshape(1, -1)).reshape(logits.shape), context.inputs.labels[:, None], axis=1
        )[:, 0]

    return _losses(multiple_choice=wrong)


@fault
def lists_lose_their_end() -> Fault:
    """Labels in a Python list are taken row by row for several tensors, and the last value is lost."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        for name, value in inputs.items():
            if isinstance(value, list):
                inputs[name] = np.where(np.arange(np.size(value)) < np.size(value) - 1, np.ravel(value), 0)
                inputs[name] = inputs[name].reshape(np.shape(value))
        return right(inputs, options)

    return Fault(calls=call)


@fault
def spans_not_halved() -> Fault:
    """The losses of start and end are summed without the half."""
    return Fault({"span_cross_entropy": lambda *given: 2 * losses.span_cross_entropy(*given)})


@fault
def positions_clamped() -> Fault:
    """A position beyond the sequence is clamped to the last one and trained."""

    def wrong(starts: Array, ends: Array, start: Array, end: Array) -> Array:
        last = starts.shape[1] - 1
        return losses.span_cross_entropy(starts, ends, np.minimum(start, last), np.minimum(end, last))

    return Fault({"span_cross_entropy": wrong})


# The right functions, for faults that run them on something wrong.
encoder_embed, encoder_prepare, encoder_finish = encoder.embed, encoder._prepare, encoder._finish
encoder_run_layer, encoder_run_layers = encoder.run_layer, encoder._run_layers
encoder_cross_attention, models_validate = encoder._cross_attention, models.validate
