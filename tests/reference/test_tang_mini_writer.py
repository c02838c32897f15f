"""tang-mini-writer, the model in the box that writes: what its card says, and what it writes with and without cache."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from roformer_numpy import RoFormerForCausalLM, RoFormerTokenizer
from roformer_numpy.cli import app
from roformer_numpy.models_in_the_box import FOLDER

WRITER = FOLDER / "tang-mini-writer"
HELD_OUT = Path(__file__).parents[2] / "fixtures" / "models" / "held_out_quatrains.txt"
MARKS = "，。？！；"


@pytest.fixture(scope="module")
def quatrains() -> list[str]:
    """200 of poems that were not trained on."""
    return HELD_OUT.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def tokenizer() -> RoFormerTokenizer:
    """Of both models."""
    return RoFormerTokenizer.from_pretrained(WRITER)


def load(components: str = "kernels", dtype: str = "float32") -> RoFormerForCausalLM:
    """The model."""
    return RoFormerForCausalLM.from_pretrained(WRITER, components=components, dtype=dtype)


def summary() -> dict[str, Any]:
    """The figures of its run."""
    return json.loads((WRITER / "summary.json").read_text(encoding="utf-8"))


def run(*arguments: str) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, list(arguments))


def test_it_is_a_decoder_with_the_vocabulary_of_its_sibling(tokenizer: Any) -> None:
    """Other libraries read it as causal, begin with [CLS] and end with [SEP]."""
    config = load().config
    assert (config.is_decoder, config.bos_token_id, config.eos_token_id) == (True, 2, 3)
    assert tokenizer.get_vocab() == RoFormerTokenizer.from_pretrained(FOLDER / "tang-mini").get_vocab()


def test_it_is_stored_in_half_precision_and_small() -> None:
    """But for the table of positions, which other libraries compute with as stored."""
    stored = load_file(WRITER / "model.safetensors")
    assert {name for name, array in stored.items() if array.dtype != np.float16} == {
        "roformer.encoder.embed_positions.weight"
    }
    assert (WRITER / "model.safetensors").stat().st_size <= 1_400_000


def test_kernels_and_equations_agree_on_real_text(quatrains: list[str], tokenizer: Any) -> None:
    """float32 kernels against the definition in float64, on trained weights: 20 quatrains, every logit."""
    rows = tokenizer(quatrains[:20], padding=True, return_tensors="np")
    real = rows.attention_mask.astype(bool)
    expected = load("equations", "float64")(**rows).logits[real]
    np.testing.assert_allclose(load()(**rows).logits[real], expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_the_cache_changes_no_greedy_continuation(quatrains: list[str], tokenizer: Any) -> None:
    """Twenty first clauses: kernels with and without cache write what the definition in float64 writes."""
    fast, exact = load(), load("equations", "float64")
    for quatrain in quatrains[:20]:
        clause = quatrain[: re.search(f"[{MARKS}]", quatrain).end()]  # type: ignore[union-attr]
        ids = tokenizer([clause])["input_ids"][0][:-1]
        written = [
            model.generate([ids], max_new_tokens=28, use_cache=use_cache)[0].tolist()
            for model, use_cache in ((fast, True), (fast, False), (exact, False))
        ]
        assert written[0] == written[1] == written[2]


def test_it_surprises_as_little_as_the_summary_says(quatrains: list[str], tokenizer: Any) -> None:
    """The characters of 200 held-out quatrains: the mean loss is that of all of them, within three deviations."""
    rows = tokenizer(quatrains, padding=True, return_tensors="np")
    never = [*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids(list(MARKS))]
    labels = np.where(np.isin(rows.input_ids, never), -100, rows.input_ids)
    losses = load()(**rows, labels=labels).loss
    counts = (labels != -100).sum(axis=1)
    means = np.array([part.mean() for part in np.split(losses, np.cumsum(counts)[:-1])])
    spread = means.std() / np.sqrt(len(quatrains))
    assert abs(losses.mean() - np.log(summary()["held_out"][-1]["perplexity"])) <= 3 * spread
    assert spread < 0.1


def test_it_knows_more_than_the_character_before_tells() -> None:
    """At the same positions of the same held-out poems: better than unigram and bigram, in every figure."""
    *baselines, model = summary()["held_out"]
    assert (model["name"], [row["name"] for row in baselines]) == (
        "tang-mini-writer",
        ["unigram", "bigram, left neighbour"],
    )
    assert model["accuracy"] > max(row["accuracy"] for row in baselines)
    assert model["top_5"] > max(row["top_5"] for row in baselines)
    assert model["perplexity"] < min(row["perplexity"] for row in baselines)


def test_the_commands_on_the_card_print_what_stands_below_them() -> None:
    """Both, the greedy and the drawn one, without a note."""
    card = (WRITER / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    \$ roformer (generate tang-mini-writer .*)\n    (.*)$", card, re.MULTILINE)
    assert len(shown) == 2
    for command, text in shown:
        finished = run(*shlex.split(command))
        assert (finished.stdout, finished.stderr) == (f"{text}\n", "")


@pytest.mark.parametrize("seed", range(10))
def test_what_it_writes_has_the_form_of_verse(seed: int) -> None:
    """Drawn from nothing: two couplets or more of clauses of equal length, each with its mark, ended by itself."""
    options = ("--max-new-tokens", "33", "--do-sample", "--top-k", "20", "--seed", str(seed), "--json")
    [result] = json.loads(run("generate", "tang-mini-writer", "", *options).stdout)["results"]
    clauses = re.findall(f"([^{MARKS}]+)[{MARKS}]", result["continuation"])
    assert result["ended"]
    assert result["continuation"].endswith(tuple("。？！；"))
    assert len(clauses) in (4, 6)
    assert {len(clause) for clause in clauses} in ({4}, {5}, {6}, {7})


def test_filling_masks_with_it_is_done_with_a_note() -> None:
    """Its tensors fit, its training does not."""
    finished = run("fill-mask", "tang-mini-writer", "床前[MASK]月光")
    assert finished.exit_code == 0
    assert "tang-mini-writer was saved as RoFormerForCausalLM, which did not learn to fill in masks" in finished.stderr
