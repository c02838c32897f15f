"""The judge's own computation: the equations in float64, and legitimate runs in the candidate's type.

The only module of this package that imports the reference.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, cached_property, lru_cache, partial
from typing import Any, TypeVar

import numpy as np

from roformer_numpy.backward.table import EQUATIONS as DERIVATIVES
from roformer_numpy.backward.table import Derivatives
from roformer_numpy.checkpoints import inspect_folder, read_config
from roformer_numpy.checkpoints.names import foreign_name, foreign_shape, with_prefix
from roformer_numpy.components import EQUATIONS, Components
from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import RoFormerError
from roformer_numpy.models import MODELS, RoFormerBase
from roformer_numpy.models_in_the_box import FOLDER
from roformer_numpy.weights import Dense, map_leaves, weight_shapes

from .budget import FEW_RUNS
from .precision import PRECISIONS, is_half, rounded
from .protocol import AdapterError, Array, Outputs, flatten
from .recall import digest, recalled

# Components whose results every implementation rounds in its own way; the others move data or are made of these.
_ROUNDED = (
    "add_token_types", "layer_norm", "rotate", "attention_scores", "attention_probs", "attend", "activate",
    "cross_entropy", "active_cross_entropy", "span_cross_entropy", "squared_error", "binary_cross_entropy",
)  # fmt: skip

# Likewise of the gradients; a sum over rows or over a table is rounded in other ways, too.
_ROUNDED_DERIVATIVES = (
    "lookup", "add_token_types", "layer_norm", "rotate", "attention_scores", "attention_probs", "attend",
    "cross_entropy", "active_cross_entropy", "span_cross_entropy", "squared_error", "binary_cross_entropy",
)  # fmt: skip

_Answer = TypeVar("_Answer")

# Given the right components, the ones that are exchanged, by name.
Swap = Callable[[Components], Mapping[str, Callable[..., Any]]]


class _Described:
    """A configuration as it is described, as a key: equal to another one with equal content."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields, self._content = fields, repr(sorted(fields.items()))

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Described) and self._content == other._content


def schema(config: Mapping[str, Any], head: str) -> dict[str, tuple[int, ...]]:
    """Flat Hugging Face names and shapes of all weights that the model called `head` has."""
    return dict(_schema(_Described(config), head))


# Both are asked for again and again with the same configuration, and nobody changes what they give.
@lru_cache(maxsize=32)
def _schema(described: _Described, head: str) -> dict[str, tuple[int, ...]]:
    own = weight_shapes(_config_of(described), head)
    return {with_prefix(foreign_name(name, head), head): foreign_shape(name, shape) for name, shape in own.items()}


@lru_cache(maxsize=32)
def _config_of(described: _Described) -> RoFormerConfig:
    return RoFormerConfig.from_dict(described.fields)


