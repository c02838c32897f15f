"""One attempt at one claim: what a check can do with the implementation under test."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from .budget import FAILS_AT, Verdict, judge, judge_carefully
from .oracle import Oracle, schema, trained_weights
from .partial import Seen, askable, kind_of, lacking
from .precision import PRECISIONS, carried, is_half, rounded
from .protocol import (
    Adapter,
    AdapterError,
    Array,
    Capabilities,
    ImplementationDied,
    Model,
    Outputs,
    Unsupported,
    flatten,
    is_unsupported,
)
from .resources import scratch
from .shortening import values
from .strategies import Case
from .weights import TRAINED, draw_weights

# What a check asks for to see inside.
TRACES: Mapping[str, Any] = MappingProxyType({"output_hidden_states": True, "output_attentions": True})

# What a check asks for to go on from where a call ended.
CACHED: Mapping[str, Any] = MappingProxyType({"use_cache": True})

# A check asks for the weights of one case again and again, and seldom for those of more than a few.
_KEPT_DRAWS = 4

# So many legitimate runs, or what they are off by.
Runs = Callable[[int], list[Outputs]]

# Outputs from the first to the last: a difference is reported where it first shows.
_TAP_ORDER = (
    "hidden_states",
    "attentions",
    "cross_attentions",
    "past_key_values",
    "last_hidden_state",
    "pooler_output",
)


class Violation(AssertionError):
    """A claim does not hold; the message says what was compared, where, what was got and what was expected."""

    def __init__(self, message: str, grade: float | None = None) -> None:
        super().__init__(message)
        self.grade = grade


class NotRefused(Violation):
    """Bad input gave a result, or an error that does not say what helps: no number is wrong."""


@dataclass
class Trial:
    """An implementation under test, the type it computes in, and the largest grade against the oracle so far."""

    adapter: Adapter
    dtype: str
    k: float = FAILS_AT
    grade: float = 0.0
    drawn: dict[str, dict[str, Array]] = field(default_factory=dict, repr=False)  # weights of the latest cases

    def weights(self, case: Case) -> dict[str, Array]:
        """The case's weights, representable in the implementation's type, as read-only float64 arrays.

        An implementation whose weights are fixed has its own.
        """
        own: Any = getattr(self.adapter, "own_weights", None)
        if own is not None:
            return dict(own(case.head, self.dtype))
        key = f"{case.head} {case.profile} {case.seed} {sorted(case.config.items())}"
        if key not in self.drawn:
            if len(self.drawn) >= _KEPT_DRAWS:
                self.drawn.clear()
            self.drawn[key] = self._drawn(case)
            for array in self.drawn[key].values():
                array.flags.writeable = False
        return dict(self.drawn[key])

    def _drawn(self, case: Case) -> dict[str, Array]:
        if case.profile == TRAINED:
            return {name: rounded(array, self.dtype) for name, array in trained_weights(case.head).items()}
        return draw_weights(schema(case.config, case.head), case.profile, case.seed, self.dtype)

    def oracle(self, case: Case, weights: Mapping[str, Array] | None = None) -> Oracle:
        """The judge of the case's model, or of one with changed weights: as the implementation gets them, rounded."""
        if weights is None:
            return Oracle(case.head, case.config, self.weights(case))
        given = {name: rounded(array, self.dtype) for name, array in weights.items()}
        return Oracle(case.head, case.config, given)

    def load(self, case: Case, weights: Mapping[str, Array] | None = None) -> Model:
        """The case's model, with its own weights or with changed ones."""
        weights = self.weights(case) if weights is None else weights
        given = {name: carried(array, self.dtype) for name, array in weights.items()}
        model = self.adapter.load(case.head, dict(case.config), given, self.dtype)
        if not callable(model):
            raise AdapterError(f"load returned a {type(model).__name__}, expected what is called with the inputs")
        return model

    def call(self, model: Model, inputs: Mapping[str, Any], style: str = "keywords", **options: Any) -> Outputs:
        """The model's outputs, tuples spread out into `hidden_states.0`, …"""
        outputs = model(inputs, style=style, options=askable(options, self.lacking))
        return Seen(flatten(outputs), self.lacking)

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The outputs that the implementation does not claim to have."""
        return lacking(Capabilities.of(self.adapter))

    def _comparable(self, names: Iterable[str]) -> list[str]:
        """The outputs among these that are claimed, earliest first.

        Raises:
            Unsupported: none is, though some would be there.
        """
        wanted = list(names)
        left = sorted((tap for tap in wanted if kind_of(tap) not in self.lacking), key=tap_position)
        if self.lacking and not left:
            raise Unsupported(", ".join(sorted(self.lacking)))
        return left

    def agrees(
        self,
        case: Case,
        inputs: Mapping[str, Any],
        got: Outputs,
        options: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
        rows: Array | None = None,
    ) -> None:
        """Every output lies within the budget of the float64 oracle, earliest first (NUM-1)."""
        oracle = self.oracle(case, weights)
        given = dict(options or {})
        expected = oracle.run(inputs, given)
        runs = cache(lambda count: oracle.legitimate_runs(inputs, given, self.dtype, count))
        if rows is None and "attention_mask" in inputs:
            rows = query_rows(inputs)
        for tap in self._comparable(expected):
            expect(tap in got, f"outputs are missing: {_missing(expected, got)}")
            honest = partial(of_tap, tap, runs)
            verdict = judge_carefully(tap, got[tap], expected[tap], honest, self.dtype, rows, self.k)
            self.grade = max(self.grade, verdict.grade if np.isfinite(verdict.grade) else 0.0)
            raise_unless_passed(verdict)

    def equals(self, what: str, got: Outputs, expected: Outputs, taps: Iterable[str] | None = None) -> None:
        """The same outputs to the last bit."""
        names = set(taps) if taps is not None else got.keys() | expected.keys()
        for tap in self._comparable(names):
            expect(tap in got and tap in expected, f"{what}: {tap} is missing on one side")
            if np.array_equal(got[tap], expected[tap], equal_nan=got[tap].dtype.kind == "f"):
                continue
            expect(
                got[tap].shape == expected[tap].shape,
                f"{what}: {tap} has shapes {got[tap].shape}, {expected[tap].shape}",
            )
            same = (got[tap] == expected[tap]) | ((got[tap] != got[tap]) & (expected[tap] != expected[tap]))
            index = tuple(int(axis) for axis in np.argwhere(~same)[0])
            raise Violation(
                f"{what}: {tap}{list(index)} is {got[tap][index]!r}, expected exactly {expected[tap][index]!r}"
            )

    def close(
        self,
        what: str,
        got: Array,
        expected: Array,
        case: Case,
        inputs: Mapping[str, Any],
        tap: str,
        select: Callable[[Array], Array] = lambda array: array,
        options: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
    ) -> None:
        """Two results of the implementation that only rounding may tell apart: `match` for one output."""
        self.match(what, {tap: got}, {tap: expected}, case, inputs, select, options, weights)

    def proportions_left(self, probs: Array, visible: Array) -> tuple[Array, Array]:
        """Attention weights once keys are taken out, float64, and in which rows of them rounding left enough to tell.

        Args:
            probs: weights of a call that sees all keys, (batch, heads, queries, keys).
            visible: which of them stay, bool, broadcast to the same.

        Returns:
            What stays as shares of its sum, 0 where nothing does; and rows, bool (batch, heads, queries).
        """
        left = np.where(visible, probs.astype(np.float64), 0.0)
        total = left.sum(axis=-1, keepdims=True)
        too_little = total[..., 0] <= PRECISIONS[self.dtype].telling  # a NaN is not
        return left / np.where(total == 0.0, 1.0, total), ~too_little

    def match(
        self,
        what: str,
        got: Outputs,
        expected: Outputs,
        case: Case,
        inputs: Mapping[str, Any],
        select: Callable[[Array], Array] = lambda array: array,
        options: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
    ) -> None:
        """Every output in `expected` is that of `got`, but for rounding, earliest first.

        The honest spread is that of the case's run on `inputs` and `options` with `weights` (its own by default);
        `select` picks the part of its outputs that is compared. Both sides err, so twice the budget is allowed.
        """
        for verdict in self._compared(what, got, expected, case, inputs, select, options, weights):
            raise_unless_passed(verdict, what)

    def differ(
        self,
        what: str,
        got: Outputs,
        expected: Outputs,
        case: Case,
        inputs: Mapping[str, Any],
        select: Callable[[Array], Array] = lambda array: array,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Some output differs from `expected` by more than rounding explains; the counterpart of `match`.

        In half precision an honest effect may be as small as rounding: there it is enough that some bit differs.
        """
        if is_half(self.dtype) and any(not np.array_equal(got[tap], expected[tap]) for tap in expected):
            return
        verdicts = list(self._compared(what, got, expected, case, inputs, select, options, None))
        expect(
            any(not verdict.passed for verdict in verdicts),
            f"{what}: {', '.join(expected)} stayed the same up to rounding, expected a difference",
        )

    def _compared(
        self,
        what: str,
        got: Outputs,
        expected: Outputs,
        case: Case,
        inputs: Mapping[str, Any],
        select: Callable[[Array], Array],
        options: Mapping[str, Any] | None,
        weights: Mapping[str, Array] | None,
    ) -> Iterator[Verdict]:
        oracle = self.oracle(case, weights)
        runs = cache(lambda count: oracle.spreads(inputs, dict(options or {}), self.dtype, count))
        for tap in self._comparable(expected):
            expect(tap in got, f"{what}: {tap} is missing")
            expect(
                got[tap].shape == expected[tap].shape,
                f"{what}: {tap} has shape {got[tap].shape}, expected {expected[tap].shape}",
            )
            reference = expected[tap].astype(np.float64)
            verdict = judge(tap, got[tap], reference, [], self.dtype, None, 2 * self.k)
            if not verdict.passed:  # the floor is part of every budget: what stays below it needs no runs
                honest = partial(_around, reference, tap, runs, select)
                verdict = judge_carefully(tap, got[tap], reference, honest, self.dtype, None, 2 * self.k)
            yield verdict

    def reload(self, case: Case, model: Model, **overrides: Any) -> Model:
        """The model after it was saved and loaded again; needs the capability "saving", or "overrides"."""
        saved: Any = model
        adapter: Any = self.adapter
        with scratch() as folder:
            saved.save(folder)
            return adapter.load_saved(case.head, folder, self.dtype, **overrides)

    def refuses(
        self, call: Callable[[], Any], argument: str | tuple[str, ...], *mentions: str | tuple[str, ...]
    ) -> None:
        """The call is an error of ValueError or TypeError that names the argument and everything in `mentions`.

        A tuple among them holds different ways of saying one thing.
        """
        wanted = [(word,) if isinstance(word, str) else word for word in (argument, *mentions)]
        told = ", ".join(map(_in_words, wanted))
        what = " or ".join(wanted[0])
        try:
            call()
        except (ValueError, TypeError) as error:
            missing = [_in_words(words) for words in wanted if not any(word in str(error) for word in words)]
            if missing:
                raise NotRefused(f"the error for {what} does not mention {', '.join(missing)}: {error}") from error
        except Exception as error:
            if is_unsupported(error) or isinstance(error, ImplementationDied):
                raise
            got = f"{type(error).__name__}: {error}"
            raise NotRefused(f"{what}: expected a ValueError or TypeError that mentions {told}, got {got}") from error
        else:
            raise NotRefused(f"{what}: expected an error that mentions {told}, got a result")


