"""The engine's place in the forward pass: which calls it serves, and how their arguments reach it.

What it does not serve, the components compute: float64, dropout, returned attentions, head_mask, a cache,
cross-attention, a causal mask that hides the first tokens, a batch of no rows, and all of it on processors that the
engine was not written for.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .components import Components
from .config import RoFormerConfig
from .encoder import Encoded, Forward, embed
from .errors import InputError
from .inputs import Inputs
from .weights import Array, Weights, map_leaves

THREADS_VARIABLE = "ROFORMER_NUM_THREADS"

# Multiplications below which a second thread costs more than it brings: waking it takes some ten microseconds.
SERIAL_WORK = 4_000_000


class Engine:
    """Packed weights of one model, made when they are first needed; its arrays cannot be written to from then on."""

    def __init__(self, weights: Weights[Array], config: RoFormerConfig, components: Components, causal: bool) -> None:
        self.weights, self.config, self.components, self.causal = weights, config, components, causal
        self._packed: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, pickled or deep, packs its own weights: addresses mean nothing elsewhere."""
        return Engine, (self.weights, self.config, self.components, self.causal)

    def serves(self, inputs: Inputs) -> bool:
        """Whether a call can be computed here."""
        plain = not (inputs.output_attentions or inputs.use_cache) and all(
            part is None
            for part in (inputs.generator, inputs.head_mask, inputs.past_key_values, inputs.encoder_hidden_states)
        )
        some = len(inputs.attention_mask) > 0
        return plain and some and not (self.causal and _blind_beginnings(inputs.attention_mask))

    def encode(self, inputs: Inputs) -> Encoded:
        """What encoder.encode returns for the same arguments."""
        from .kernels.engine.model import Tokens

        batch, seq_len = inputs.token_type_ids.shape
        tokens = Tokens.of(inputs.attention_mask, self.causal)
        states = self._run(inputs, tokens, keep=inputs.output_hidden_states)
        shaped = states.reshape(-1, batch, seq_len, self.config.hidden_size)
        hidden_states = tuple(shaped) if inputs.output_hidden_states else None
        return Encoded(shaped[-1], hidden_states, None, None, None)

    def _run(self, inputs: Inputs, tokens: Any, keep: bool) -> Array:
        """The states of all tokens: of every layer (layers + 1, tokens, H), or of the last one (1, tokens, H)."""
        from .kernels.engine.model import run_layers

        config, layers = self.config, self._layers
        states = np.empty((config.num_hidden_layers + 1 if keep else 1, tokens.count, config.hidden_size), np.float32)
        states[0] = self._embedded(inputs).reshape(tokens.count, -1)
        seq_len = inputs.token_type_ids.shape[1]
        work = tokens.count * layers.hidden * (4 * layers.hidden + 2 * layers.inner) * config.num_hidden_layers
        threads = 1 if work < SERIAL_WORK else thread_count()
        run_layers(
            layers, states, tokens, self._rotation(seq_len), config.layer_norm_eps, config.rotary_value,
            config.hidden_act, threads,
        )  # fmt: skip
        return states

    def _embedded(self, inputs: Inputs) -> Array:
        forward = Forward(inputs, self.config, self.components, self.causal, (np.empty(0), np.empty(0)))
        return embed(forward, self.weights.embeddings)

    def _rotation(self, seq_len: int) -> tuple[Array, Array]:
        cos, sin = self.components.rotary_table(np.arange(seq_len), self.config.head_dim, np.float32)
        return np.ascontiguousarray(cos), np.ascontiguousarray(sin)

    @property
    def _layers(self) -> Any:
        with _packing[0]:
            self._packed = self._packed or self._pack()
            return self._packed

    def _pack(self) -> Any:
        from .kernels.engine.model import pack_layers

        for layer in self.weights.encoder:  # changed in place, they would no longer be what was packed
            map_leaves(lambda _name, array: array.setflags(write=False), layer)
        return pack_layers(self.weights.encoder, self.config.head_dim, self.config.rotary_value)


# One model at a time is packed. A child forked meanwhile has no thread that would let go of the lock, so it gets a new.
_packing = [threading.Lock()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _packing.__setitem__(0, threading.Lock()))


def engine_for(weights: Weights[Array], config: RoFormerConfig, components: Components, causal: bool) -> Engine | None:
    """The engine of a model, or None where the components compute everything."""
    if components.name != "kernels" or weights.embeddings.word.dtype != np.float32:
        return None
    from .kernels.engine.machine import INSTRUCTION_SET

    return Engine(weights, config, components, causal) if INSTRUCTION_SET else None


def thread_count() -> int:
    """ROFORMER_NUM_THREADS, or as many cores as this process may run on.

    Raises:
        InputError: the variable is no positive integer.
    """
    wish = os.environ.get(THREADS_VARIABLE)
    if not wish:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wish.isdecimal() or not 1 <= int(wish) <= 1024:
        raise InputError(f"{THREADS_VARIABLE}={wish!r} is no number of threads from 1 to 1024")
    return int(wish)


def _blind_beginnings(mask: Array) -> bool:
    """Whether a sequence that shows some tokens hides its first: causality then leaves its first queries no key."""
    return bool((mask.any(axis=1) & ~mask[:, 0]).any())
