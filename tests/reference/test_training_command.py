"""`roformer train`: from JSON lines to a folder that loads, task by task, and what it refuses."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from roformer_numpy import RoFormerConfig, RoFormerModel, RoFormerTokenizer
from roformer_numpy.cli import app
from roformer_numpy.errors import InputError
from roformer_numpy.training import History, Trainer, Update
from roformer_numpy.training.curve import smoothed
from roformer_numpy.training.encoding import encode, held_out_of, label_names
from roformer_numpy.training.rows import Row, read_rows

from ..support import MODELS

CHARACTERS = "床前明月光疑是地上霜白的，。"
VOCABULARY = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, "##好"])}
TASKS = ("masked-lm", "sequence-classification", "token-classification", "causal-lm")
QUICK = ("--batch-size", "4", "--learning-rate", "0.01")


def rows_of(task: str, count: int = 24) -> list[dict[str, Any]]:
    """Clauses of four characters; a row is bright where it begins with a character after 月."""
    generator, rows = np.random.default_rng(0), []
    for _ in range(count):
        tokens = [CHARACTERS[i] for i in generator.integers(0, len(CHARACTERS), 4)]
        bright = ["bright" if CHARACTERS.index(token) > 3 else "dark" for token in tokens]
        whole = {"text": "".join(tokens), "label": bright[0]}
        rows.append({"tokens": tokens, "labels": bright} if task == TASKS[2] else whole)
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder without a head, its tokenizer, and a file of rows for each task."""
    path = tmp_path_factory.mktemp("model")
    config = RoFormerConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, initializer_range=0.2,
    )  # fmt: skip
    RoFormerModel(config).save_pretrained(path)
    RoFormerTokenizer(VOCABULARY, word_segmentation="none").save_pretrained(path)
    for task in TASKS:
        write(path / f"{task}.jsonl", rows_of(task))
    return path