def _in_words(ways: tuple[str, ...]) -> str:
    """Different ways of saying one thing: two, or one of more."""
    ways = tuple(dict.fromkeys(ways))
    return " or ".join(ways) if len(ways) < 3 else f"{ways[0]} (or as much in other words)"


def of_tap(tap: str, runs: Runs, count: int) -> list[Array]:
    """One output of `count` legitimate runs."""
    return [run[tap] for run in runs(count)]


def _around(reference: Array, tap: str, spreads: Runs, select: Callable[[Array], Array], count: int) -> list[Array]:
    """`reference`, off by what a part of one output of `count` legitimate runs is off by."""
    return [reference + select(spread[tap]) for spread in spreads(count)]


def _missing(expected: Outputs, got: Outputs) -> str:
    """The outputs that are not there, and the names of what is there where none of them is."""
    missing = ", ".join(sorted(expected.keys() - got.keys()))
    return missing if got.keys() & expected.keys() else f"{missing}; there is {', '.join(sorted(got)) or 'nothing'}"


def raise_unless_passed(verdict: Verdict, what: str = "") -> None:
    """Raise a Violation unless the verdict is that the output passed; it says where, by how much and what was got."""
    if verdict.passed:
        return
    where = f"{verdict.tap}{list(verdict.index)}" if verdict.index else verdict.tap
    told = f": {values(verdict.got, verdict.expected)}" if verdict.index else ""
    raise Violation(f"{what}{': ' if what else ''}{where} {verdict.reason}{told}", verdict.grade)


