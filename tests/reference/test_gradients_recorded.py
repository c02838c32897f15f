"""Our gradients beside those of PyTorch's autograd through transformers 4.37, as recorded in fixtures/gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from roformer_conformance.vectors import load_vectors

from ..gradient_files import largest_difference
from ..support import HEADS

FOLDER = Path(__file__).parents[2] / "fixtures" / "gradients"
RECORDED = sorted(FOLDER.glob("*.safetensors"))
VECTORS = {vector.id: vector for vector in load_vectors()}
ALLOWED = 1e-11  # of the largest element of a tensor


def test_every_head_has_recorded_gradients() -> None:
    """No head goes without a witness from outside."""
    assert {VECTORS[path.stem].head for path in RECORDED} == set(HEADS)


@pytest.mark.parametrize("components", ["equations", "kernels"])
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_gradients_are_those_that_were_recorded(path: Path, components: str) -> None:
    """Every tensor, in double precision, whichever arithmetic ran forward."""
    difference = largest_difference(VECTORS[path.stem], load_file(path), components)
    assert np.isfinite(difference)
    assert difference <= ALLOWED
