"""Probes: for each contested point an experiment, and the words of SPEC.md for what came of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..protocol import Adapter, Array, Capabilities, ImplementationDied, is_unsupported
from ..strategies import Case, typical_case
from ..trial import Trial, without_warnings
from .registered import contested_points, registered_as

Look = Callable[[Trial, Case], str]

# The answer of a probe to what nobody is registered to do.
OTHER = "something else"


@dataclass(frozen=True)
class Probe:
    """An experiment at one contested point; `answers` are all that it may come to."""

    point: str
    head: str
    needs: tuple[str, ...]
    answers: tuple[str, ...]
    look: Look
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What an implementation does at a contested point, and which profiles register the same."""

    point: str
    title: str
    seen: str  # "" where nothing could be seen
    profiles: tuple[str, ...] = ()
    problem: str = ""  # why nothing could be seen


_PROBES: dict[str, Probe] = {}


def probe(
    point: str, *, head: str = "base", answers: tuple[str, ...], needs: tuple[str, ...] = (), **config: Any
) -> Callable[[Look], Look]:
    """Register the decorated function as the probe of a contested point.

    Args:
        point: the claim.
        head: the model that it looks at.
        answers: everything that the function may return.
        needs: capabilities without which there is nothing to look at.
        config: fields of the configuration; the rest is drawn, small and without padding.
    """

    def register(function: Look) -> Look:
        _PROBES[point] = Probe(point, head, needs, answers, function, config)
        return function

    return register


def same(got: Array, expected: Array) -> bool:
    """Whether two arrays agree: what probes tell apart differs by far more than rounding."""
    return got.shape == expected.shape and bool(np.allclose(got, expected, rtol=1e-3, atol=1e-4))


def all_probes() -> Mapping[str, Probe]:
    """Every probe by its point."""
    importlib.import_module(".probes", __package__)
    return MappingProxyType(_PROBES)


def look(adapter: Adapter, progress: Callable[[Finding, int], None] | None = None) -> list[Finding]:
    """What an implementation does at each contested point, in the order of SPEC.md.

    Args:
        adapter: see `protocol`.
        progress: called after each point with what was found and the number of all.

    Raises:
        AdapterError: the adapter does not fit the protocol.
    """
    capabilities, points = Capabilities.of(adapter), contested_points()
    trial, findings = Trial(adapter, capabilities.dtypes[0]), []
    for point, clause in points.items():
        findings.append(_found(all_probes()[point], trial, capabilities, clause.title))
        if progress is not None:
            progress(findings[-1], len(points))
    return findings


def _found(probe: Probe, trial: Trial, capabilities: Capabilities, title: str) -> Finding:
    """One probe's finding; whatever an implementation raises is a reason why nothing could be seen."""
    needs = [need for need in probe.needs if not capabilities.claims(need)]
    needs += [] if probe.head in capabilities.heads else [f"head {probe.head}"]
    needs += ["weights of one's own choice"] if capabilities.fixed_weights else []
    if needs:
        return Finding(probe.point, title, "", problem=f"needs {', '.join(needs)}")
    try:
        with without_warnings():
            seen = probe.look(trial, _case(probe))
    except ImplementationDied as death:
        return Finding(probe.point, title, "", problem=f"the implementation died: {death}")
    except Exception as error:  # an implementation may throw anything
        told = f"needs {error}" if is_unsupported(error) else f"{type(error).__name__}: {error}"
        return Finding(probe.point, title, "", problem=told)
    return Finding(probe.point, title, seen, registered_as(probe.point, seen))


def _case(probe: Probe) -> Case:
    """Three rows of a few tokens, a small model in which mistakes show, without what many implementations lack."""
    drawn: dict[str, Any] = {"masks": ("none",), "min_batch": 3, "max_batch": 3, "min_seq_len": 5, "num_labels": 2}
    drawn |= {"min_heads": 2, "rotary_value": False, "num_hidden_layers": 2, "projected": False}
    return typical_case(0, probe.head, **{**drawn, **probe.config})
