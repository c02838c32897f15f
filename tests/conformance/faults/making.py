"""How a fault is made: our own model by the equations, with one thing exchanged; and the list of all faults.

A function under `@fault` returns what goes wrong as a `Fault(…)`: entries of the component table, functions of the
package that are exchanged while a model runs, fields of the configuration. A class under `@fault` overrides the places
where a `Fault` can change what goes in and what comes out. Either way the docstring names the mistake, and calling it
gives an adapter. The oracle never runs inside a fault.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

import numpy as np

from roformer_numpy import encoder, models
from roformer_numpy.adapter import NumpyAdapter, NumpyModel
from roformer_numpy.components import EQUATIONS

Array = Any
Call = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Fault(NumpyAdapter):
    """The reference by the equations, with places to go wrong."""

    exchanged: ClassVar[Mapping[str, Any]] = NOTHING

    def __init__(
        self,
        components: Mapping[str, Any] = NOTHING,
        *,
        patches: Mapping[str, Any] = NOTHING,
        config: Mapping[str, Any] = NOTHING,
        calls: Callable[[Any, Call, Call], Any] | None = None,
        methods: Mapping[str, Callable[..., Any]] = NOTHING,
    ) -> None:
        """A wrong implementation.

        Args:
            components: entries of the component table, in place of the equations'.
            patches: what `roformer_numpy` has under a name such as "encoder.split_heads", while a model runs.
            config: fields of the configuration that override the given ones.
            calls: call(right, inputs, options) in place of right(inputs, options).
            methods: in place of a model's `save`, `prune_heads`, `resize_token_embeddings`, `gradients` and
                `generate`.
        """
        super().__init__(dataclasses.replace(EQUATIONS, name="faulty", **self.exchanged, **components))
        self.patches, self.config, self.calls, self.methods = patches, config, calls, methods

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        """The configuration and weights that are loaded in place of the given ones."""
        return config, weights

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        """The call that is made in place of the given one."""
        return inputs, style, options

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        """The outputs that are returned in place of the true ones."""
        return outputs

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        """The model called `head`, mistaken."""
        changed, given = self.loads(head, {**config, **self.config}, dict(weights))
        with self.mistaken():
            return FaultyModel(self, super().load(head, changed, given, dtype).model, changed)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        """The saved model, mistaken."""
        with self.mistaken():
            model = super().load_saved(head, path, dtype, **overrides).model
        return FaultyModel(self, model, model.config.to_dict())

    @contextmanager
    def mistaken(self) -> Iterator[None]:
        """The time in which the patches are in place."""
        with ExitStack() as stack:
            for name, replacement in self.patches.items():
                stack.enter_context(patch(f"roformer_numpy.{name}", replacement))
            yield


class FaultyModel(NumpyModel):
    """A model of a faulty adapter; `memory` outlives its calls, for faults that need it."""

    def __init__(self, fault: Fault, model: Any, config: Call) -> None:
        super().__init__(model)
        self.fault, self.config, self.head = fault, config, model.head
        self.memory: dict[str, Any] = {}

    def __call__(self, inputs: Any, *, style: str = "keywords", options: Any = None) -> Any:
        """Call the true model with what the fault makes of the call; return what it makes of the outputs."""
        if self.fault.calls is not None:
            return self.fault.calls(lambda *call: self.plain(call[0], style, call[1]), dict(inputs), dict(options))
        inputs, style, options = self.fault.before(self, inputs, style, dict(options))
        return self.fault.after(self, self.plain(inputs, style, options), inputs, options)

    def plain(self, inputs: Any, style: str, options: Call) -> Any:
        """The model's outputs, its components and patches in place."""
        with self.fault.mistaken(), np.errstate(all="ignore"):
            return super().__call__(inputs, style=style, options=options)

    def _method(self, name: str, *arguments: Any) -> Any:
        with self.fault.mistaken():
            wrong = self.fault.methods.get(name)
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

    def gradients(self, inputs: Any, options: Any) -> Any:
        """Differentiated, mistaken."""
        return self._method("gradients", inputs, options)

    def generate(self, inputs: Any, options: Any) -> Any:
        """Continued, mistaken."""
        return self._method("generate", inputs, options)


FAULTS: dict[str, Callable[[], Fault]] = {}
Factory = TypeVar("Factory", bound=Callable[[], Fault])


def fault(factory: Factory) -> Factory:
    """Enter a fault into the list, under its name in small letters; its docstring names the mistake."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", factory.__name__).lower()
    if name in FAULTS:
        raise ValueError(f"two faults are called {name}")
    FAULTS[name] = factory
    return factory


# ── what faults of several families go through ───────────────────────────────────────────────────────────────────────


def wrong_probs(wrong: Callable[..., Array]) -> Fault:
    """`wrong(scores, key_mask, causal)` in place of the masked softmax."""
    return Fault({"attention_probs": wrong})


def softmax(scores: Array, axis: int = -1) -> Array:
    """Exponentials over their sum."""
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def self_attention(change: Callable[[dict[str, Array], Any, Any], None]) -> Fault:
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


# The right functions, for faults that run them on something wrong.
encoder_embed, encoder_prepare, encoder_finish = encoder.embed, encoder._prepare, encoder._finish
encoder_run_layer, encoder_run_layers = encoder.run_layer, encoder._run_layers
encoder_cross_attention, models_validate = encoder._cross_attention, models.validate
