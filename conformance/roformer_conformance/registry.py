"""What a check is, and the list of all of them.

A check is a function that tries one claim of a clause on one drawn case and raises `Violation` when it does not hold.
It is declared where it is written:

    @check("MASK-1", "weight-is-zero", needs=("attentions",))
    def masked_keys_weigh_nothing(trial: Trial, case: Case) -> None: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from .protocol import HEADS, Capabilities
from .strategies import Case, OneOf, cases, typical_case

if TYPE_CHECKING:
    from .trial import Trial

Function = Callable[["Trial", Case], None]

# Heads that many checks are about: with an output for each token, with a loss, with logits over the vocabulary, with a
# cache and cross-attention.
TOKEN_HEADS = ("base", "masked_lm", "causal_lm", "token_classification", "question_answering")
LOSS_HEADS = tuple(head for head in HEADS if head != "base")
LANGUAGE_HEADS = ("masked_lm", "causal_lm")
DECODER_HEADS = ("base", "causal_lm")


@dataclass(frozen=True)
class Check:
    """One claim and the function that tries it; `id` begins with its clause and is never reused."""

    id: str
    clause: str
    claim: str
    function: Function
    heads: tuple[str, ...] | str
    needs: tuple[str, ...]
    effort: float  # how many examples, relative to the level's number
    drawn: Mapping[str, Any]  # what `choose_case` is asked for
    also: tuple[str, ...]  # further clauses that the same attempt bears on
    every_type: bool = False  # whether smoke level tries it in every type, too

    @property
    def clauses(self) -> tuple[str, ...]:
        """Every clause that this check bears on."""
        return (self.clause, *self.also)

    def heads_for(self, capabilities: Capabilities) -> tuple[str, ...]:
        """The heads of an implementation that this check runs on; none when it claims too little."""
        if not all(capabilities.claims(need) for need in self.needs):
            return ()
        if self.heads == "backbone":
            return tuple(head for head in HEADS if head in capabilities.heads)[:1]
        wanted = HEADS if self.heads == "all" else self.heads
        return tuple(head for head in wanted if head in capabilities.heads)

    def strategy(self, head: str) -> st.SearchStrategy[Case]:
        """The cases that this check is tried on."""
        return cases(head, **self.drawn)

    def simpler(self, case: Case) -> Iterator[Case]:
        """The case without what many implementations lack, as far as the check does not ask for it and it has any.

        First without rotary_value and E ≠ H, then with gelu, too: what they lack must not keep them from being asked
        the rest.
        """
        changes: dict[str, Any] = {}
        if case.config["rotary_value"] and isinstance(self.drawn.get("rotary_value", _FREE), OneOf):
            changes["rotary_value"] = False
        if not {"projected", "embedding_size"} & self.drawn.keys():
            changes["embedding_size"] = case.config["hidden_size"]
        for more in ({}, {"hidden_act": "gelu"} if self._draws("hidden_act", "gelu") else {}):
            if not (changes | more).items() <= case.config.items():
                case = case.with_config(**(changes | more))
                yield case

    def _draws(self, field: str, value: Any) -> bool:
        drawn = self.drawn.get(field)
        return isinstance(drawn, OneOf) and value in drawn.values

    def typical(self, head: str, seed: int) -> Case:
        """The case that this check is tried on first."""
        return typical_case(seed, head, **self.drawn)


# What a check says of a field that it says nothing of.
_FREE = OneOf((False, True))

_CHECKS: dict[str, Check] = {}


def check(
    clause: str,
    name: str,
    *,
    heads: tuple[str, ...] | str = "backbone",
    needs: tuple[str, ...] = (),
    effort: float = 1.0,
    also: tuple[str, ...] = (),
    every_type: bool = False,
    **drawn: Any,
) -> Callable[[Function], Function]:
    """Register the decorated function as a check; its docstring's first line is the claim.

    Args:
        clause: the clause it is about.
        name: what is tried, a few words with hyphens.
        heads: the heads it makes sense for, "all", or "backbone" for a claim about the encoder, which is seen once: on
            the base model, or on the first head there is.
        needs: capabilities without which an implementation is not asked, see `Capabilities.claims`.
        effort: examples relative to the level's number; less for slow checks.
        also: further clauses that it bears on.
        every_type: whether the type that is computed in is part of the claim, so that smoke level tries all of them.
        drawn: passed to `strategies.choose_case`.
    """

    def register(function: Function) -> Function:
        identifier = f"{clause}/{name}"
        if identifier in _CHECKS:
            raise ValueError(f"two checks are called {identifier}")
        claim = (function.__doc__ or "").strip().partition("\n")[0]
        _CHECKS[identifier] = Check(identifier, clause, claim, function, heads, needs, effort, drawn, also, every_type)
        return function

    return register


def all_checks() -> Mapping[str, Check]:
    """Every check by its id, in the order of the families' modules."""
    from . import checks

    for module in sorted(pkgutil.iter_modules(checks.__path__), key=lambda item: item.name):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    return MappingProxyType(_CHECKS)