@contextmanager
def without_warnings() -> Iterator[None]:
    """For what an implementation may warn about, such as a missing head or NaN: only the result counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """What an implementation says by the `warnings` module, or logs as a warning, one text each."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logging.getLogger().addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield heard
            heard += [str(warning.message) for warning in caught]
    finally:
        logging.getLogger().removeHandler(listener)


def expect(holds: bool, message: str) -> None:
    """Raise a Violation unless `holds`."""
    if not holds:
        raise Violation(message)


def tap_position(tap: str) -> tuple[int, int, str]:
    """Where an output stands in the order of computing: hidden_states.0 first, by layer, what stands on top last."""
    name, _, rest = tap.partition(".")
    number = rest.partition(".")[0]
    layer = int(number) if number.isdigit() else 0  # names of weights hold dots, too
    stage = 0 if name in _TAP_ORDER[:4] else 1 if name in _TAP_ORDER else 3 if name.startswith("loss") else 2
    # the attention of layer 0 comes after hidden_states.0 and before hidden_states.1
    return (stage, 2 * layer + (name != "hidden_states") if stage == 0 else 0, tap)


def query_rows(inputs: Mapping[str, Any]) -> Array:
    """Which positions of the call are tokens: the mask without what is cached, choices as rows."""
    mask = np.asarray(inputs["attention_mask"]).astype(bool)
    sequence = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
    seq_len = np.shape(sequence)[mask.ndim - 1]
    return mask.reshape(-1, mask.shape[-1])[:, -seq_len:]
