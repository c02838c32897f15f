"""The engine's place in the forward pass: which calls it serves, and how their arguments reach it.

What it does not serve, the components compute: float64, dropout, returned attentions, head_mask, cross-attention, a
batch of no rows, and all of it on processors that the engine was not written for.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .arithmetic import FULL, checked_compute
from .components import WITH_ENGINE, Components
from .config import RoFormerConfig
from .encoder import Encoded
from .inputs import Cache, Inputs
from .packing import PackedWeights, compiled
from .threads import thread_count
from .weights import Array, Dense, Embeddings, LayerNorm, Weights, map_leaves

# Multiplications below which a second thread costs more than it brings: waking it takes some ten microseconds.
SERIAL_WORK = 4_000_000

# Rotary tables grow in steps of so many positions.
TABLE_STEP = 64


class Engine:
    """The forward pass of one model, over weights that are packed when they are first needed."""

    def __init__(
        self, weights: Weights[Array], config: RoFormerConfig, components: Components, causal: bool,
        compute: str = FULL,
    ) -> None:  # fmt: skip
        self.weights, self.config, self.components, self.causal = weights, config, components, causal
        self.compute = checked_compute(compute, weights.embeddings.word.dtype, components)  # a copy may be elsewhere
        self._packed = PackedWeights(weights, config, self.compute)
        self._turns: tuple[Array, Array] | None = None
        # views, in which a change of the embeddings in place is seen
        self._embeddings: Embeddings[Array] = map_leaves(lambda _name, array: _unwritable(array), weights.embeddings)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, pickled or deep, packs its own weights: addresses mean nothing elsewhere."""
        return Engine, (self.weights, self.config, self.components, self.causal, self.compute)

    def serves(self, inputs: Inputs) -> bool:
        """Whether a call can be computed here."""
        plain = inputs.generator is None and inputs.head_mask is None and inputs.encoder_hidden_states is None
        crossed = inputs.past_key_values is not None and len(inputs.past_key_values[0]) > 2
        return plain and not inputs.output_attentions and not crossed and len(inputs.attention_mask) > 0

    def encode(self, inputs: Inputs) -> Encoded:
        """What encoder.encode returns for the same arguments."""
        seq_len = inputs.token_type_ids.shape[1]
        cache = self._new_cache(inputs)
        # a later call may look at what is hidden now, so a cache is complete
        tokens = compiled().model.Tokens.of(
            inputs.attention_mask, self.causal, seq_len, inputs.computed if cache is None else None
        )
        embedded, positions = self._embedded(inputs, tokens.computed), inputs.attention_mask.shape[1]
        states = self._run(embedded, tokens, positions, inputs.output_hidden_states, cache)
        shaped = self._as_batch(states, inputs, tokens.computed)
        hidden_states = tuple(shaped) if inputs.output_hidden_states else None
        kept = self._layers_of(cache) if inputs.use_cache else None
        return Encoded(shaped[-1], hidden_states, None, None, kept)

    def _as_batch(self, states: Array, inputs: Inputs, computed: Array | None) -> Array:
        """States of tokens as (layers, batch, seq_len, H), 0 where nothing is wanted."""
        shape = (len(states), *inputs.token_type_ids.shape, self.config.hidden_size)
        if computed is None:
            shaped = states.reshape(shape)
        else:
            shaped = np.zeros(shape, np.float32)
            shaped[:, computed] = states
        if inputs.computed is not None:
            unasked = ~inputs.computed if computed is None else computed & ~inputs.computed
            if unasked.any():  # mostly none are, and the system gives memory only where something is written
                shaped[:, unasked] = 0.0
        return shaped

    def _new_cache(self, inputs: Inputs) -> Array | None:
        """Keys and values of all positions, (layers, 2, batch, heads, positions, d), those of earlier calls copied."""
        past = inputs.past_key_values
        if past is None and not inputs.use_cache:
            return None
        heads = [layer.attention.query.bias.size // self.config.head_dim for layer in self.weights.encoder]
        batch, positions = inputs.attention_mask.shape
        cache = np.empty((len(heads), 2, batch, max(heads), positions, self.config.head_dim), np.float32)
        for layer, pair in zip(cache, past or (), strict=False):
            for target, given in zip(layer, pair, strict=True):
                target[:, : given.shape[1], : given.shape[2]] = given
        return cache

    def _layers_of(self, cache: Array | None) -> Cache | None:
        """A cache as callers know it; pruned layers have fewer heads than there is room for."""
        if cache is None:
            return None
        heads = [layer.attention.query.bias.size // self.config.head_dim for layer in self.weights.encoder]
        return tuple((pair[0, :, :kept], pair[1, :, :kept]) for pair, kept in zip(cache, heads, strict=True))

    def encode_sequences(self, sequences: list[Array], types: list[Array]) -> list[Array]:
        """The last states of several sequences, (length, H) each, computed together without padding."""
        tokens_of = compiled().model.Tokens.of_lengths
        lengths = np.array([len(ids) for ids in sequences])
        ids, segments = np.concatenate(sequences)[None], np.concatenate(types)[None]
        embedded = self._embedded(Inputs(ids, None, np.ones(ids.shape, bool), segments), None)
        states = self._run(embedded, tokens_of(lengths, self.causal), int(lengths.max()), keep=False)[0]
        ends = np.cumsum(lengths).tolist()
        # copies: somebody who keeps one sequence does not keep them all
        return [states[start:end].copy() for start, end in zip([0, *ends], ends, strict=False)]

    def continuation(self, rows: int, room: int) -> Continuation:
        """What computes rows of up to `room` columns a few columns at a time."""
        return Continuation(self, compiled().model.memory_for(self._packed.layers, rows, room), room)

    def dense(
        self, x: Array, weights: Dense[Array], activation: str = "", norm: LayerNorm[Array] | None = None
    ) -> Array:
        """LayerNorm(activation(x · kernel + bias)), the last two where they are asked for."""
        return self._product(x, weights.kernel, weights.kernel, weights.bias, activation, norm)

    def vocabulary(self, x: Array, decoder: Array, bias: Array) -> Array:
        """x · decoderᵀ + bias."""
        return self._product(x, decoder, decoder.T, bias)

    def _product(
        self, x: Array, stored: Array, kernel: Array, bias: Array, activation: str = "",
        norm: LayerNorm[Array] | None = None,
    ) -> Array:  # fmt: skip
        """`stored` is the array of the weights that `kernel` views."""
        packed = self._packed.product(stored, kernel, bias)
        threads = 1 if x.size * packed.width < SERIAL_WORK else thread_count()
        with_norm = (norm.gamma, norm.beta, self.config.layer_norm_eps) if norm else None
        return compiled().dense.run_dense(x, packed, threads, activation, with_norm)

    def _run(
        self, embedded: Array, tokens: Any, positions: int, keep: bool, cache: Array | None = None,
        memory: Array | None = None,
    ) -> Array:  # fmt: skip
        """The states of all tokens: of every layer (layers + 1, tokens, H), or of the last one (1, tokens, H)."""
        config, layers, states = self.config, self._packed.layers, embedded[None]
        if keep:
            states = np.empty((config.num_hidden_layers + 1, *embedded.shape), np.float32)
            states[0] = embedded
        work = tokens.count * layers.hidden * (4 * layers.hidden + 2 * layers.inner) * config.num_hidden_layers
        threads = 1 if work < SERIAL_WORK else thread_count()
        compiled().model.run_layers(
            layers, states, tokens, self._rotation(positions), config.layer_norm_eps, config.rotary_value,
            config.hidden_act, threads, cache, memory,
        )  # fmt: skip
        return states

    def _embedded(self, inputs: Inputs, computed: Array | None) -> Array:
        """hidden_states[0] of the positions that are computed, (tokens, H); memory of this call alone."""
        weights, given, types = self._embeddings, inputs.inputs_embeds, inputs.token_type_ids
        words, ids = (weights.word, cast(Array, inputs.input_ids)) if given is None else _table_of(given)
        if computed is not None:
            ids, types = ids[computed], types[computed]
        norm = (weights.layer_norm.gamma, weights.layer_norm.beta, self.config.layer_norm_eps)
        x: Array = compiled().embedding.embed(words, ids, weights.token_type, types, norm)
        project = self.weights.embeddings.project
        return x if project is None else self.dense(x, project)

    def _rotation(self, positions: int) -> tuple[Array, Array]:
        """cos and sin of so many positions or of more; the longest table so far is kept."""
        turns = self._turns
        if turns is None or len(turns[0]) < positions:
            room = -(-positions // TABLE_STEP) * TABLE_STEP
            cos, sin = self.components.rotary_table(np.arange(room), self.config.head_dim, np.float32)
            self._turns = turns = np.ascontiguousarray(cos), np.ascontiguousarray(sin)
        return turns


class Continuation:
    """A causal batch computed column after column; keys and values stay where attention reads them."""

    def __init__(self, engine: Engine, memory: Array, room: int) -> None:
        self._engine, self._memory, self._room, self._columns = engine, memory, room, 0

    def last_states(self, ids: Array, mask: Array) -> Array:
        """The last states of the last column, (batch, 1, H).

        Args:
            ids: all columns, (batch, columns); those of earlier calls are not computed again.
            mask: which tokens are visible, bool (batch, columns); all of the last column are.
        """
        first, self._columns = self._columns, ids.shape[1]
        new, visible = ids[:, first:], mask[:, first:]
        tokens = compiled().model.Tokens.following(mask, first, self._room)
        embedded = self._engine._embedded(Inputs(new, None, visible, np.zeros_like(new)), visible)
        states = self._engine._run(embedded, tokens, ids.shape[1], keep=False, memory=self._memory)[0]
        return states[np.cumsum(visible.sum(axis=1)) - 1][:, None]


def _unwritable(array: Array) -> Array:
    """A view that compiled code takes as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


def _table_of(embeds: Array) -> tuple[Array, Array]:
    """Vectors (batch, seq_len, E) as a table (batch · seq_len, E), and the ids (batch, seq_len) that read it."""
    rows = embeds.reshape(-1, embeds.shape[-1])
    return rows, np.arange(len(rows)).reshape(embeds.shape[:-1])


def engine_for(
    weights: Weights[Array], config: RoFormerConfig, components: Components, causal: bool, compute: str = FULL
) -> Engine | None:
    """The engine of a model, or None where the components compute everything.

    Raises:
        InputError: bfloat16 was chosen for other weights, other components or another processor than these.
    """
    checked_compute(compute, weights.embeddings.word.dtype, components)
    if components.name != WITH_ENGINE or weights.embeddings.word.dtype != np.float32:
        return None
    from .kernels.engine.machine import INSTRUCTION_SET

    return Engine(weights, config, components, causal, compute) if INSTRUCTION_SET else None
