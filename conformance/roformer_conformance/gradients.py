"""What the checks of gradients share: one call, the comparison with the oracle, and differences of the loss itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from .budget import Verdict, judge_carefully
from .oracle import schema
from .precision import PRECISIONS, is_half, rounded
from .protocol import Array, Model, Outputs, Unsupported, as_array
from .strategies import Case
from .trial import Trial, Violation, expect, raise_unless_passed
from .wrong_slopes import explain

Weights = Mapping[str, Array]


def gradients(trial: Trial, model: Model, inputs: Mapping[str, Any], **options: Any) -> Outputs:
    """The mean loss and its gradients by name, as arrays; `options` are those of a call."""
    asked: Any = model
    return {name: as_array(array) for name, array in asked.gradients(dict(inputs), options).items()}


def expected_names(case: Case, inputs: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name → shape of everything that `gradients` returns."""
    given = {"inputs_embeds": np.shape(inputs["inputs_embeds"])} if "inputs_embeds" in inputs else {}
    return {"loss": (), **schema(case.config, case.head), **given}


def expect_complete(case: Case, inputs: Mapping[str, Any], got: Outputs) -> None:
    """A gradient of its own shape for every weight, and for inputs_embeds where they were given."""
    for name, shape in expected_names(case, inputs).items():
        expect(name in got, f"the gradient by {name} is missing")
        expect(got[name].shape == shape, f"the gradient by {name} has shape {got[name].shape}, expected {shape}")


def expect_zero(name: str, gradient: Array, wrong: Array, why: str) -> None:
    """No element of `gradient` at `wrong`, bool of its first axes, is anything but 0."""
    at = np.argwhere(wrong.reshape(wrong.shape + (1,) * (gradient.ndim - wrong.ndim)) & (gradient != 0))
    if len(at):
        index = tuple(int(axis) for axis in at[0])
        expect(False, f"the gradient by {name}{list(index)} is {gradient[index]!r}, expected exactly 0: {why}")


def agree(
    trial: Trial,
    case: Case,
    inputs: Mapping[str, Any],
    got: Outputs,
    *,
    expected: Outputs | None = None,
    weights: Weights | None = None,
    what: str = "",
    factor: float = 1.0,
) -> None:
    """Every gradient lies within the budget of the oracle's, or of `expected`: the last layer's first (NUM-1).

    Args:
        trial: the implementation.
        case: its model.
        inputs: of the call.
        got: what it returned.
        expected: another result of the implementation, in place of the oracle's; both sides err then.
        weights: in place of the case's own.
        what: is compared, for the message.
        factor: by which the budget is multiplied.
    """
    expect_complete(case, inputs, got)
    oracle = trial.oracle(case, weights)
    exact = oracle.gradients(inputs, {})
    runs = cache(lambda count: oracle.legitimate_gradients(inputs, {}, trial.dtype, count))
    for name in backward_order(exact):
        reference = exact[name] if expected is None else expected[name].astype(np.float64)
        honest = partial(_around, reference, name, runs, exact)
        verdict = judge_carefully(name, got[name], reference, honest, trial.dtype, None, factor * trial.k)
        if expected is None:
            trial.grade = max(trial.grade, verdict.grade if np.isfinite(verdict.grade) else 0.0)
        if not verdict.passed:
            _raise_explained(verdict, what, got, exact if expected is None else expected, inputs)


def _around(
    reference: Array, name: str, runs: Callable[[int], list[Outputs]], exact: Outputs, count: int
) -> list[Array]:
    return [reference + (run[name] - exact[name]) for run in runs(count)]


def _raise_explained(verdict: Verdict, what: str, got: Outputs, right: Outputs, inputs: Mapping[str, Any]) -> None:
    """Raise the verdict, and say in numbers in what way the gradients are wrong."""
    try:
        raise_unless_passed(verdict, what)
    except Violation as violation:
        raise Violation(f"{violation}; {explain(got, right, inputs)}", violation.grade) from violation


def backward_order(names: Mapping[str, Any]) -> list[str]:
    """The loss, then the gradients in the order in which a backward pass comes to them: what is on top first."""
    weights = [name for name in names if name not in ("loss", "inputs_embeds")]
    return ["loss", *reversed(weights), *(name for name in names if name == "inputs_embeds")]


def smooth(case: Case, dtype: str) -> Case:
    """The case; in half precision with gelu where the slope of its activation jumps at 0.

    On which side a unit lies is a matter of rounding there, and every gradient behind it follows.
    """
    jumps = is_half(dtype) and case.config["hidden_act"] in ("relu", "selu")
    return case.with_config(hidden_act="gelu") if jumps else case


def slope(
    trial: Trial, case: Case, inputs: Mapping[str, Any], along: Weights, share: float = 1.0, **options: Any
) -> tuple[float, float, Outputs]:
    """How the mean loss changes when the weights move `along`, and how uncertain that number is, by the loss alone.

    Central differences with the step whose errors of truncation and rounding are alike, or a `share` of it, and with
    twice that step: the difference of the two is three times the truncation. Rounding is what the legitimate runs of
    the loss differ by. The weights are moved as far as the type lets them. Half precision has too few digits: where a
    step is large enough for its rounding, the loss is no longer a parabola.

    Returns:
        the change of the loss between the two ends, its uncertainty, and how far each weight really moved.

    Raises:
        Unsupported: the implementation computes in half precision.
    """
    if is_half(trial.dtype):
        raise Unsupported("a type with digits enough for differences")
    step = share * (2.0 * PRECISIONS[trial.dtype].unit) ** (1 / 3)
    weights = trial.weights(case)
    changes, moves = [], []
    for size in (step, 2 * step):
        ends = [{name: rounded(array + sign * size * along[name], trial.dtype) for name, array in weights.items()}
                for sign in (1.0, -1.0)]  # fmt: skip
        high, low = (float(_mean(trial.call(trial.load(case, end), inputs, **options)["loss"])) for end in ends)
        changes.append(high - low)
        moves.append({name: ends[0][name] - ends[1][name] for name in weights})
    runs = trial.oracle(case).spreads(inputs, options, trial.dtype)
    rounding = max(abs(float(_mean(run["loss"]))) for run in runs) + 2.0 * PRECISIONS[trial.dtype].unit
    return changes[0], abs(changes[1] / 2 - changes[0]) + 2 * trial.k * rounding, moves[0]


def _mean(loss: Array) -> Any:
    return loss.sum() / max(loss.size, 1)
