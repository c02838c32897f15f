"""The writer in the box means the same to the transformers library: same logits, same continuations of held-out lines.

PyTorch only: TensorFlow's causal model of 4.37 sees the future, whatever the configuration says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerForCausalLM, RoFormerTokenizer
from roformer_numpy.models_in_the_box import resolve

from ..conftest import PEERS

HELD_OUT = Path(__file__).parents[2] / "fixtures" / "models" / "held_out_quatrains.txt"
LINES = HELD_OUT.read_text(encoding="utf-8").splitlines()[:25]
NEAR = 2e-5  # two float32 computations in another order
AVAILABLE = [peer for peer, variable in PEERS.items() if os.environ.get(variable)]
each = pytest.mark.parametrize("peer", AVAILABLE)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What a release says about the lines."""

    def ask(peer: str) -> dict[str, Any]:
        home = tmp_path_factory.mktemp("answers")
        (home / "lines.txt").write_text("\n".join(LINES), encoding="utf-8")
        script = Path(__file__).with_name("peer_writes.py")
        finished = subprocess.run(
            [os.environ[PEERS[peer]], str(script), str(resolve("tang-mini-writer")), str(home / "lines.txt"),
             str(home / "answer.json")],
            capture_output=True, text=True, timeout=280, check=False,
            env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
                 "USE_FLAX": "0", "USE_TF": "0", "HOME": str(home)},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr[-2000:]
        return json.loads((home / "answer.json").read_text(encoding="utf-8"))

    return cache(ask)


@pytest.fixture(scope="module")
def ours() -> tuple[RoFormerForCausalLM, RoFormerTokenizer]:
    """The model and its tokenizer."""
    folder = resolve("tang-mini-writer")
    return RoFormerForCausalLM.from_pretrained(folder), RoFormerTokenizer.from_pretrained(folder)


@each
def test_every_tensor_of_the_writers_folder_has_its_place_there(answers: Any, peer: str) -> None:
    """Nothing is missing, unexpected or of another shape, and half-precision weights are computed in float32."""
    answer = answers(peer)
    assert {name: found for name, found in answer["loading"].items() if found} == {}
    assert answer["dtype"] == "float32"
    assert f"transformers {answer['version']}".startswith(f"{peer}.")


@each
def test_every_position_has_the_same_five_best_and_the_same_logits(
    answers: Any, ours: Any, peer: str, record_property: Any
) -> None:
    """Causal there as here: of each position of 25 quatrains the same five tokens in order, but for near-ties."""
    model, tokenizer = ours
    largest = 0.0
    for line, found in zip(LINES, answers(peer)["lines"], strict=True):
        assert tokenizer(line)["input_ids"][:-1] == found["input_ids"]
        logits, theirs = model([found["input_ids"]]).logits[0], np.array(found["logits"])
        largest = max(largest, float(np.abs(np.take_along_axis(logits, np.array(found["best"]), 1) - theirs).max()))
        for place, tokens in enumerate(np.argsort(-logits, axis=1)[:, :5]):
            near = [np.abs(theirs[place] - theirs[place, rank]) <= NEAR for rank in range(5)]
            assert all(token in np.array(found["best"][place])[near[rank]] for rank, token in enumerate(tokens))
    record_property("largest difference", (peer, "tang-mini-writer, torch", "causal_lm", "", largest))
    assert largest <= NEAR


@each
def test_greedy_continuations_are_the_same_with_and_without_the_cache(answers: Any, ours: Any, peer: str) -> None:
    """Token by token what their `generate` adds to the first clause of each line, up to [SEP]."""
    model, tokenizer = ours
    for line, found in zip(LINES, answers(peer)["lines"], strict=True):
        beginning = tokenizer(re.match(r".*?[，？！；]", line)[0])["input_ids"][:-1]  # type: ignore[index]
        for use_cache, theirs in zip((True, False), found["written"], strict=True):
            written = model.generate([beginning], max_new_tokens=12, use_cache=use_cache)[0].tolist()
            assert written == theirs, line
