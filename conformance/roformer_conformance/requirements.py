"""Claims that ask nothing of an implementation which does not have the thing they are about.

A check says itself what it needs; this table is for whole claims, so that an implementation without graph mode is not
told that its graph mode went unchecked.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .clauses import Clause, select
from .protocol import Capabilities

REQUIREMENTS: Mapping[str, str] = MappingProxyType(
    {
        "IN-8.2": "keras",
        "IN-9": "graph",
        "ROT-2.9": "gradients",
        "LOSS-2.2": "gradients",
        "LOSS-7.2": "gradients",
        "TRAIN-2": "gradients",
        "TRAIN-3": "keras",
        "LIFE-5": "graph",
        "TOK": "tokenizer",
    }
)


def inapplicable(clauses: Mapping[str, Clause], capabilities: Capabilities) -> dict[str, str]:
    """The claims that do not apply to an implementation, and the capability that each would need."""
    return {
        clause.id: capability
        for group, capability in REQUIREMENTS.items()
        if not getattr(capabilities, capability)
        for clause in select(clauses, group)
    }
