"""Correct implementations that round differently: nobody may accuse one of them. By type, then by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np

from roformer_numpy.adapter import CAPABILITIES, NumpyAdapter
from roformer_numpy.backward.table import EQUATIONS as DERIVATIVES
from roformer_numpy.backward.table import Derivatives
from roformer_numpy.components import EQUATIONS, Components
from roformer_numpy.weights import map_leaves

Array = Any
Store = Callable[[Array], Array]

# What rounds its result besides LayerNorm, which rounds what it is given, too: a residual sum has been stored.
ROUNDED = (
    "add_token_types", "dense", "rotate", "attention_scores", "attention_probs", "attend", "activate", "cross_entropy",
    "active_cross_entropy", "span_cross_entropy", "squared_error", "binary_cross_entropy",
)  # fmt: skip


def reordered() -> NumpyAdapter:
    """The definition, its sums over features and keys in another order."""

    def parts(terms: int) -> list[Array]:
        return np.array_split(np.random.default_rng(terms).permutation(terms), 3)

    def dense(x: Array, kernel: Array, bias: Array) -> Array:
        return sum((x[..., part] @ kernel[part] for part in parts(len(kernel))), start=bias)

    def attend(probs: Array, value: Array) -> Array:
        chosen = parts(value.shape[-2])
        return sum((probs[..., part] @ value[..., part, :] for part in chosen[1:]), start=(
            probs[..., chosen[0]] @ value[..., chosen[0], :]))  # fmt: skip

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = EQUATIONS.activate(dense(x, intermediate.kernel, intermediate.bias), hidden_act)
        return dense(inner, output.kernel, output.bias)

    table = replace(EQUATIONS, name="reordered", dense=dense, attend=attend, feed_forward=feed_forward)
    return NumpyAdapter(table)


class HalfAdapter(NumpyAdapter):
    """A table of components over float32, each of which returns what `dtype` holds, as an implementation of that type.

    The type itself is NumPy's or ml_dtypes', not the judge's.
    """

    def __init__(self, name: str, dtype: str, changed: Callable[[Components, Store], Components], right: Any = None):
        self.right = right or NumpyAdapter("equations")
        super().__init__(changed(self.right.components, store_of(dtype)))
        self.name = f"{self.right.name}-{name}-{dtype}"
        self.derivatives = rounding_derivatives(self.components, store_of(dtype))
        # a table of sinusoids that was rounded is not the one that a float32 model expects without a warning
        self.capabilities = {**CAPABILITIES, "dtypes": (dtype,), "warnings": False}

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        """The model in float32, whose components round."""
        self.right.components = self.components
        loaded: Any = self.right.load(head, config, weights, "float32")
        loaded.model.derivatives = self.derivatives
        return loaded

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        """The saved model, which held nothing but values of the type."""
        self.right.components = self.components
        return self.right.load_saved(head, path, "float32", **overrides)


def store_of(dtype: str) -> Store:
    """Rounds float32 arrays to the values of a half-precision type."""
    kind = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[dtype]

    def store(x: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(x, np.float32).astype(kind).astype(np.float32)

    return store


def once(table: Components, store: Store) -> Components:
    """Each component rounds what it returns: a compiler that fuses, or a mixed policy."""

    def stored(function: Callable[..., Array]) -> Callable[..., Array]:
        return lambda *given: store(function(*given))

    def layer_norm(x: Array, *rest: Any) -> Array:
        return store(table.layer_norm(store(x), *rest))

    def rotary_table(*given: Any) -> tuple[Array, Array]:
        cos, sin = table.rotary_table(*given)
        return store(cos), store(sin)

    changed: dict[str, Any] = {name: stored(getattr(table, name)) for name in ROUNDED}
    components = replace(table, **changed, layer_norm=layer_norm, rotary_table=rotary_table)
    return replace(components, name="fused", feed_forward=feed_forward_over(components, table, store))


def every_time(table: Components, store: Store) -> Components:
    """Each operation on arrays rounds, as eager frameworks do whose models are turned to the type as they are.

    Sums, means, softmax and LayerNorm have float32 inside.
    """

    def dense(x: Array, kernel: Array, bias: Array) -> Array:
        return store(store(x @ kernel) + bias)

    def rotate(x: Array, cos: Array, sin: Array) -> Array:
        a, b = x[..., 0::2], x[..., 1::2]
        first = store(store(a * cos) - store(b * sin))
        return np.stack([first, store(store(b * cos) + store(a * sin))], axis=-1).reshape(x.shape)

    def attention_scores(query: Array, key: Array) -> Array:
        root = store(np.float32(query.shape[-1] ** 0.5))
        return store(store(query @ key.swapaxes(-1, -2)) / root)

    def activate(x: Array, name: str) -> Array:
        return ACTIVATIONS[name](x, store) if name in ACTIVATIONS else store(table.activate(x, name))

    components = replace(once(table, store), name="eager", dense=dense, rotate=rotate)
    components = replace(components, attention_scores=attention_scores, activate=activate)
    return replace(components, feed_forward=feed_forward_over(components, table, store))


def rounding_derivatives(components: Components, store: Store) -> Derivatives:
    """The gradients of components whose every result is rounded, those of the feed-forward inside it, too."""

    def each(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(each(part) for part in result)
        return map_leaves(lambda name, leaf: store(leaf), result)

    def stored(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: each(function(*given))

    names = [one.name for one in fields(Derivatives) if one.name != "name"]
    changed: dict[str, Any] = {name: stored(getattr(DERIVATIVES, name)) for name in names}
    table = replace(DERIVATIVES, **changed)

    def feed_forward(upstream: Array, x: Array, intermediate: Any, output: Any, hidden_act: str) -> Any:
        before = components.dense(x, intermediate.kernel, intermediate.bias)
        by_inner, by_output = table.dense(upstream, components.activate(before, hidden_act), output.kernel)
        by_x, by_intermediate = table.dense(table.activate(by_inner, before, hidden_act), x, intermediate.kernel)
        return by_x, by_intermediate, by_output

    return replace(table, feed_forward=feed_forward)


def _gelu_new(x: Array, store: Store) -> Array:
    """0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), rounded after each step."""
    cube = store(store(store(x * x) * x) * store(np.float32(0.044715)))
    inner = store(store(np.float32(0.7978845608)) * store(x + cube))
    return store(store(0.5 * x) * store(1.0 + store(np.tanh(inner))))


def _mish(x: Array, store: Store) -> Array:
    return store(x * store(np.tanh(store(np.logaddexp(np.float32(0.0), x)))))


def _quick_gelu(x: Array, store: Store) -> Array:
    return store(x * store(1.0 / (1.0 + np.exp(-store(store(np.float32(1.702)) * x)))))


ACTIVATIONS: Mapping[str, Callable[[Array, Store], Array]] = MappingProxyType(
    {"gelu_new": _gelu_new, "mish": _mish, "quick_gelu": _quick_gelu}
)


def feed_forward_over(components: Components, table: Components, store: Store) -> Callable[..., Array]:
    """The feed-forward made of rounding parts, unless `table` has one that is not made of parts."""
    if table.feed_forward is not EQUATIONS.feed_forward:
        return lambda *given: store(table.feed_forward(*given))

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = components.activate(components.dense(x, intermediate.kernel, intermediate.bias), hidden_act)
        return components.dense(inner, output.kernel, output.bias)

    return feed_forward


VARIANTS: Mapping[str, Mapping[str, Callable[[], NumpyAdapter]]] = MappingProxyType(
    {
        "float32": {
            "kernels": NumpyAdapter,
            "equations": lambda: NumpyAdapter("equations"),
            "reordered": reordered,
        },
        "bfloat16": {
            "fused": lambda: HalfAdapter("fused", "bfloat16", once),
            "eager": lambda: HalfAdapter("eager", "bfloat16", every_time),
        },
        "float16": {
            "fused": lambda: HalfAdapter("fused", "float16", once),
            "eager": lambda: HalfAdapter("eager", "float16", every_time),
        },
    }
)

# What a table calls them.
DESCRIBED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("float32", "equations"): "the definition",
        ("float32", "reordered"): "its sums reordered",
        ("float32", "kernels"): "the compiled kernels",
        ("bfloat16", "fused"): "the definition, each component rounding its result",
        ("bfloat16", "eager"): "the definition, each operation rounding",
        ("float16", "fused"): "each component rounding its result",
        ("float16", "eager"): "each operation rounding",
    }
)
