"""What a forward pass leaves behind for the backward pass: its calls of components, in their order.

The forward pass is written once, over a table of components. `recording` is such a table: every entry computes what it
always computes and notes what its gradient will ask for. The chain rule is not made from the notes: it is written out
in `encoder` and `heads`, which take the notes back one by one, the latest first, and say whose note they expect.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ..components import Components

Kept = tuple[Any, ...]

# For each component, from its result and its arguments, what its vector-Jacobian product takes after `upstream`.
KEPT: Mapping[str, Callable[..., Kept]] = MappingProxyType(
    {
        "lookup": lambda result, table, ids: (table, ids),
        "add_token_types": lambda result, words, table, ids: (table, ids),
        "layer_norm": lambda result, x, gamma, beta, eps: (x, gamma, eps),
        "dense": lambda result, x, kernel, bias: (x, kernel),
        "rotate": lambda result, x, cos, sin: (cos, sin),
        "attention_scores": lambda result, query, key: (query, key),
        "attention_probs": lambda result, scores, key_mask, causal: (result, key_mask, causal),
        "attend": lambda result, probs, value: (probs, value),
        "feed_forward": lambda result, *arguments: arguments,
        "activate": lambda result, x, name: (x, name),
        "cross_entropy": lambda result, logits, labels: (logits, labels),
        "active_cross_entropy": lambda result, logits, labels: (logits, labels),
        "span_cross_entropy": lambda result, *arguments: arguments,
        "squared_error": lambda result, logits, labels: (logits, labels),
        "binary_cross_entropy": lambda result, logits, labels: (logits, labels),
    }
)


@dataclass
class Tape:
    """The calls of one forward pass: the component's name and what was kept of its arguments and result."""

    calls: list[tuple[str, Kept]] = field(default_factory=list)

    def last(self, *names: str) -> Kept:
        """Take back the latest call, which must be one of `names`."""
        name, kept = self.calls.pop()
        if name not in names:
            raise AssertionError(f"the forward pass called {name} where the backward pass expects {' or '.join(names)}")
        return kept


def recording(components: Components, tape: Tape) -> Components:
    """`components`, noting every call on `tape`."""
    noting: dict[str, Any] = {name: _noting(name, getattr(components, name), tape) for name in KEPT}
    return replace(components, **noting | {"dropout": _noting_dropout(components.dropout, tape)})


def _noting(name: str, function: Callable[..., Any], tape: Tape) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        result = function(*arguments)
        tape.calls.append((name, KEPT[name](result, *arguments)))
        return result

    return noted


def _noting_dropout(dropout: Callable[..., Any], tape: Tape) -> Callable[..., Any]:
    """Dropout keeps its generator as it stands before it draws: the gradient draws the same numbers again.

    A rate of 0 or 1 draws nothing, and a copy of a generator takes longer than a small model's layer norm.
    """

    def noted(x: Any, rate: float, generator: Any) -> Any:
        tape.calls.append(("dropout", (rate, copy.deepcopy(generator) if 0.0 < rate < 1.0 else generator)))
        return dropout(x, rate, generator)

    return noted
