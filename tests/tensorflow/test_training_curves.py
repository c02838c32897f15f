"""One training run in NumPy and in TensorFlow: the benchmark that lays the curves together, over its first steps."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = 1e-5


@pytest.mark.parametrize("task", ["masked-lm", "causal-lm"])
def test_the_same_run_has_the_same_losses_in_numpy_and_tensorflow(task: str, tmp_path: Path) -> None:
    """Same weights, batches, masks, rates, AdamW: ten updates agree, and the picture is drawn."""
    picture = tmp_path / "curves.png"
    finished = subprocess.run(
        [sys.executable, "benchmarks/training_curves.py", "--task", task, "--steps", "10", "--picture", str(picture)],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr[-2000:]
    found = re.search(r"differ by at most (\S+), at step", finished.stdout)
    assert found is not None
    assert float(found[1]) <= ALLOWED
    first, last = re.findall(r"(\d+\.\d+) at the", finished.stdout)
    assert float(last) < float(first)
    assert picture.read_bytes().startswith(b"\x89PNG")
