"""Compares our gradients with a file that `fixtures.generate.gradients` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from roformer_conformance.vectors import Vector
from roformer_numpy import RoFormerConfig

from .support import MODELS

ADDED = ("inputs_embeds", "encoder_hidden_states")

# The library has no pooler.
NOT_THEIRS = {"pooler.dense.weight", "pooler.dense.bias"}


def largest_difference(vector: Vector, recorded: Mapping[str, np.ndarray], components: str = "equations") -> float:
    """The largest difference of any tensor, relative to the tensor's largest element.

    A tensor that vanishes but for rounding, such as the bias of a key without rotation, is measured against the largest
    element of all tensors. What the file lacks must be the pooler's, which the library does not have, and be 0.
    """
    theirs = _part(recorded, "gradients/")
    ours = our_gradients(vector, _part(recorded, "upstream/"), components)
    assert float(ours.pop("loss")) == pytest.approx(float(recorded["loss"]), rel=1e-12, abs=1e-12)
    lacking = ours.keys() - theirs.keys()
    assert lacking <= NOT_THEIRS
    assert theirs.keys() <= ours.keys(), sorted(theirs.keys() - ours.keys())
    assert not any(ours[name].any() for name in lacking)
    overall = max(float(np.abs(array).max(initial=0.0)) for array in theirs.values())
    differences = []
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        largest = float(np.abs(expected).max(initial=0.0))
        scale = largest if largest > 1e-9 * overall else overall
        differences.append(float(np.abs(ours[name] - expected).max(initial=0.0)) / (scale or 1.0))
    return max(differences)


def our_gradients(vector: Vector, upstream: Mapping[str, np.ndarray], components: str) -> dict[str, Any]:
    """Loss and gradients of a recorded call in float64, by name."""
    config = RoFormerConfig.from_dict(dict(vector.described["config"]))
    model = MODELS[vector.head].from_weights(config, vector.weights(), dtype="float64", components=components)
    found = model.gradients(**vector.inputs(), **({"upstream": dict(upstream)} if upstream else {}))
    added = {name: getattr(found, name) for name in ADDED}
    return {"loss": found.loss, **found.to_weights(), **{name: x for name, x in added.items() if x is not None}}


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
