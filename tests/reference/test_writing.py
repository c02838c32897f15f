"""Texts written on: the pipeline `generate` and the command `roformer generate`."""

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
from roformer_numpy.pipelines import generate
from roformer_numpy.pipelines.writing import joined

CHARACTERS = "床前明月光疑是地上霜白的，。"
VOCABULARY = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, "##好"])}
TEXTS = ["床", "床前明月光，", "疑是", "", "地上霜。白"]
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def tokenizer() -> RoFormerTokenizer:
    """One token a character."""
    return RoFormerTokenizer(VOCABULARY, word_segmentation="none")


def config(**changes: Any) -> RoFormerConfig:
    """Tiny, with logits far apart."""
    sizes = RoFormerConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, initializer_range=0.5, is_decoder=True,
    )  # fmt: skip
    return sizes.replace(**changes)


def build(components: str = "equations", **changes: Any) -> RoFormerForCausalLM:
    """In double precision, where no near-tie decides."""
    return RoFormerForCausalLM(config(**changes), seed=3, dtype="float64", components=components)


@pytest.fixture(scope="module")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A causal model with its tokenizer, as a folder."""
    path = tmp_path_factory.mktemp("model")
    build().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


def run(*arguments: str) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, ["generate", *arguments], env={"COLUMNS": "120"})


def by_hand(model: Any, text: str, steps: int) -> list[int]:
    """One full pass a token, without cache, batch or padding; ends with [SEP]."""
    row = [CLS, *(VOCABULARY[character] for character in text)]
    start = len(row)
    for _ in range(steps):
        row.append(int(model([row]).logits[0, -1].argmax()))
        if row[-1] == SEP:
            break
    return row[start:]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize("components", ["equations", "kernels"])
@pytest.mark.parametrize("rotary_value", [False, True])
def test_each_text_goes_on_as_it_would_alone(
    tokenizer: Any, batch_size: int, components: str, rotary_value: bool
) -> None:
    """Texts of different lengths together, with a cache: the tokens of one full pass a token for each alone."""
    model = build(components, rotary_value=rotary_value)
    steps: list[int] = []
    together = generate(model, tokenizer, TEXTS, 9, batch_size=batch_size, on_batch=steps.append)
    assert [text.text for text in together] == TEXTS
    assert sum(steps) == len(TEXTS)
    for text, result in zip(TEXTS, together, strict=True):
        assert list(result.token_ids) == by_hand(model, text, 9)
        assert result.ended == (SEP in result.token_ids)


@pytest.mark.parametrize("rotary_value", [False, True])
def test_a_drawn_text_does_not_depend_on_what_stands_beside_it(tokenizer: Any, rotary_value: bool) -> None:
    """Each has its own generator of the seed, which draws what the text alone draws; another seed draws otherwise."""
    model = build(rotary_value=rotary_value)
    options: Any = {"do_sample": True, "temperature": 1.5, "top_k": 12, "top_p": 0.95}
    together = generate(model, tokenizer, TEXTS, 9, seed=5, **options)
    alone = [generate(model, tokenizer, text, 9, seed=5, **options)[0] for text in TEXTS]
    assert together == alone
    assert generate(model, tokenizer, TEXTS, 9, seed=6, **options) != together


def test_a_text_ends_with_the_end_token_of_the_configuration_or_with_sep(tokenizer: Any) -> None:
    """The end token is the last id, and not part of the text; what the batch adds behind it is cut off."""
    free = generate(build(), tokenizer, TEXTS, 9)
    end = free[1].token_ids[2]
    ended = generate(build(eos_token_id=end), tokenizer, TEXTS, 9)
    for before, after in zip(free, ended, strict=True):
        if end in after.token_ids:
            assert after.ended
            assert after.token_ids.index(end) == len(after.token_ids) - 1
            common = min(len(before.token_ids), len(after.token_ids))
            assert after.token_ids[:common] == before.token_ids[:common]
    assert any(text.ended and len(text.token_ids) < 9 for text in ended)


def test_pieces_the_vocabulary_lacks_are_named(tokenizer: Any) -> None:
    """They are read as [UNK], which changes what follows."""
    assert generate(build(), tokenizer, "牀前", 2)[0].unknown == ("牀",)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["床", "前", "，", "明"], "床前，明"),
        (["hello", "world", "##ly", ",", "2", "床", "a"], "hello worldly,2床a"),
        ([], ""),
    ],
)
def test_tokens_become_running_text(tokens: list[str], text: str) -> None:
    """A space between two words of a script that has spaces, and nowhere else."""
    assert joined(tokens) == text


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"texts": ["床", "床" * 10], "max_new_tokens": 22}, InputError, r"after the 11 tokens of texts\[1\].*0 to 21"),
        ({"texts": "床", "max_new_tokens": -1}, InputError, "max_new_tokens=-1 after the 2 tokens"),
        ({"texts": "床", "max_new_tokens": 1.5}, InputTypeError, "max_new_tokens is 1.5, expected an integer"),
        ({"texts": ["床", 7]}, InputTypeError, r"texts\[1\] is 7, expected a string"),
        ({"texts": "床", "top_k": 3}, InputError, r"without do_sample=True .* nothing is drawn, and top_k"),
        (
            {"texts": "床", "do_sample": True, "temperature": 0.0},
            InputError,
            r"temperature is 0\.0, allowed is above 0",
        ),
        ({"texts": "床", "batch_size": 0}, InputError, "batch_size=0 is not at least 1"),
        ({"texts": "床", "do_sample": True, "seed": -1}, InputTypeError, "generator is -1"),
    ],
)
def test_a_bad_argument_is_named(tokenizer: Any, given: Any, error: Any, message: str) -> None:
    """The message says which text or argument, its value, and what is allowed."""
    with pytest.raises(error, match=message):
        generate(build(), tokenizer, **{"max_new_tokens": 3, **given})


def test_a_model_that_is_not_causal_is_refused(tokenizer: Any) -> None:
    """A masked language model has no `generate`."""
    with pytest.raises(InputTypeError, match="model is a RoFormerForMaskedLM, expected a RoFormerForCausalLM"):
        generate(RoFormerForMaskedLM(config()), tokenizer, "床")  # type: ignore[arg-type]


def test_a_list_of_generators_is_one_a_row() -> None:
    """Row by row what one generator alone draws; another number of them is refused."""
    model, rows = build(), [[2, 5, 6], [2, 9, 9]]
    together = model.generate(
        rows, max_new_tokens=6, do_sample=True, generator=[np.random.default_rng(s) for s in (1, 2)]
    )
    for row, seed, ids in zip(rows, (1, 2), together, strict=True):
        assert ids.tolist() == model.generate([row], max_new_tokens=6, do_sample=True, generator=seed)[0].tolist()
    with pytest.raises(InputError, match="generator has 1 generators for 2 rows, expected one a row"):
        model.generate(rows, do_sample=True, generator=[np.random.default_rng(1)])


def test_the_command_prints_each_text_with_what_follows(folder: str, tokenizer: Any) -> None:
    """A line a text, prompt first."""
    finished = run(folder, "床", "疑是", "--max-new-tokens", "5")
    assert finished.exit_code == 0, finished.stderr
    expected = generate(build(), tokenizer, ["床", "疑是"], 5)
    assert finished.stdout.splitlines() == [text.text + text.continuation for text in expected]


def test_the_json_says_what_the_pipeline_says(folder: str, tmp_path: Path) -> None:
    """Names are fixed; a file's lines come behind the command line's texts; a seed makes it repeatable."""
    file = tmp_path / "texts.txt"
    file.write_text("疑是\n\n地上\n", encoding="utf-8")
    arguments = [folder, "床", "--input", str(file), "--do-sample", "--top-p", "0.9", "--seed", "4", "--json"]
    printed = json.loads(run(*arguments).stdout)
    assert [result["text"] for result in printed["results"]] == ["床", "疑是", "地上"]
    assert all(set(r) == {"text", "continuation", "token_ids", "ended", "unknown"} for r in printed["results"])
    assert json.loads(run(*arguments).stdout) == printed


def test_a_masked_language_model_runs_with_a_note(tokenizer: Any, tmp_path: Path) -> None:
    """Its tensors fit, its training does not: the text is printed, and the terminal says why it is poor."""
    RoFormerForMaskedLM(config(is_decoder=False)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), "床", "--max-new-tokens", "2")
    assert finished.exit_code == 0
    assert "was saved as RoFormerForMaskedLM, which did not learn to write" in finished.stderr


def test_a_folder_without_a_language_model_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    """Nothing is written with a head that was drawn at random."""
    RoFormerModel(config()).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), "床")
    assert finished.exit_code == 2
    assert "holds no causal_lm head, and a random one is no use: missing cls.predictions" in finished.stderr
    assert finished.stdout == ""


def test_an_untied_head_writes_with_its_own_weights(tokenizer: Any, tmp_path: Path) -> None:
    """tie_word_embeddings=False: the folder's decoder matrix counts, as in the model itself."""
    model = build(tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    finished = run(str(tmp_path), "床前", "--max-new-tokens", "6", "--json")
    [result] = json.loads(finished.stdout)["results"]
    assert result["token_ids"] == by_hand(model, "床前", 6)
    assert finished.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no text: give one or more TEXT, or --input FILE"),
        (["床", "--top-k", "3"], "--do-sample"),
        (["床", "--max-new-tokens", "31"], "after the 2 tokens of texts[0], allowed are 0 to 30"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(folder: str, arguments: list[str], message: str) -> None:
    """No traceback, and the cause by name."""
    finished = run(folder, *arguments)
    assert finished.exit_code == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