def write(path: Path, rows: list[Any]) -> Path:
    """Rows as JSON lines; a string is written as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(*arguments: object) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "120"})


def trained(folder: Path, task: str, output: Path, *options: object) -> dict[str, Any]:
    """What a run that succeeds prints with --json."""
    data = folder / f"{task}.jsonl"
    finished = run(folder, data, "--task", task, "--output", output, *QUICK, "--json", *options)
    assert finished.exit_code == 0, finished.output
    return json.loads(finished.stdout)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_ends_in_a_folder_that_loads(folder: Path, task: str, tmp_path: Path) -> None:
    """Weights, labels, tokenizer, history and picture; the loss fell and the summary says what the model says."""
    result = trained(folder, task, tmp_path / "out", "--epochs", 12)
    model = MODELS[task.replace("-", "_")].from_pretrained(tmp_path / "out")
    tokenizer = RoFormerTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.get_vocab() == VOCABULARY
    assert (result["rows"], result["held_out_rows"], result["updates"]) == (22, 2, 72)
    assert result["last_loss"] < result["first_loss"]
    assert np.isfinite(model(**tokenizer("床前明月", return_tensors="np")).logits).all()
    assert result["files"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert {"loss.png", "history.json"} < set(result["files"])
    assert model.config.is_decoder == (task == "causal-lm")
    if task in TASKS[1:3]:
        assert model.config.id2label == {0: "bright", 1: "dark"}


def test_a_trained_classifier_knows_its_labels_again(folder: Path, tmp_path: Path) -> None:
    """Training goes on with the head it has when the rows have labels that it knows."""
    trained(folder, TASKS[1], tmp_path / "one", "--epochs", 8)
    again = run(
        tmp_path / "one", folder / f"{TASKS[1]}.jsonl", "--task", TASKS[1], "--output", tmp_path / "two",
        "--steps", 1, "--learning-rate", 0, "--json",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    assert json.loads(again.stdout)["notes"] == []


def test_a_head_that_the_folder_lacks_is_noted(folder: Path, tmp_path: Path) -> None:
    """Loading says which tensors are drawn from the seed; the summary repeats it."""
    notes = " ".join(trained(folder, TASKS[1], tmp_path / "out", "--steps", 1)["notes"])
    assert "classifier.out_proj.weight" in notes


def test_fresh_weights_come_from_a_config(folder: Path, tmp_path: Path) -> None:
    """A config.json in place of a folder; the tokenizer lies beside it, or where it is said to lie."""
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    data, options = folder / f"{TASKS[0]}.jsonl", ("--task", TASKS[0], "--steps", 2, "--json")
    beside = run(folder / "config.json", data, *options, "--output", tmp_path / "beside")
    given = run(tmp_path / "config.json", data, *options, "--output", tmp_path / "given", "--tokenizer", folder)
    none = run(tmp_path / "config.json", data, *options, "--output", tmp_path / "none")
    assert (beside.exit_code, given.exit_code, none.exit_code) == (0, 0, 2), given.output
    assert (tmp_path / "beside" / "model.safetensors").read_bytes() == (
        tmp_path / "given" / "model.safetensors"
    ).read_bytes()
    assert "neither vocab.txt nor tokenizer.json" in none.stderr


def test_the_same_command_gives_the_same_model(folder: Path, tmp_path: Path) -> None:
    """File by file; another seed gives another one."""
    files = []
    for number, seed in enumerate((0, 0, 1)):
        trained(folder, TASKS[1], tmp_path / str(number), "--steps", 4, "--seed", seed)
        files.append([(tmp_path / str(number) / name).read_bytes() for name in ("model.safetensors", "history.json")])
    assert files[0] == files[1]
    assert files[0][0] != files[2][0]


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves a checkpoint and exit code 130; --resume ends in the same bytes, and the checkpoint is gone."""
    options = ("--steps", 7, "--checkpoint-every", 3)
    trained(folder, TASKS[1], tmp_path / "whole", *options)
    advance = Trainer.advance

    def stop(trainer: Trainer) -> Update:
        if trainer.step == 4:
            signal.raise_signal(signal.SIGINT)  # in the middle of the fifth update
        return advance(trainer)

    monkeypatch.setattr(Trainer, "advance", stop)
    arguments = (folder, folder / f"{TASKS[1]}.jsonl", "--task", TASKS[1], "--output", tmp_path / "parts", *QUICK)
    stopped = run(*arguments, *options)
    assert stopped.exit_code == 130
    assert "stopped after update 5 of 7" in stopped.stderr
    assert run(*arguments, *options).exit_code == 2  # the folder is not empty
    monkeypatch.setattr(Trainer, "advance", advance)
    resumed = trained(folder, TASKS[1], tmp_path / "parts", *options, "--resume")
    assert resumed["updates"] == 7
    for name in ("model.safetensors", "history.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    assert not (tmp_path / "parts" / "checkpoint.safetensors").exists()


def test_held_out_rows_may_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    """All rows of DATA are trained on then; 0 holds none out and judges nothing."""
    other = write(tmp_path / "other.jsonl", rows_of(TASKS[1], 5))
    result = trained(folder, TASKS[1], tmp_path / "file", "--steps", 1, "--held-out", other)
    assert (result["rows"], result["held_out_rows"], result["held_out"]["predictions"]) == (24, 5, 5)
    labels = [row["label"] for row in rows_of(TASKS[1])]
    most = max(set(labels), key=labels.count)
    assert result["majority"] == pytest.approx(np.mean([row["label"] == most for row in rows_of(TASKS[1], 5)]))
    nothing = trained(folder, TASKS[1], tmp_path / "none", "--steps", 1, "--held-out", 0)
    assert (nothing["held_out"], nothing["majority"]) == (None, None)


def test_equal_texts_are_held_out_together(folder: Path, tmp_path: Path) -> None:
    """No held-out text is among those trained on, however often it occurs."""
    rows = [row for row in rows_of(TASKS[1], 6) for _ in range(3)]
    data, options = write(tmp_path / "many.jsonl", rows), ("--steps", 1, "--held-out", 0.5, "--json")
    result = json.loads(run(folder, data, "--task", TASKS[1], "--output", tmp_path / "out", *options).stdout)
    assert (result["rows"], result["held_out_rows"]) == (9, 9)


def test_long_rows_are_cut_and_counted(folder: Path, tmp_path: Path) -> None:
    """Every row of four characters loses one at five tokens."""
    result = trained(folder, TASKS[2], tmp_path / "out", "--steps", 1, "--max-length", 5)
    assert "24 of 24 rows were cut to 5 tokens" in result["notes"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([10, 9, -1], ("-1", "9", "10")),
        (["10", 9, "x"], ("10", "9", "x")),
        (["--1", "1"], ("--1", "1")),
        (["LABEL_1", "LABEL_0"], ("LABEL_0", "LABEL_1", "LABEL_2")),
    ],
)
def test_labels_stand_in_order_or_as_the_model_has_them(labels: list[Any], expected: Any, tmp_path: Path) -> None:
    """Numbers by their size, else as strings; a model that knows all of them keeps its own."""
    data = write(tmp_path / "rows.jsonl", [{"text": "床", "label": label} for label in labels])
    found = label_names(read_rows(data, "sequence_classification"), RoFormerConfig(num_labels=3))
    assert found == expected


