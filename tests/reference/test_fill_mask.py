"""Text in, tokens out: the pipeline `fill_mask` and the command `roformer fill-mask`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from roformer_numpy import (
    InputError,
    InputTypeError,
    RoFormerConfig,
    RoFormerForMaskedLM,
    RoFormerModel,
    RoFormerTokenizer,
)
from roformer_numpy.cli import app
from roformer_numpy.pipelines import fill_mask

CHARACTERS = "床前明月光疑是地上霜白的，。"
VOCABULARY = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, "##好"])}
TEXT = "床前[MASK]月光"


@pytest.fixture(scope="module")
def tokenizer() -> RoFormerTokenizer:
    """One token a character."""
    return RoFormerTokenizer(VOCABULARY, word_segmentation="none")


@pytest.fixture(scope="module")
def model() -> RoFormerForMaskedLM:
    """A tiny model in double precision whose random logits are far apart."""
    config = RoFormerConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, initializer_range=0.5,
    )  # fmt: skip
    return RoFormerForMaskedLM(config, dtype="float64", components="equations")


def run(*arguments: str) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, ["fill-mask", *arguments], env={"COLUMNS": "120"})


def test_predictions_are_the_softmax_of_the_masks_logits(model: Any, tokenizer: Any) -> None:
    """Token by token what exp(logit) / Σ exp(logit) says, the likeliest first."""
    [result] = fill_mask(model, tokenizer, TEXT, top_k=100)
    logits = model([[2, 5, 6, 4, 8, 9, 3]]).logits[0, 3]
    expected = np.exp(logits) / np.exp(logits).sum()
    [mask] = result.masks
    assert mask.position == 3
    assert [guess.token_id for guess in mask.predictions] == [i for i in np.argsort(-expected) if i >= 5]
    for guess in mask.predictions:
        assert guess.probability == pytest.approx(expected[guess.token_id], rel=1e-12)


def test_the_filled_text_has_the_token_in_the_masks_place(model: Any, tokenizer: Any) -> None:
    """Only the mask is replaced: spaces and case of the text stay, a piece of a word loses its ##."""
    [result] = fill_mask(model, tokenizer, "床 前[MASK]月A光", top_k=100)
    filled = {guess.token: guess.filled for guess in result.masks[0].predictions}
    assert filled["明"] == "床 前明月A光"
    assert filled["##好"] == "床 前好月A光"
    assert result.unknown == ("A",)


def test_each_mask_of_a_text_is_answered_on_its_own(model: Any, tokenizer: Any) -> None:
    """Two masks give two lists, both from the text with both masks."""
    [result] = fill_mask(model, tokenizer, "床[MASK]明[MASK]光", top_k=2)
    logits = model([[2, 5, 4, 7, 4, 9, 3]]).logits[0]
    assert [mask.position for mask in result.masks] == [2, 4]
    for mask in result.masks:
        assert mask.predictions[0].token_id == 5 + logits[mask.position, 5:].argmax()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_batches_and_padding_change_no_prediction(model: Any, tokenizer: Any, batch_size: int) -> None:
    """Texts of different lengths together mean the same as alone (MASK-3)."""
    texts = ["[MASK]", "床前[MASK]月光，疑是地上霜。", "[MASK][MASK]光"]
    steps: list[int] = []
    together = fill_mask(model, tokenizer, texts, batch_size=batch_size, on_batch=steps.append)
    assert sum(steps) == len(texts)
    for text, result in zip(texts, together, strict=True):
        [alone] = fill_mask(model, tokenizer, text)
        for one, other in zip(result.masks, alone.masks, strict=True):
            assert [guess.token for guess in one.predictions] == [guess.token for guess in other.predictions]
            chances = [[guess.probability for guess in mask.predictions] for mask in (one, other)]
            np.testing.assert_allclose(*chances, rtol=1e-12)


def test_targets_are_chosen_among_with_their_probabilities_unchanged(model: Any, tokenizer: Any) -> None:
    """A target keeps the probability that it has among all tokens; each is named once."""
    [everything] = fill_mask(model, tokenizer, TEXT, top_k=100)
    chances = {guess.token: guess.probability for guess in everything.masks[0].predictions}
    [result] = fill_mask(model, tokenizer, TEXT, targets=["白", "明", "白"])
    assert {guess.token: guess.probability for guess in result.masks[0].predictions} == {
        token: chances[token] for token in ("白", "明")
    }


