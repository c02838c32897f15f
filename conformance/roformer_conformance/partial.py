"""Outputs that an implementation says it does not have: what may be asked of it, and what can still be compared.

A check that asks for everything inside goes on with what there is; one that asks for such an output by name, or that
has nothing left to compare, counts as not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .protocol import Capabilities, Outputs, Unsupported

# Claim → the switch that asks for the output; the pooler's comes without being asked for.
_SWITCHES = {"hidden_states": "output_hidden_states", "attentions": "output_attentions", "pooler_output": ""}


class MissingOutput(LookupError):
    """An output that the implementation has, and did not give."""


class Seen(dict[str, Any]):
    """Outputs of a call; to ask for one that the implementation does not claim ends the check as not claimed."""

    def __init__(self, outputs: Mapping[str, Any], lacking: frozenset[str]) -> None:
        super().__init__(present(outputs, lacking))
        self.lacking = lacking

    def __missing__(self, tap: str) -> Any:
        """What a check asks for by name."""
        require(tap, self.lacking)
        raise MissingOutput(f"{tap} is missing among the outputs, which are {', '.join(self) or 'none'}")

    def __contains__(self, tap: object) -> bool:
        """Whether there is such an output; one that is not claimed is neither there nor missing."""
        require(str(tap), self.lacking)
        return super().__contains__(tap)


def lacking(capabilities: Capabilities) -> frozenset[str]:
    """The outputs that an implementation does not claim to have."""
    return frozenset(name for name in _SWITCHES if not getattr(capabilities, name))


def kind_of(tap: str) -> str:
    """The claim that an output belongs to: weights over an encoder go with a model's own."""
    return tap.partition(".")[0].removeprefix("cross_")


def require(tap: str, missing: frozenset[str]) -> None:
    """Raise Unsupported for an output that is not claimed."""
    if kind_of(tap) in missing:
        raise Unsupported(kind_of(tap))


def present(outputs: Mapping[str, Any], missing: frozenset[str]) -> Outputs:
    """The outputs that are claimed."""
    return {tap: array for tap, array in outputs.items() if kind_of(tap) not in missing}


def askable(options: Mapping[str, Any], missing: frozenset[str]) -> dict[str, Any]:
    """The options of a call without switches for what is not claimed.

    Raises:
        Unsupported: such an output is all that is asked for, or stands in a tuple that is counted through.
    """
    asked = {name: switch for name, switch in _SWITCHES.items() if options.get(switch)}
    vain = [name for name in asked if name in missing]
    if vain and (len(asked) == 1 or options.get("return_dict") is False):
        raise Unsupported(", ".join(vain))
    return unasked(options, missing)


def unasked(options: Mapping[str, Any], missing: frozenset[str]) -> dict[str, Any]:
    """The options of a call without switches for what is not claimed."""
    vain = {switch for name, switch in _SWITCHES.items() if name in missing}
    return {name: value for name, value in options.items() if name not in vain}