@pytest.mark.parametrize("seed", range(8))
def test_no_label_is_held_out_altogether(seed: int) -> None:
    """The only text with a label is trained on, whatever is drawn: nobody can judge by what was never seen."""
    rows = [Row("", text, label) for text, label in zip("床前明月光", "AABBC", strict=True)]
    training, held_out = held_out_of(rows, 0.4, seed)
    assert {row.labels for row in training} == {"A", "B", "C"}
    assert 1 <= len(held_out) <= 2


def test_texts_too_few_to_hold_one_out_are_refused_with_the_way_on() -> None:
    """Two texts with a label each, however often they are repeated."""
    rows = [Row("", text, label) for text, label in zip("床前" * 6, "AB" * 6, strict=True)]
    with pytest.raises(InputError, match="leaves one side empty, or a label without a text to train on; 0 holds"):
        held_out_of(rows, 0.1, 0)


def test_a_label_stands_at_the_first_piece_of_its_token(folder: Path) -> None:
    """Two characters in one token of a row are two ids; the second is not asked for."""
    tokenizer = RoFormerTokenizer.from_pretrained(folder)
    row = Row("here", ("床前", "明", "♥"), ("A", "B", "A"))
    [example] = encode([row], tokenizer, 16, {"A": 0, "B": 1}).examples
    assert example.labels == (-100, 0, -100, 1, 0, -100)
    assert tokenizer.convert_ids_to_tokens(list(example.input_ids)) == [
        "[CLS]", "床", "前", "明", "[UNK]", "[SEP]",
    ]  # fmt: skip


def test_without_matplotlib_the_picture_is_left_out_and_said_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model and its history are written all the same."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = trained(folder, TASKS[1], tmp_path / "out", "--steps", 1)
    assert 'pip install "roformer-reference[report]"' in " ".join(result["notes"])
    assert not (tmp_path / "out" / "loss.png").exists()
    history = json.loads((tmp_path / "out" / "history.json").read_text(encoding="utf-8"))
    assert len(history["updates"]) == 1


def test_the_smoothed_curve_is_a_mean_over_predictions() -> None:
    """A batch with three times the predictions counts three times; a batch without any is no point."""
    told = [(4.0, 1), (2.0, 3), (0.0, 0), (0.0, 0), (0.0, 0), *[(0.0, 0)] * 5, *[(1.0, 2)] * 5]
    updates = [Update(step, loss, count, 0.1, 1.0) for step, (loss, count) in enumerate(told, 1)]
    assert smoothed(History(updates)) == ([3.0, 13.0], [2.5, 1.0])


def test_the_table_compares_with_the_most_frequent_answer(folder: Path, tmp_path: Path) -> None:
    """Without --json a person reads it."""
    finished = run(folder, folder / f"{TASKS[1]}.jsonl", "--task", TASKS[1], "--output", tmp_path / "o", "--steps", 1)
    assert finished.exit_code == 0
    for words in ("22 to train on, 2 held out", "held-out accuracy", "always the most frequent", "loss.png"):
        assert words in finished.stdout


BAD_ROWS = [
    (TASKS[0], [{"text": "床前"}, '{"text": "床前"'], "bad.jsonl line 2 is no JSON object"),
    (TASKS[0], ["[1, 2]"], "line 1 is no JSON object: it holds a JSON list"),
    (TASKS[0], ['{"text": "a", "text": "b"}'], "keys given twice: text"),
    (TASKS[0], [{"words": "床前"}], "line 1 has no field 'text'; it has 'words'"),
    (TASKS[0], [{"text": 5}], "line 1: text is 5, expected a string that is not empty"),
    (TASKS[0], [{"text": " "}], "text is ' ', expected a string that is not empty"),
    (TASKS[0], [""], "bad.jsonl holds no row"),
    (TASKS[1], [{"text": "床", "label": 1.5}], "label is 1.5, expected a string or an integer"),
    (TASKS[1], [{"text": "床", "label": True}], "label is True, expected a string or an integer"),
    (TASKS[1], [{"text": text, "label": "A"} for text in "床前"], "all rows have the label A, expected two labels"),
    (TASKS[2], [{"tokens": ["床"], "labels": ["A", "B"]}], "1 tokens have 2 labels, expected one for each"),
    (TASKS[2], [{"tokens": "床", "labels": ["A"]}], "tokens is '床', expected a list that is not empty"),
    (TASKS[2], [{"tokens": ["床", ""], "labels": ["A", "B"]}], "tokens[1] is '', expected a string"),
    (TASKS[2], [{"tokens": ["床"], "labels": [None]}], "labels[0] is None, expected a string or an integer"),
]


