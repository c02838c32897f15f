"""The model in the box means the same to the transformers library: same tokens, same predictions on held-out lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerForMaskedLM, RoFormerTokenizer
from roformer_numpy.models_in_the_box import resolve

from ..conftest import PEERS

ROOT = Path(__file__).parents[2]
LINES = ROOT / "fixtures" / "models" / "held_out_lines.txt"

# Both sides compute in float32, in another order: the logits of these lines differ by 5e-6 (the run prints it). Tokens
# whose logits lie closer together than this may change places; anything farther apart may not.
NEAR_TIE = 2e-5

RUNS = [
    (peer, framework)
    for peer, variable in PEERS.items()
    if os.environ.get(variable)
    for framework in (("torch", "tensorflow") if "4.37" in peer else ("torch",))
]
each = pytest.mark.parametrize(("peer", "framework"), RUNS, ids=lambda part: part)


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], dict[str, Any]]:
    """What a release says about the 200 lines."""

    def ask(peer: str, framework: str) -> dict[str, Any]:
        out = tmp_path_factory.mktemp("answers") / "answer.json"
        script = Path(__file__).with_name("peer_top.py")
        finished = subprocess.run(
            [os.environ[PEERS[peer]], str(script), str(resolve("tang-mini")), str(LINES), str(out), framework],
            capture_output=True, text=True, timeout=280,
            env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
                 "USE_FLAX": "0", "HOME": str(out.parent), **({"USE_TF": "0"} if framework == "torch" else {})},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr[-2000:]
        return json.loads(out.read_text(encoding="utf-8"))

    return cache(ask)


@pytest.fixture(scope="module")
def ours() -> tuple[list[list[int]], np.ndarray]:
    """Our tokens of the lines, and the logits of each mask."""
    folder = resolve("tang-mini")
    model, tokenizer = RoFormerForMaskedLM.from_pretrained(folder), RoFormerTokenizer.from_pretrained(folder)
    texts = [line.split("\t")[0] for line in LINES.read_text(encoding="utf-8").splitlines()]
    rows = tokenizer(texts, padding=True, return_tensors="np")
    logits = model(**rows).logits[rows.input_ids == tokenizer.mask_token_id]
    return tokenizer(texts)["input_ids"], logits


@each
def test_every_tensor_of_the_folder_has_its_place_there(answers: Any, peer: str, framework: str) -> None:
    """Nothing is missing, unexpected or of another shape, and half-precision weights are computed in float32."""
    answer = answers(peer, framework)
    assert {name: found for name, found in answer["loading"].items() if found} == {}
    assert answer["dtype"] == "float32"
    assert f"transformers {answer['version']}".startswith(f"{peer}.")


@each
def test_the_tokens_are_the_same(answers: Any, ours: Any, peer: str, framework: str) -> None:
    """Their tokenizer, chosen by what the folder says, gives our ids."""
    assert answers(peer, framework)["input_ids"] == ours[0]


@each
def test_the_five_best_predictions_are_the_same(
    answers: Any, ours: Any, peer: str, framework: str, record_property: Any
) -> None:
    """On 200 held-out lines: the same five tokens in the same order, but for near-ties, with the same logits."""
    answer, logits = answers(peer, framework), ours[1]
    theirs = np.array(answer["logits"])
    difference = np.abs(np.take_along_axis(logits, np.array(answer["ids"]), axis=1) - theirs).max()
    record_property("largest difference", (peer, f"tang-mini, {framework}", "masked_lm", "", float(difference)))
    assert len(logits) == 200
    assert difference <= NEAR_TIE
    for row, (ids, values) in enumerate(zip(answer["ids"], theirs, strict=True)):
        our_best = np.argsort(-logits[row])[:5]
        for place, token in enumerate(our_best):
            near = [ids[other] for other in range(6) if abs(values[other] - values[place]) <= NEAR_TIE]
            assert token in near, f"line {row + 1}, place {place + 1}: {token}, expected {ids[place]}"
