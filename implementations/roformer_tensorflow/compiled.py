"""A model as a function that is traced once for each form of its arguments, and compiled by XLA where asked for (IN-9).

A graph cannot raise our errors, and XLA cannot raise at all from inside a compiled function: it would clamp an index
instead. So the arguments of such a call are checked while they are still concrete, before anything is traced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from .inputs import SWITCHES, bound, checked
from .ragged import dense
from .tracing import documented_switches, is_traced, traced

STATIC = (*SWITCHES, "training")

Arguments = dict[str, Any]


class Functions:
    """The traced functions of one set of layers, with and without XLA; a model whose layers change makes a new set."""

    def __init__(self, run: Callable[..., Any]) -> None:
        """`run` takes tensors by name, and what is static by name."""
        self._run = run
        self._made: dict[bool, Any] = {}

    def __call__(self, jit_compile: bool, arguments: Arguments) -> Any:
        """Run with `arguments`, traced before for this form of them or now."""
        if jit_compile not in self._made:
            self._made[jit_compile] = tf.function(
                self._run, jit_compile=jit_compile, reduce_retracing=True, autograph=False
            )
        static = {name: value for name, value in arguments.items() if name in STATIC}
        tensors = {name: value for name, value in arguments.items() if name not in STATIC}
        return self._made[jit_compile](tensors, static)


class CompiledCall:
    """What `as_function` returns: called as the model itself is, in every documented format, and runs in a graph."""

    def __init__(self, model: keras.Model, jit_compile: bool, honour_call_flags: bool) -> None:
        self.model, self.jit_compile, self.honour_call_flags = model, jit_compile, honour_call_flags
        self._told: set[str] = set()

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Check the arguments, then run the graph.

        Inside somebody's own `tf.function` arguments are no longer concrete, and the call is the model's own.

        Raises:
            InputError, InputTypeError: naming argument, position, value and what is allowed, before anything is traced.

        Warns:
            UserWarning: once for each set of switches that the configuration overrides.

        Source: IN-1 to IN-9, ERR-1 to ERR-11.
        """
        model = self.model
        given = dense(bound(model.head, inputs, named), model.config, model.head)
        if is_traced((inputs, named)):
            return model.run(traced(given, model.config, model.head, model.variable_dtype, self.honour_call_flags))
        arguments = checked(given, model.config, model.head, model.variable_dtype)
        return model.functions(self.jit_compile, {**arguments, **self._switches(given)})

    def _switches(self, given: Arguments) -> Arguments:
        if self.honour_call_flags:
            return {}
        switches, complaint = documented_switches(given, self.model.config)
        if complaint and complaint not in self._told:
            warnings.warn(complaint, stacklevel=3)
            self._told.add(complaint)
        return switches
