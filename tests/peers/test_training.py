"""What was trained here and what PyTorch computes: AdamW's updates, and folders of `roformer train` in transformers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import roformer_numpy
from roformer_numpy import RoFormerTokenizer
from roformer_numpy.cli import app

from ..adamw_case import CASE, PYTORCH
from ..conftest import PEERS

AVAILABLE = [peer for peer, variable in PEERS.items() if os.environ.get(variable)]
TEXTS = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"]
ROWS: dict[str, list[dict[str, Any]]] = {
    "masked-lm": [{"text": text} for text in TEXTS],
    "sequence-classification": [{"text": text, "label": text[0]} for text in TEXTS],
    "token-classification": [{"tokens": list(text), "labels": list(text)} for text in TEXTS],
    "causal-lm": [{"text": text} for text in TEXTS],
}
CLASSES = {
    "masked-lm": "RoFormerForMaskedLM",
    "sequence-classification": "RoFormerForSequenceClassification",
    "token-classification": "RoFormerForTokenClassification",
    "causal-lm": "RoFormerForCausalLM",
}
NEAR = 2e-5  # two float32 computations in another order


def run_peer(peer: str, script: str, *arguments: str, home: Path, given: str = "") -> str:
    """What a script prints in the release's interpreter."""
    finished = subprocess.run(
        [os.environ[PEERS[peer]], str(Path(__file__).with_name(script)), *arguments],
        input=given, capture_output=True, text=True, timeout=200, check=False,
        env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
             "USE_TF": "0", "USE_FLAX": "0", "HOME": str(home)},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


@pytest.mark.parametrize("peer", AVAILABLE)
def test_the_recorded_updates_are_pytorchs(peer: str, tmp_path: Path) -> None:
    """torch.optim.AdamW over the same gradients, in double precision."""
    printed = run_peer(peer, "adamw_peer.py", home=tmp_path, given=json.dumps(CASE))
    np.testing.assert_allclose(json.loads(printed), PYTORCH, rtol=1e-14)


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("peer", AVAILABLE)
def test_transformers_loads_what_was_trained(peer: str, task: str, tmp_path: Path) -> None:
    """Every tensor has its place there; labels, tokens and logits are ours."""
    data, folder = tmp_path / "rows.jsonl", tmp_path / "trained"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS[task]), encoding="utf-8")
    options = ["--task", task, "--output", str(folder), "--steps", "2", "--held-out", "0"]
    finished = CliRunner().invoke(app, ["train", "tang-mini", str(data), *options])
    assert finished.exit_code == 0, finished.output
    run_peer(peer, "trained_peer.py", str(folder), CLASSES[task], str(tmp_path / "found.json"), home=tmp_path)
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    model = getattr(roformer_numpy, CLASSES[task]).from_pretrained(folder)
    encoded = RoFormerTokenizer.from_pretrained(folder)("床前明月光", return_tensors="np")
    assert found["loading"] == {}
    assert found["labels"] == {str(number): label for number, label in model.config.id2label.items()}
    assert found["input_ids"] == encoded["input_ids"].tolist()
    np.testing.assert_allclose(model(**encoded).logits, found["logits"], rtol=0, atol=NEAR)
