"""What a known mistake is: the oracle with one thing exchanged, so that its result can be compared with a failure's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...formulas import edited
from ...protocol import Array, Outputs
from ..calls import Call

# The right components and the call → the components that are exchanged.
Swap = Callable[[Any, Call], Mapping[str, Callable[..., Any]]]
Edits = Mapping[str, Callable[[Array], Array]]


@dataclass(frozen=True)
class Variant:
    """One known mistake; `name` goes on "looks like". What is None stays as it is.

    A mistake that cannot be made on a call (there is no such weight or input) raises whatever it likes.
    """

    name: str
    components: Swap | None = None
    weights: Callable[[Call], Mapping[str, Array]] | Edits | None = (
        None  # patterns of names → new values, or all of them
    )
    config: Mapping[str, Any] | None = None
    inputs: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None  # what replaces some of the arguments
    outputs: Callable[[Outputs, Call], Mapping[str, Array]] | None = None  # what replaces some of the outputs

    def of(self, call: Call) -> Outputs:
        """What the oracle returns with this mistake."""
        wrong = call
        if self.weights is not None:
            wrong = replace(
                wrong, weights=self.weights(call) if callable(self.weights) else edited(call.weights, self.weights)
            )
        if self.config is not None:
            wrong = replace(wrong, config={**call.config, **self.config})
        if self.inputs is not None:
            wrong = replace(wrong, inputs={**call.inputs, **self.inputs(call.inputs)})
        oracle, swap = wrong.oracle(), self.components
        if swap is None:
            outputs = oracle.run(wrong.inputs, wrong.options)
        else:
            outputs = oracle.altered(wrong.inputs, wrong.options, lambda right: swap(right, call))
        return outputs if self.outputs is None else {**outputs, **self.outputs(outputs, call)}


def swapped(**functions: Callable[..., Any]) -> Swap:
    """Components that need nothing of the right ones."""
    return lambda right, call: functions
