"""What a failure says beyond that it failed: the first output that differs, where that is, and what it looks like."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..budget import Verdict
from ..protocol import Adapter
from ..registry import Check
from ..strategies import Case, typical_case
from ..telling import PLACE
from ..trial import NotRefused, Trial
from .calls import Call, Comparison, compare, recorded_calls
from .forcing import wrong_layers
from .likeness import Likeness, looks_like
from .places import place_of, stage_of
from .surgery import parts_that_matter

# What one failure may cost: a failing run is still a run somebody waits for.
SECONDS = 5.0
# Mistakes that explain a failure equally well and are named in one line.
_NAMED = 4
# Fields of a configuration that are sizes, and that another case may draw anew.
_SIZES = (
    "hidden_size", "num_attention_heads", "num_hidden_layers", "embedding_size", "intermediate_size", "vocab_size",
    "type_vocab_size", "num_labels",
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about one failure; `lines` are for people."""

    lines: tuple[str, ...] = ()
    comparison: Comparison | None = None  # the call that differs from the oracle, the latest of them
    likeness: tuple[Likeness, ...] = ()
    call: Call | None = None  # the last call of the check


def diagnose(adapter: Adapter, check: Check, case: Case, dtype: str, k: float, seconds: float = SECONDS) -> Diagnosis:
    """Find out what is wrong where a check fails on a case.

    Args:
        adapter: the implementation.
        check: what fails.
        case: what it fails on.
        dtype: floating-point type.
        k: the grade at which a result fails.
        seconds: what it may take; what is not done within it is left out.
    """
    started = time.perf_counter()
    calls, failure = recorded_calls(adapter, check, case, dtype, k)
    if failure is None:
        return Diagnosis(("when the check is repeated alone it passes: it depends on what ran before, or on chance",))
    if not calls:
        return Diagnosis()
    if isinstance(failure, NotRefused):  # the message says it all
        return Diagnosis(call=calls[0])
    others = [_plain(adapter, case, dtype, k), _plain(adapter, _larger(case), dtype, k)]
    found = diagnose_calls(adapter, calls, k, [item for item in others if item], started + seconds)
    return replace(found, call=calls[0])


def diagnose_calls(
    adapter: Adapter, calls: Sequence[Call], k: float, others: Sequence[Comparison] = (), ends: float = np.inf
) -> Diagnosis:
    """Find out which of these calls differ from the oracle, where and in what way; until `ends` at most."""
    compared, differing = 0, list[Comparison]()
    for all_rows in (False, True):
        for call in calls:
            found = compare(adapter, call.traced(), k, all_rows=all_rows) if not differing[1:] else None
            compared += found is not None and bool(found.got.keys() & found.expected.keys())
            differing += [found] if found is not None and found.first is not None else []
        if differing:
            return _explained(adapter, differing, k, others, ends)
    if not compared:
        return Diagnosis()
    return Diagnosis(
        ("every call, made again alone, agrees with the oracle: not the arithmetic fails, but what surrounds it",)
    )


def _explained(
    adapter: Adapter, differing: Sequence[Comparison], k: float, others: Sequence[Comparison], ends: float
) -> Diagnosis:
    comparison, first = differing[0], differing[0].first
    assert first is not None  # that is what differing means
    lines = [_first_line(first, k), f"{PLACE}{place_of(first.tap)}"]
    empty = _constant_line(comparison, others, first.tap) or _unequal_when_repeated(adapter, comparison.call)
    if empty:
        return Diagnosis((*lines, empty), comparison)
    likeness = looks_like(differing, others, seconds=max(0.0, ends - time.perf_counter()))
    if time.perf_counter() < ends:
        lines += _surgery_lines(adapter, comparison, first.tap, k)
    if time.perf_counter() < ends:
        lines += _forcing_lines(adapter, comparison, k)
    if likeness:
        names = " or ".join(item.variant.name for item in likeness[:_NAMED])
        names += f" or {len(likeness) - _NAMED} more" if len(likeness) > _NAMED else ""
        lines.append(f"looks like: {names} (correlation {likeness[0].correlation:.4f})")
    return Diagnosis(tuple(lines), comparison, tuple(likeness))


