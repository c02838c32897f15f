"""A vector for each text: the pipeline `embed` and the command `roformer embed`."""

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
    RoFormerForCausalLM,
    RoFormerForMaskedLM,
    RoFormerModel,
    RoFormerTokenizer,
)
from roformer_numpy.cli import app
from roformer_numpy.pipelines import embed

CHARACTERS = "床前明月光疑是地上霜"
VOCABULARY = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS])}
TEXTS = ["床", "床前明月光", "疑是地上霜", ""]
CONFIG = RoFormerConfig(
    vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=8, initializer_range=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> RoFormerTokenizer:
    """One token a character."""
    return RoFormerTokenizer(VOCABULARY, word_segmentation="none")


@pytest.fixture(scope="module")
def model() -> RoFormerModel:
    """In double precision, with a pooler."""
    return RoFormerModel(CONFIG, dtype="float64", components="equations")


def run(*arguments: str) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, ["embed", *arguments], env={"COLUMNS": "160"})


def by_hand(model: Any, text: str, pooling: str) -> np.ndarray:
    """One text alone, unpadded."""
    output = model([[2, *(VOCABULARY[character] for character in text), 3]])
    states = output.last_hidden_state[0]
    return {"mean": sum(states) / len(states), "first": states[0], "pooler": output.pooler_output[0]}[pooling]


@pytest.mark.parametrize("batch_size", [1, 3, 32])
@pytest.mark.parametrize("pooling", ["mean", "first", "pooler"])
def test_each_vector_is_that_of_the_text_alone(model: Any, tokenizer: Any, pooling: str, batch_size: int) -> None:
    """Padding and neighbours change nothing; the mean is over the text's own tokens, [CLS] and [SEP] among them."""
    done: list[int] = []
    vectors = embed(model, tokenizer, TEXTS, pooling, batch_size=batch_size, on_batch=done.append)
    assert vectors.shape == (len(TEXTS), CONFIG.hidden_size)
    assert vectors.dtype == np.float64
    assert sum(done) == len(TEXTS)
    np.testing.assert_allclose(vectors, [by_hand(model, text, pooling) for text in TEXTS], rtol=0, atol=1e-13)


def test_no_texts_give_no_vectors(model: Any, tokenizer: Any) -> None:
    """An empty list is no error."""
    assert embed(model, tokenizer, []).shape == (0, CONFIG.hidden_size)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"texts": ["床", "床" * 7]}, InputError, r"texts\[1\] has 9 tokens, the model takes up to 8"),
        ({"texts": 7}, InputTypeError, "texts is 7, expected a string"),
        ({"texts": "床", "pooling": "max"}, InputError, "pooling='max' is not one of mean, first, pooler"),
        ({"texts": "床", "batch_size": 0}, InputError, "batch_size=0 is not at least 1"),
    ],
)
def test_a_bad_argument_is_named(model: Any, tokenizer: Any, given: Any, error: Any, message: str) -> None:
    """The message says which text or argument, its value, and what is allowed."""
    with pytest.raises(error, match=message):
        embed(model, tokenizer, **given)


def test_a_model_with_a_head_is_refused(tokenizer: Any) -> None:
    """Its states lie below the head; a folder of any head loads as the encoder."""
    with pytest.raises(InputTypeError, match="model is a RoFormerForMaskedLM, expected a RoFormerModel"):
        embed(RoFormerForMaskedLM(CONFIG), tokenizer, "床")  # type: ignore[arg-type]


def test_the_file_holds_the_vectors_of_the_texts(folder: str, model: Any, tokenizer: Any, tmp_path: Path) -> None:
    """float32, (texts, hidden), in order: the command line's texts, then the file's."""
    texts, vectors = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    texts.write_text("床前\n\n明月光\n", encoding="utf-8")
    finished = run(folder, "疑是", "--input", str(texts), "--output", str(vectors))
    assert finished.exit_code == 0, finished.stderr
    assert finished.stdout == ""
    assert finished.stderr == f"note: wrote {vectors}, float32, 3 x 8\n"
    written = np.load(vectors)
    assert written.dtype == np.float32
    np.testing.assert_allclose(written, embed(model, tokenizer, ["疑是", "床前", "明月光"]), atol=2e-6)


def test_the_json_has_a_vector_a_text(folder: str, model: Any, tokenizer: Any) -> None:
    """Names are fixed."""
    printed = json.loads(run(folder, *TEXTS[:2], "--pooling", "pooler", "--json").stdout)
    assert set(printed) == {"model", "pooling", "results"}
    assert [result["text"] for result in printed["results"]] == TEXTS[:2]
    np.testing.assert_allclose(
        [result["vector"] for result in printed["results"]], embed(model, tokenizer, TEXTS[:2], "pooler"), atol=2e-6
    )


def test_unknown_pieces_are_named_beside_the_vectors(folder: str) -> None:
    """Two words that the vocabulary lacks have the same vector, which does not pass in silence; many are counted."""
    finished = run(folder, "hello", "床world")
    assert finished.exit_code == 0
    assert finished.stderr.splitlines() == ["read as [UNK] in hello: hello", "read as [UNK] in 床world: world"]
    many = run(folder, *(f"床 {number}" for number in range(11)), "--json")
    assert many.stderr.splitlines()[7:] == [
        "read as [UNK] in 床 7: 7",
        "note: pieces of 3 more texts are read as [UNK]",
    ]


def test_the_table_shows_lengths_and_cosines(folder: str, model: Any, tokenizer: Any) -> None:
    """A text has the cosine 1 with itself, and with another what its vector says."""
    shown = run(folder, "床", "疑是地上霜").stdout
    one, other = embed(model, tokenizer, ["床", "疑是地上霜"])
    assert shown.count("1.000") == 2
    assert shown.count(f"{one @ other / np.linalg.norm(one) / np.linalg.norm(other):.3f}") == 2
    assert f"{np.linalg.norm(one):.2f}" in shown


def test_any_head_is_left_aside_in_silence(tokenizer: Any, tmp_path: Path) -> None:
    """A masked language model gives its encoder's vectors; its lack of a pooler matters only where one is asked for."""
    other = RoFormerForMaskedLM(CONFIG, dtype="float32")
    other.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), "床前", "--json")
    assert finished.exit_code == 0
    assert finished.stderr == ""
    [result] = json.loads(finished.stdout)["results"]
    states = other([[2, 5, 6, 3]], output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(result["vector"], states[0].mean(axis=0), atol=2e-6)
    refused = run(str(tmp_path), "床前", "--pooling", "pooler")
    assert refused.exit_code == 2
    assert "these weights hold no pooler, allowed are mean and first" in refused.stderr


def test_a_causal_model_that_does_not_say_so_gets_a_note(tokenizer: Any, tmp_path: Path) -> None:
    """With is_decoder False the encoder of its folder looks both ways."""
    RoFormerForCausalLM(CONFIG).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), "床")
    assert finished.exit_code == 0
    assert "its encoder looks both ways here" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no text: give one or more TEXT, or --input FILE"),
        (["床", "--output", "vectors.txt"], "--output vectors.txt does not end in .npy"),
        (["床", "--output", "nowhere/vectors.npy"], "--output nowhere/vectors.npy: there is no folder nowhere"),
        (["床", "--compute", "half"], "compute='half' is not one of 'float32', 'bfloat16'"),
        (["床" * 9], "texts[0] has 11 tokens, the model takes up to 8"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(folder: str, arguments: list[str], message: str) -> None:
    """No traceback, and the cause by name."""
    finished = run(folder, *arguments)
    assert finished.exit_code == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