class Oracle:
    """One model in float64 by the equations, and the same model as sloppily as arithmetic allows."""

    def __init__(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
        self.head, self.described, self.weights = head, config, weights
        self._models: dict[str, RoFormerBase] = {}

    @cached_property
    def config(self) -> RoFormerConfig:
        """The configuration, read when it is needed first: most comparisons end at the floor of their budget."""
        return _config_of(_Described(self.described))

    def run(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Outputs:
        """Every output in float64."""
        return self._known(inputs, options, "run", lambda: self._run(inputs, options, "float64", EQUATIONS))

    def altered(self, inputs: Mapping[str, Any], options: Mapping[str, Any], swap: Swap) -> Outputs:
        """Every output in float64 by equations some of which `swap` has exchanged: it is given the right ones."""
        changed = dict(swap(EQUATIONS))
        components = replace(EQUATIONS, name="altered", **changed)
        if "feed_forward" not in changed:  # the definition's own would go on with the right activation
            components = replace(components, feed_forward=_feed_forward_over(components))
        return self._run(inputs, options, "float64", components)

    def legitimate_runs(
        self, inputs: Mapping[str, Any], options: Mapping[str, Any], dtype: str, count: int = FEW_RUNS
    ) -> list[Outputs]:
        """`count` runs in `dtype`, each with sums in another order and every result off by up to one rounding."""

        def runs() -> list[Outputs]:
            generators = (np.random.default_rng(number) for number in range(count))
            return [self._run(inputs, options, dtype, perturbed(one, dtype)) for one in generators]

        return self._known(inputs, options, f"{count} runs in {dtype}", runs)

    def spreads(
        self, inputs: Mapping[str, Any], options: Mapping[str, Any], dtype: str, count: int = FEW_RUNS
    ) -> list[Outputs]:
        """What each of `count` legitimate runs is off by."""
        exact = self.run(inputs, options)
        runs = self.legitimate_runs(inputs, options, dtype, count)
        return [{tap: run[tap] - exact[tap] for tap in exact} for run in runs]

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Outputs:
        """The mean of the losses as "loss", and its gradients by every weight and by inputs_embeds where given."""

        def run() -> Outputs:
            return self._gradients(inputs, options, "float64", EQUATIONS, DERIVATIVES)

        return self._known(inputs, options, "gradients", run)

    def legitimate_gradients(
        self, inputs: Mapping[str, Any], options: Mapping[str, Any], dtype: str, count: int = FEW_RUNS
    ) -> list[Outputs]:
        """As `legitimate_runs`: forward and backward, each result is off by up to one rounding.

        A gradient sums over positions. Where one token stands at many, its errors are the same and add up: in every
        other run equal rows are rounded alike.
        """

        def runs() -> list[Outputs]:
            found = []
            for number in range(count):
                one = np.random.default_rng(number)
                tables = perturbed(one, dtype, alike=number % 2 == 1), perturbed_derivatives(one, dtype)
                found.append(self._gradients(inputs, options, dtype, *tables))
            return found

        return self._known(inputs, options, f"{count} gradients in {dtype}", runs)

    def _known(
        self, inputs: Mapping[str, Any], options: Mapping[str, Any], what: str, answer: Callable[[], _Answer]
    ) -> _Answer:
        """`answer()`, or what it was for a model that is equal to this one."""
        return recalled(lambda: (self._identity, dict(inputs), dict(options), what), answer)

    @cached_property
    def _identity(self) -> bytes:
        return digest((self.head, dict(self.described), dict(self.weights)))

    def _gradients(
        self,
        inputs: Mapping[str, Any],
        options: Mapping[str, Any],
        dtype: str,
        components: Components,
        derivatives: Derivatives,
    ) -> Outputs:
        model = copy.copy(self._model(dtype))
        model.components, model.derivatives = components, derivatives
        named = {"generator" if name == "seed" else name: value for name, value in options.items()}
        found = model.gradients(**inputs, **named)
        given = {} if found.inputs_embeds is None else {"inputs_embeds": found.inputs_embeds}
        return {"loss": found.loss, **found.to_weights(), **given}

    def _run(
        self, inputs: Mapping[str, Any], options: Mapping[str, Any], dtype: str, components: Components
    ) -> Outputs:
        model = copy.copy(self._model(dtype))
        model.components = components
        named = {"generator" if name == "seed" else name: value for name, value in options.items()}
        with np.errstate(all="ignore"):
            return flatten(model(**inputs, **named))

    def _model(self, dtype: str) -> RoFormerBase:
        """The model by the equations, built once for each type."""
        dtype = PRECISIONS[dtype].sums
        if dtype not in self._models:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a missing pooler is the concern of the case
                model = MODELS[self.head].from_weights(self.config, self.weights, dtype=dtype, components=EQUATIONS)
            self._models[dtype] = model
        return self._models[dtype]


def perturbed(generator: np.random.Generator, dtype: str, *, alike: bool = False) -> Components:
    """The equations as another careful implementation might evaluate them in `dtype`; equal rows rounded `alike`."""
    unit, stored = _largest_error(dtype), _storing(dtype)

    def off(function: Callable[..., Array]) -> Callable[..., Array]:
        def run(*args: Any) -> Array:
            result = function(*args)
            shape = result.shape[-1:] if alike else result.shape
            uniform = generator.random(shape, np.float32)  # its own rounding does not matter, its cost does
            factor = np.multiply(uniform, 2.0 * unit, dtype=np.float64) + (1.0 - unit)
            return stored((result * factor).astype(result.dtype))

        return run

    def dense(x: Array, kernel: Array, bias: Array) -> Array:
        order = generator.permutation(len(kernel))
        cut = int(generator.integers(1, len(kernel) + 1))
        x, kernel = x[..., order], kernel[order]
        return x[..., :cut] @ kernel[:cut] + (x[..., cut:] @ kernel[cut:] + bias)

    def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return EQUATIONS.layer_norm(stored(x), gamma, beta, eps)  # a residual sum is stored before it is normalised

    def rotary_table(positions: Array, head_dim: int, dtype: str) -> tuple[Array, Array]:
        cos, sin = EQUATIONS.rotary_table(positions, head_dim, "float64")
        # angles are float64 whatever the type, and off by their own rounding: more, the larger the position
        turn = np.finfo("float64").eps / 2 * positions[:, None] * generator.uniform(-1.0, 1.0, cos.shape)
        return stored((cos - turn * sin).astype(dtype)), stored((sin + turn * cos).astype(dtype))

    changed: dict[str, Any] = {name: off(getattr(EQUATIONS, name)) for name in _ROUNDED}
    changed |= {"dense": off(dense), "layer_norm": off(layer_norm), "rotary_table": rotary_table}
    components = replace(EQUATIONS, **changed)
    return replace(components, feed_forward=_feed_forward_over(components))


def _largest_error(dtype: str) -> float:
    """By how much a result is off besides what storing it rounds: u, or u/2 where every result is rounded anyway."""
    return PRECISIONS[dtype].unit / (2.0 if is_half(dtype) else 1.0)


def _storing(dtype: str) -> Callable[[Array], Array]:
    """What becomes of a result that is kept: half-precision types round it, the others have computed in themselves."""
    return partial(rounded, dtype=dtype) if is_half(dtype) else lambda result: result


def perturbed_derivatives(generator: np.random.Generator, dtype: str) -> Derivatives:
    """The gradients of the equations as another careful implementation might evaluate them in `dtype`."""
    unit, stored = _largest_error(dtype), _storing(dtype)

    def off(array: Array) -> Array:
        return stored((array * (1.0 + unit * generator.uniform(-1.0, 1.0, array.shape))).astype(array.dtype))

    def each(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(each(part) for part in result)
        return map_leaves(lambda name, leaf: off(leaf), result)

    def rounded(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: each(function(*arguments))

    def dense(upstream: Array, x: Array, kernel: Array) -> tuple[Array, Dense[Array]]:
        rows, columns = x.reshape(-1, x.shape[-1]), upstream.reshape(-1, upstream.shape[-1])
        cut = int(generator.integers(0, len(rows) + 1))
        halves = [(rows[part], columns[part]) for part in (slice(cut), slice(cut, None))]
        by_kernel, by_bias = (sum(parts) for parts in zip(*((a.T @ b, b.sum(axis=0)) for a, b in halves), strict=True))
        result: tuple[Array, Dense[Array]] = each((upstream @ kernel.T, Dense(by_kernel, by_bias)))
        return result

    def activate(upstream: Array, x: Array, name: str) -> Array:
        # the terms of a slope cancel where a function levels off: their rounding, and that of tanh, is what is left
        slope = DERIVATIVES.activate(np.ones_like(x), x, name)
        made = (slope + unit * _terms_of_slope(x, name) * generator.uniform(-1.0, 1.0, x.shape)).astype(x.dtype)
        return off(upstream * np.where((slope == 0.0) | (slope == 1.0), slope, made))

    def feed_forward(upstream: Array, x: Array, intermediate: Any, output: Any, hidden_act: str) -> Any:
        before = off(EQUATIONS.dense(x, intermediate.kernel, intermediate.bias))
        by_inner, by_output = dense(upstream, off(EQUATIONS.activate(before, hidden_act)), output.kernel)
        by_x, by_intermediate = dense(activate(by_inner, before, hidden_act), x, intermediate.kernel)
        return by_x, by_intermediate, by_output

    changed: dict[str, Any] = {name: rounded(getattr(DERIVATIVES, name)) for name in _ROUNDED_DERIVATIVES}
    return replace(DERIVATIVES, **changed | {"dense": dense, "activate": activate, "feed_forward": feed_forward})


def _terms_of_slope(x: Array, name: str) -> Array:
    """The size of the terms that an activation's slope is the sum of: 1 and x f′, or x (1 − tanh² u) u′ with a tanh."""
    inner = 0.8 * (1.0 + 0.134 * x * x) if name in ("gelu_new", "gelu_fast") else 1.0
    return 1.0 + np.abs(x) * inner


def _feed_forward_over(components: Components) -> Callable[..., Array]:
    """The feed-forward of a table: its own dense layers and activation."""

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = components.activate(components.dense(x, intermediate.kernel, intermediate.bias), hidden_act)
        return components.dense(inner, output.kernel, output.bias)

    return feed_forward


def write_folder(
    path: str | os.PathLike[str], head: str, config: Mapping[str, Any], weights: Mapping[str, Array], dtype: str
) -> None:
    """Write a model to the folder `path` as the reference does."""
    described = RoFormerConfig.from_dict(config)
    kept = PRECISIONS[dtype].sums
    MODELS[head].from_weights(described, weights, dtype=kept, components=EQUATIONS).save_pretrained(path)


class Checkpoint:
    """A model folder of the user's, read by the reference: its configuration, and its weights for each head."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Read what the folder holds.

        Raises:
            AdapterError: no folder, or no model in it; the message says what is there.
        """
        try:
            inspection, config = inspect_folder(folder), read_config(folder)
        except RoFormerError as error:
            raise AdapterError(str(error)) from error
        self.folder, self.head = os.fspath(folder), inspection.head
        self.config: dict[str, Any] = {**config.to_dict(), "num_labels": config.num_labels}
        fits = inspection.fits.items()
        self.heads = tuple(head for head, fit in fits if not fit.missing and not fit.misshapen)
        if "base" in self.heads and "pooler.dense.weight" not in self.weights("base"):
            self.config["add_pooling_layer"] = False

    def weights(self, head: str) -> dict[str, Array]:
        """Flat Hugging Face names to float64 arrays.

        Raises:
            AdapterError: the folder does not hold every weight of this head.
        """
        if head not in self.heads:
            held = ", ".join(self.heads) or "no head whole"
            raise AdapterError(f"{self.folder} does not hold every weight of {head}; it holds {held}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a missing pooler, or the weights of another head
            return MODELS[head].from_pretrained(self.folder, dtype="float64", components=EQUATIONS).to_weights()


# The trained model that comes with the package, and the fields that say what it is.
TRAINED = FOLDER / "tang-mini"
_TRAINED_FIELDS = (
    "vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "hidden_act", "rotary_value",
)  # fmt: skip


def trained_config() -> dict[str, Any]:
    """The configuration of the trained model, as far as `choose_case` would draw it."""
    config = read_config(TRAINED)
    return {name: getattr(config, name) for name in _TRAINED_FIELDS}


@cache
def trained_weights(head: str) -> Mapping[str, Array]:
    """Its weights under flat Hugging Face names, as float64, read once; the same ones that a draw would hold."""
    held = Checkpoint(TRAINED).weights(head)
    return {name: held[name] for name in schema(trained_config(), head) if name in held}
