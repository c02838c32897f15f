"""Our gradients beside those of PyTorch's autograd, for every recorded case and in both releases of transformers.

The library runs in interpreters of its own (`fixtures.generate.gradients`), in double precision; it differentiates its
own mean loss, or its outputs weighed at random.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from roformer_conformance.vectors import Vector, load_vectors

from ..conftest import PEERS
from ..gradient_files import largest_difference

ROOT = Path(__file__).parents[2]
AVAILABLE = [peer for peer, variable in PEERS.items() if os.environ.get(variable)]
ALLOWED = 1e-11  # of the largest element of a tensor, or of the largest of all where it all but vanishes

# How many recorded cases a release can be asked about: not those whose contract differs from the library, nor in
# transformers 5 head_mask, pruned heads and the causal loss, which it rounds to float32.
EXPECTED = {"transformers 4.37": 254, "transformers 5": 225}


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with the gradients of each release, after one run of its interpreter."""
    return cache(lambda peer: run_peer(peer, tmp_path_factory.mktemp("gradients")))


def run_peer(peer: str, folder: Path) -> Path:
    """Let the release differentiate every case."""
    finished = subprocess.run(
        [os.environ[PEERS[peer]], "-m", "fixtures.generate.gradients", "fixtures", str(folder), "all"],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
             "USE_TF": "0", "USE_FLAX": "0", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    return folder


@pytest.mark.parametrize("peer", AVAILABLE)
def test_every_comparable_case_was_differentiated(recorded: Callable[[str], Path], peer: str) -> None:
    """None is left out in silence."""
    assert len(list(recorded(peer).glob("*.safetensors"))) == EXPECTED[peer]


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector.id)
@pytest.mark.parametrize("peer", AVAILABLE)
def test_gradients_agree_with_autograd(
    recorded: Callable[[str], Path], peer: str, vector: Vector, record_property: Callable[[str, object], None]
) -> None:
    """Every parameter, inputs_embeds and encoder_hidden_states, tensor by tensor, in double precision."""
    file = recorded(peer) / f"{vector.id}.safetensors"
    if not file.exists():
        pytest.skip("library and contract mean different numbers here; the case count is held above")
    difference = largest_difference(vector, load_file(file))
    record_property("largest difference", (peer, "gradients", vector.head, vector.id, difference))
    assert np.isfinite(difference)
    assert difference <= ALLOWED
