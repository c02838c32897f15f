"""Our models as an implementation under test claim what is installed, and no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CLAIMS = """
import importlib.util, json, sys
real, absent = importlib.util.find_spec, sys.argv[1:]
importlib.util.find_spec = lambda name, package=None: None if name in absent else real(name, package)
from roformer_numpy.adapter import CAPABILITIES
print(json.dumps([CAPABILITIES["tokenizer"], CAPABILITIES["formats"]]))
"""


@pytest.mark.parametrize(
    ("absent", "tokenizer", "formats"),
    [
        ((), True, ["safetensors", "pytorch", "h5"]),
        (("rjieba",), False, ["safetensors", "pytorch", "h5"]),
        (("tokenizers", "ptloader", "torch", "h5py"), False, ["safetensors"]),
    ],
)
def test_without_an_extra_what_it_reads_is_not_claimed(
    absent: tuple[str, ...], tokenizer: bool, formats: list[str]
) -> None:
    """Who installs the suite alone sees that tokenizers were not tried, and no failure of ours."""
    finished = subprocess.run([sys.executable, "-c", CLAIMS, *absent], capture_output=True, text=True, check=True)
    assert json.loads(finished.stdout) == [tokenizer, formats]
