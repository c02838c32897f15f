"""The models that come with the package: whole, small, found by name, and better than counting."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from roformer_numpy import RoFormerForMaskedLM, RoFormerTokenizer
from roformer_numpy.cli import app
from roformer_numpy.errors import CheckpointError
from roformer_numpy.models_in_the_box import FOLDER, names, resolve
from roformer_numpy.pipelines import fill_mask

TANG_MINI = FOLDER / "tang-mini"
HELD_OUT = Path(__file__).parents[2] / "fixtures" / "models" / "held_out_lines.txt"


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """200 couplets of poems that were not trained on: text with one mask, and the poet's character."""
    pairs = [line.split("\t") for line in HELD_OUT.read_text(encoding="utf-8").splitlines()]
    return [(text, answer) for text, answer in pairs]


def load(components: str = "kernels", dtype: str = "float32") -> tuple[RoFormerForMaskedLM, RoFormerTokenizer]:
    """The model and its tokenizer."""
    model = RoFormerForMaskedLM.from_pretrained(TANG_MINI, components=components, dtype=dtype)
    return model, RoFormerTokenizer.from_pretrained(TANG_MINI)


@pytest.mark.parametrize("name", names())
def test_the_weights_are_the_ones_that_were_judged(name: str) -> None:
    """The checksum beside the file is its own."""
    recorded = (FOLDER / name / "model.safetensors.sha256").read_text(encoding="utf-8").split()[0]
    assert hashlib.sha256((FOLDER / name / "model.safetensors").read_bytes()).hexdigest() == recorded


def test_the_box_is_small() -> None:
    """Everybody who installs the package carries it."""
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 5_000_000


def test_a_name_leads_to_the_box_and_a_folder_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the current folder is what the user means."""
    monkeypatch.chdir(tmp_path)
    assert names() == ["tang-mini", "tang-mini-writer"]
    assert resolve("tang-mini") == TANG_MINI
    (tmp_path / "tang-mini").mkdir()
    assert resolve("tang-mini") == Path("tang-mini")
    assert resolve("no-such-model") == Path("no-such-model")


def test_models_and_tokenizers_are_found_by_name_from_python_too() -> None:
    """The same states as by the path; what is no name is refused with the names that there are."""
    by_name = RoFormerForMaskedLM.from_pretrained("tang-mini")(
        RoFormerTokenizer.from_pretrained("tang-mini")("床前[MASK]月光", return_tensors="np")
    )
    model, tokenizer = load()
    np.testing.assert_array_equal(by_name.logits, model(tokenizer("床前[MASK]月光", return_tensors="np")).logits)
    with pytest.raises(CheckpointError, match="In the box are tang-mini, tang-mini-writer"):
        RoFormerForMaskedLM.from_pretrained("tang-min")


def test_the_readmes_second_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """What a newcomer pastes next needs no model of their own, and writes what its card says."""
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    assert capsys.readouterr().out.replace(" ", "").startswith("[CLS]床前明月照，窗外夜钟声。")


def test_half_precision_weights_are_computed_in_single() -> None:
    """Stored as float16, but for the table of positions; loaded as float32 without a change of any value."""
    stored = load_file(TANG_MINI / "model.safetensors")
    tables = {name for name, array in stored.items() if array.dtype != np.float16}
    assert tables == {"roformer.encoder.embed_positions.weight"}
    model, _ = load()
    for name, array in model.to_weights().items():
        assert array.dtype == np.float32
        if name not in tables:
            np.testing.assert_array_equal(array, stored[name].astype(np.float32))


def test_kernels_and_equations_agree_on_real_text(lines: list[tuple[str, str]]) -> None:
    """float32 kernels against the definition in float64, on trained weights: 20 lines, every logit."""
    fast, tokenizer = load()
    exact, _ = load("equations", "float64")
    rows = tokenizer([text for text, _ in lines[:20]], padding=True, return_tensors="np")
    expected = exact(**rows).logits
    np.testing.assert_allclose(fast(**rows).logits, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_it_predicts_what_the_summary_says_on_held_out_lines(lines: list[tuple[str, str]]) -> None:
    """The poet's character is the first guess about as often as in the held-out figures: within three deviations."""
    figures = json.loads((TANG_MINI / "summary.json").read_text(encoding="utf-8"))["held_out"][-1]
    found = fill_mask(*load(), [text for text, _ in lines], top_k=5)
    guesses = [[guess.token for guess in text.masks[0].predictions] for text in found]
    share = np.mean([answer in five for five, (_, answer) in zip(guesses, lines, strict=True)])
    spread = np.sqrt(figures["top_5"] * (1 - figures["top_5"]) / len(lines))
    assert abs(share - figures["top_5"]) <= 3 * spread


def test_it_knows_more_than_the_neighbours_tell() -> None:
    """At the same positions of the same held-out poems: better than every count of neighbours, in every figure."""
    *baselines, model = json.loads((TANG_MINI / "summary.json").read_text(encoding="utf-8"))["held_out"]
    assert model["name"] == "tang-mini"
    assert len(baselines) == 5
    assert model["accuracy"] > max(row["accuracy"] for row in baselines)
    assert model["top_5"] > max(row["top_5"] for row in baselines)
    assert model["perplexity"] < min(row["perplexity"] for row in baselines)


def test_a_model_in_the_box_is_inspected_and_converted_by_its_name(tmp_path: Path) -> None:
    """As fill-mask takes it; the parameters are those of its card, the copy answers like the original."""
    inspected = CliRunner().invoke(app, ["inspect", "tang-mini"], env={"COLUMNS": "200"})
    assert inspected.exit_code == 0, inspected.stderr
    assert "1,678,453" in inspected.stdout
    assert "59 tensors float16, 1 tensor float32" in inspected.stdout
    assert CliRunner().invoke(app, ["convert", "tang-mini", str(tmp_path / "copy")]).exit_code == 0
    answers = [
        json.loads(CliRunner().invoke(app, ["fill-mask", model, "床前[MASK]月光", "--json"]).stdout)["results"]
        for model in ("tang-mini", str(tmp_path / "copy"))
    ]
    assert answers[0] == answers[1]


def test_the_example_of_the_help_gives_sensible_characters() -> None:
    """床前[MASK]月光, of a poem in the training data, which reads 看 there and 明 in the popular text."""
    finished = CliRunner().invoke(app, ["fill-mask", "tang-mini", "床前[MASK]月光", "--json"])
    assert finished.exit_code == 0, finished.stderr
    [result] = json.loads(finished.stdout)["results"]
    guesses: list[Any] = [guess["token"] for guess in result["masks"][0]["predictions"]]
    assert {"看", "明"} & set(guesses)