@pytest.mark.parametrize(("task", "rows", "message"), BAD_ROWS)
def test_a_bad_row_is_refused_by_file_line_and_field(
    folder: Path, tmp_path: Path, task: str, rows: list[Any], message: str
) -> None:
    """In one line, with exit code 2, and nothing is written."""
    finished = run(folder, write(tmp_path / "bad.jsonl", rows), "--task", task, "--output", tmp_path / "out")
    assert finished.exit_code == 2
    assert message in finished.stderr
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_no_text_are_refused_by_line(folder: Path, tmp_path: Path) -> None:
    """And a byte order mark is none of them."""
    (tmp_path / "bad.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\n{"text": "\xff"}\n')
    finished = run(folder, tmp_path / "bad.jsonl", "--task", TASKS[0], "--output", tmp_path / "out")
    assert (finished.exit_code, "line 2 is not UTF-8: byte 10 is 0xff" in finished.stderr) == (2, True)


BAD_OPTIONS = [
    (("--steps", 1, "--epochs", 1), "give one of the two"),
    (("--learning-rate", -1), "learning_rate=-1.0 is not allowed"),
    (("--held-out", "1.5"), "--held-out 1.5 is not a file, nor a share"),
    (("--held-out", "0.999"), "leaves one side empty"),
    (("--held-out", "nowhere.jsonl"), "nowhere.jsonl"),
    (("--max-length", 17), "--max-length 17 is not allowed: expected 3 to 16"),
    (("--resume",), "has no checkpoint.safetensors to go on from"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(folder: Path, tmp_path: Path, options: tuple[Any, ...], message: str) -> None:
    """By name and value, with exit code 2."""
    data = folder / f"{TASKS[1]}.jsonl"
    finished = run(folder, data, "--task", TASKS[1], "--output", tmp_path / "out", *options)
    assert finished.exit_code == 2
    assert message in finished.stderr


def test_a_task_that_is_not_trained_is_refused_with_those_that_are(folder: Path, tmp_path: Path) -> None:
    """Heads that the package has and the command does not train are no exception."""
    for task in ("question-answering", "multiple-choice", "causal_lm"):
        finished = run(folder, folder / f"{TASKS[0]}.jsonl", "--task", task, "--output", tmp_path / "out")
        assert finished.exit_code == 2
        assert all(allowed in finished.stderr for allowed in (task, *TASKS))


def test_what_learned_to_write_writes(folder: Path, tmp_path: Path) -> None:
    """A causal model knows its only text by heart and says it to the end; its folder says that it is a decoder."""
    data = write(tmp_path / "one.jsonl", [{"text": "床前明月光，疑是地上霜。"}] * 4)
    options = ("--steps", 60, "--batch-size", 4, "--learning-rate", 0.03, "--held-out", 0, "--output", tmp_path / "out")
    assert run(folder, data, "--task", "causal-lm", *options).exit_code == 0
    finished = CliRunner().invoke(app, ["generate", str(tmp_path / "out"), "床前", "--max-new-tokens", "13"])
    assert (finished.stdout, finished.stderr) == ("床前明月光，疑是地上霜。\n", "")
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["is_decoder"] is True


def test_a_held_out_label_that_nobody_trained_on_is_refused(folder: Path, tmp_path: Path) -> None:
    """With the labels that there are."""
    other = write(tmp_path / "other.jsonl", [{"text": "床", "label": "grey"}])
    data = folder / f"{TASKS[1]}.jsonl"
    finished = run(folder, data, "--task", TASKS[1], "--output", tmp_path / "out", "--held-out", other)
    assert finished.exit_code == 2
    assert "other.jsonl line 1: the label 'grey' is none of those trained on: bright, dark" in finished.stderr


def test_a_model_that_is_nowhere_is_refused(folder: Path, tmp_path: Path) -> None:
    """By its name."""
    data = folder / f"{TASKS[0]}.jsonl"
    finished = run("no-such-model", data, "--task", TASKS[0], "--output", tmp_path / "out")
    assert finished.exit_code == 2
    assert "no-such-model is no folder on this machine" in finished.stderr