def _first_line(first: Verdict, k: float) -> str:
    if not first.index:
        return f"first output that differs: {first.tap} {first.reason}"
    values = f"got {first.got:.9g}, expected {first.expected:.9g}"
    budget = f"R {first.grade:.3g} of {k:g}, budget ±{first.budget:.2g}" if np.isfinite(first.grade) else first.reason
    return f"first output that differs: {first.tap}{list(first.index)}: {values}; {budget}"


def _constant_line(comparison: Comparison, others: Sequence[Comparison], tap: str) -> str:
    """That an output is one number throughout: then nothing was computed, and no part of a model is to blame.

    Weights that a check has emptied can leave a mistaken model with nothing to add up, so other calls have to agree.
    """
    everywhere = (comparison, *(other for other in others if tap in other.got))
    same = [name for name in comparison.expected if all(_is_constant(one, name) for one in everywhere)]
    if tap not in same:
        return ""
    value = comparison.got[tap].ravel()[0]
    everything = len(same) == sum(
        comparison.expected[name].size > 1 for name in comparison.got.keys() & comparison.expected
    )
    which = "every output" if everything else ", ".join(same)
    return f"looks like: nothing computed: {which} is {value:g} everywhere, whatever goes in"


def _is_constant(comparison: Comparison, tap: str) -> bool:
    if tap not in comparison.got or tap not in comparison.expected:
        return False
    got, expected = comparison.got[tap], comparison.expected[tap]
    return bool(got.size > 1 and (got == got.ravel()[0]).all() and not (expected == expected.ravel()[0]).all())


def _unequal_when_repeated(adapter: Adapter, call: Call) -> str:
    once, again = call.run(adapter), call.run(adapter)
    for tap in once:
        if tap in again and not np.array_equal(once[tap], again[tap], equal_nan=once[tap].dtype.kind == "f"):
            return f"looks like: chance, such as dropout at inference: two equal calls differ at {tap}"
    return ""


def _surgery_lines(adapter: Adapter, comparison: Comparison, tap: str, k: float) -> list[str]:
    stage = stage_of(tap)
    goes, stays = ([], []) if stage is None else parts_that_matter(adapter, comparison, tap, stage, k)
    lines = [f"it goes away without {', or without '.join(goes)}"] if goes else []
    return lines + ([f"it stays without {', '.join(stays)}"] if stays else [])


def _forcing_lines(adapter: Adapter, comparison: Comparison, k: float) -> list[str]:
    if stage_of(comparison.first.tap if comparison.first else "") is None:
        return []
    wrong = wrong_layers(adapter, comparison, k)
    if wrong is None:
        return []
    if not wrong:
        return ["each layer alone, on the oracle's input, is right"]
    numbers = ", ".join(map(str, wrong))
    one = len(wrong) == 1
    return [f"alone, on the oracle's input, {'layer' if one else 'layers'} {numbers} {'fails' if one else 'fail'}"]


def _plain(adapter: Adapter, case: Case, dtype: str, k: float) -> Comparison | None:
    """The case's own model and inputs, with nothing done to them."""
    try:
        weights = Trial(adapter, dtype, k).weights(case)
        call = Call(case.head, case.config, weights, dtype, {**case.inputs(), **case.labels()})
        return compare(adapter, call.traced(), k)
    except Exception:  # a case whose point is that it cannot be called
        return None


def _larger(case: Case) -> Case:
    """A case of the same kind in which more can be told apart."""
    switches = {name: value for name, value in case.config.items() if name not in _SIZES}
    try:
        return typical_case(case.seed, case.head, masks=("irregular",), min_batch=3, min_seq_len=5, **switches)
    except Exception:  # its switches fit its sizes alone
        return case