def test_no_texts_give_no_results(model: Any, tokenizer: Any) -> None:
    """An empty list is no error."""
    assert fill_mask(model, tokenizer, []) == []


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"texts": [TEXT, "床前明月光"]}, InputError, r"texts\[1\] has no \[MASK\].*床前明月光"),
        ({"texts": ["床" * 15 + "[MASK]"]}, InputError, r"texts\[0\] has 18 tokens, the model takes up to 16"),
        ({"texts": [TEXT, 7]}, InputTypeError, r"texts\[1\] is 7, expected a string"),
        ({"texts": 7}, InputTypeError, "texts is 7, expected a string or a list of strings"),
        ({"texts": TEXT, "top_k": 0}, InputError, "top_k=0 is not at least 1"),
        ({"texts": TEXT, "batch_size": 0}, InputError, "batch_size=0 is not at least 1"),
        ({"texts": TEXT, "targets": "明"}, InputTypeError, "targets is the string '明', expected a list"),
        ({"texts": TEXT, "targets": ["明", "龍", "[PAD]"]}, InputError, r"targets: '龍', '\[PAD\]': expected tokens"),
        ({"texts": TEXT, "targets": []}, InputError, "targets: none given"),
    ],
)
def test_a_bad_argument_is_named(model: Any, tokenizer: Any, given: Any, error: Any, message: str) -> None:
    """The message says which text or argument, its value, and what is allowed."""
    with pytest.raises(error, match=message):
        fill_mask(model, tokenizer, **given)


def test_a_model_without_the_head_is_refused(model: Any, tokenizer: Any) -> None:
    """A bare encoder predicts no tokens."""
    with pytest.raises(InputTypeError, match="model is a RoFormerModel, expected a RoFormerForMaskedLM"):
        fill_mask(RoFormerModel(model.config), tokenizer, TEXT)  # type: ignore[arg-type]


def test_the_json_says_what_the_pipeline_says(folder: str, model: Any, tokenizer: Any) -> None:
    """Names and nesting are fixed; the numbers are those of the model that the folder holds."""
    printed = json.loads(run(folder, TEXT, "--json", "--top-k", "2").stdout)
    assert set(printed) == {"model", "results"}
    [result] = printed["results"]
    assert set(result) == {"text", "masks", "unknown"}
    [mask] = result["masks"]
    assert set(mask) == {"position", "predictions"}
    assert all(set(guess) == {"token", "token_id", "probability", "filled"} for guess in mask["predictions"])
    [expected] = fill_mask(model, tokenizer, TEXT, top_k=2)
    assert [guess["token"] for guess in mask["predictions"]] == [guess.token for guess in expected.masks[0].predictions]


def test_the_tables_show_token_probability_and_text(folder: str) -> None:
    """One table a mask, titled with its text."""
    shown = run(folder, "床[MASK]明[MASK]光", "--targets", "白,的").stdout
    assert "床[MASK]明[MASK]光, mask 1 of 2" in shown
    assert "床[MASK]明[MASK]光, mask 2 of 2" in shown
    assert "床白明[MASK]光" in shown
    assert "床[MASK]明的光" in shown
    assert "%" in shown


def test_unknown_pieces_are_named_beside_the_result(folder: str) -> None:
    """A traditional character that the vocabulary lacks does not pass in silence."""
    finished = run(folder, "牀前[MASK]月光")
    assert finished.exit_code == 0
    assert "read as [UNK] in 牀前[MASK]月光: 牀" in finished.stderr


def test_a_file_gives_one_text_a_line(folder: str, tmp_path: Path) -> None:
    """Empty lines are left out, and texts of the command line go first."""
    file = tmp_path / "texts.txt"
    file.write_text(f"{TEXT}\n\n疑是地上[MASK]\n", encoding="utf-8-sig")
    printed = json.loads(run(folder, "[MASK]", "--input", str(file), "--json").stdout)
    assert [result["text"] for result in printed["results"]] == ["[MASK]", TEXT, "疑是地上[MASK]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["床前明月光"], "texts[0] has no [MASK]"),
        ([], "no text: give one or more TEXT, or --input FILE"),
        ([TEXT, "--targets", "龍"], "targets: '龍'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(folder: str, arguments: list[str], message: str) -> None:
    """No traceback, and the cause by name."""
    finished = run(folder, *arguments)
    assert finished.exit_code == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_model_that_is_nowhere_is_refused_with_advice() -> None:
    """Neither a folder nor in the box: nothing is downloaded."""
    finished = run("no-such-model", TEXT)
    assert finished.exit_code == 2
    assert "no-such-model is no folder on this machine, and nothing is downloaded" in finished.stderr


def test_a_file_that_is_not_utf8_is_refused(folder: str, tmp_path: Path) -> None:
    """The message says where."""
    file = tmp_path / "texts.txt"
    file.write_bytes("床前".encode() + b"\xff")
    finished = run(folder, "--input", str(file))
    assert finished.exit_code == 2
    assert "is not UTF-8: byte 6 is 0xff" in finished.stderr


def test_the_help_says_what_several_masks_mean() -> None:
    """The promise that matters stands where people look, with an example."""
    shown = " ".join(run("--help").stdout.split())
    assert "Each mask of a text gets predictions of its own" in shown
    assert "roformer fill-mask tang-mini" in shown


def test_a_folder_without_the_head_is_refused(tokenizer: Any, model: Any, tmp_path: Path) -> None:
    """No prediction is made with a head that was drawn at random."""
    RoFormerModel(model.config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), TEXT)
    assert finished.exit_code == 2
    assert "holds no masked_lm head, and a random one is no use: missing cls.predictions" in finished.stderr
