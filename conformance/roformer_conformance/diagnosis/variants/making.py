"""What a known mistake is: the oracle with one thing exchanged, so that its result can be compared with a failure's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...formulas import edited
from ...protocol import Array, Outputs
from ..calls import Call, Comparison

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

    def of(self, comparison: Comparison) -> Outputs:
        """What the oracle returns for the call with this mistake."""
        call, outputs = comparison.call, self._computed(comparison)
        return outputs if self.outputs is None else {**outputs, **self.outputs(outputs, call)}

    def _computed(self, comparison: Comparison) -> Outputs:
        call, oracle, swap = comparison.call, comparison.oracle, self.components
        if self.weights is None and self.config is None and self.inputs is None and swap is None:
            return comparison.expected
        if self.weights is not None or self.config is not None:
            weights = call.weights
            if self.weights is not None:
                weights = self.weights(call) if callable(self.weights) else edited(weights, self.weights)
            oracle = replace(call, weights=weights, config={**call.config, **(self.config or {})}).oracle()
        inputs = call.inputs if self.inputs is None else {**call.inputs, **self.inputs(call.inputs)}
        if swap is None:
            return oracle.run(inputs, call.options)
        return oracle.altered(inputs, call.options, lambda right: swap(right, call))


def swapped(**functions: Callable[..., Any]) -> Swap:
    """Components that need nothing of the right ones."""
    return lambda right, call: functions
