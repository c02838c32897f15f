"""The recorded updates of AdamW are what PyTorch computes today."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ..adamw_case import CASE, PYTORCH
from ..conftest import PEERS

AVAILABLE = [peer for peer, variable in PEERS.items() if os.environ.get(variable)]


@pytest.mark.parametrize("peer", AVAILABLE)
def test_the_recorded_updates_are_pytorchs(peer: str) -> None:
    """torch.optim.AdamW over the same gradients, in double precision."""
    finished = subprocess.run(
        [os.environ[PEERS[peer]], str(Path(__file__).with_name("adamw_peer.py"))],
        input=json.dumps(CASE), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    np.testing.assert_allclose(json.loads(finished.stdout), PYTORCH, rtol=1e-14)
