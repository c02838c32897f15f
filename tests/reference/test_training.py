"""The training loop: it learns, repeats itself, and goes on from where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig
from roformer_numpy.errors import CheckpointError, InputError, InputTypeError, TrainingError
from roformer_numpy.training import Example, Masking, Settings, Trainer
from roformer_numpy.training.batches import collate, parts_of, predictions_in, rows_of_step
from roformer_numpy.training.evaluation import evaluate, majority
from roformer_numpy.training.randomness import Purpose, generator_for
from roformer_numpy.weights import named_leaves

from ..support import MODELS

VOCABULARY, MASK = 23, 4
HEADS = ("masked_lm", "sequence_classification", "token_classification", "causal_lm")
MASKING = Masking(MASK, (0, 1, 2, 3, 4), VOCABULARY, share=0.3)


def examples_of(head: str, count: int = 22, seed: int = 0) -> list[Example]:
    """Rows in which the token after t is t + 1, and whose labels say whether a token, or the second one, is even."""
    generator, found = np.random.default_rng(seed), []
    for first, length in zip(generator.integers(5, 12, count), generator.integers(3, 9, count), strict=True):
        ids = (2, *(int(first + number) for number in range(length)), 3)
        tokens = tuple(index % 2 for index in ids[1:-1])
        labels = {"sequence_classification": tokens[0], "token_classification": (-100, *tokens, -100)}
        found.append(Example(ids, labels.get(head)))
    return found


def trainer_of(head: str, settings: Settings | None = None, *, seed: int = 0, **changes: Any) -> Trainer:
    """A tiny model with dropout at the beginning of a run."""
    config = RoFormerConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=16, **changes,
    )  # fmt: skip
    model = MODELS[head](config, seed=seed, dtype="float64", components="equations")
    settings = settings or Settings(epochs=2, batch_size=4, learning_rate=3e-3)
    held_out = examples_of(head, 6, seed=1)
    return Trainer(model, examples_of(head), settings, held_out=held_out, masking=MASKING if head == HEADS[0] else None)


def state_of(trainer: Trainer) -> tuple[list[bytes], dict[str, Any]]:
    """Every bit of a run."""
    parts = (named_leaves(trainer.model.weights), trainer.moments.first, trainer.moments.second)
    return [array.tobytes() for part in parts for array in part.values()], trainer.history.to_dict()


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_falls_and_the_held_out_rows_are_told_apart(head: str) -> None:
    """After some epochs the model knows what it was shown, and beats who always says the same."""
    settings = Settings(epochs=25, batch_size=4, learning_rate=1e-2)
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    trainer = trainer_of(head, settings, initializer_range=0.3, **still)
    history = trainer.run()
    assert [update.step for update in history.updates] == list(range(1, 151))
    assert history.mean_loss(slice(-30, None)) < 0.7 * history.mean_loss(slice(6))
    assert [evaluation["step"] for evaluation in history.evaluations] == list(range(0, 151, 6))
    assert history.evaluations[-1]["accuracy"] > trainer.majority()


@pytest.mark.parametrize("head", HEADS)
def test_the_same_seed_gives_the_same_run(head: str) -> None:
    """Weights, moments and history to the last bit, dropout included; another seed gives another run."""
    runs = []
    for seed in (0, 0, 1):
        trainer = trainer_of(head, Settings(steps=5, batch_size=4, seed=seed))
        trainer.run()
        runs.append(state_of(trainer))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("stop", [1, 6, 9])
def test_a_resumed_run_is_an_uninterrupted_one(head: str, stop: int, tmp_path: Path) -> None:
    """Stopped in an epoch, at its end, in the next one: weights, moments, history to the last bit."""
    settings = Settings(epochs=2, batch_size=4, learning_rate=3e-3, accumulate=2)
    whole, first, second = (trainer_of(head, settings) for _ in range(3))
    whole.run()
    for _ in range(stop):
        first.advance()
    first.save(tmp_path / "checkpoint")
    second.resume(tmp_path / "checkpoint")
    assert second.step == stop
    second.run()
    assert state_of(second) == state_of(whole)


def test_checkpoints_are_written_every_so_many_updates(tmp_path: Path) -> None:
    """The last multiple is what the file holds, whole; no other file is left beside it."""
    trainer = trainer_of("masked_lm", Settings(steps=5, batch_size=4))
    trainer.run(checkpoint=tmp_path / "checkpoint", checkpoint_every=2)
    again = trainer_of("masked_lm", Settings(steps=5, batch_size=4))
    again.resume(tmp_path / "checkpoint")
    assert again.step == 4
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": Settings(steps=9)}, "steps was 5, is 9"),
        ({"settings": Settings(steps=5, learning_rate=1.0)}, "learning_rate was 0.0001, is 1.0"),
        ({"hidden_act": "relu"}, "config was"),
        ({"seed": 3}, "first weights was"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changed: dict[str, Any], named: str, tmp_path: Path) -> None:
    """With the name of everything that differs."""
    trainer_of("masked_lm", Settings(steps=5)).save(tmp_path / "checkpoint")
    other = trainer_of("masked_lm", **{"settings": Settings(steps=5), **changed})
    with pytest.raises(CheckpointError, match=named):
        other.resume(tmp_path / "checkpoint")


def test_a_checkpoint_over_other_rows_is_refused(tmp_path: Path) -> None:
    """Also where only their order differs: the order is part of the run."""
    trainer = trainer_of("masked_lm")
    trainer.save(tmp_path / "checkpoint")
    other = Trainer(trainer.model, trainer.examples[::-1], trainer.settings, masking=MASKING)
    with pytest.raises(CheckpointError, match=r"rows to train on was .*rows held out was"):
        other.resume(tmp_path / "checkpoint")


@pytest.mark.parametrize("damage", [b"", b"no safetensors", None])
def test_a_damaged_checkpoint_is_refused(damage: bytes | None, tmp_path: Path) -> None:
    """Empty, foreign, or cut off: an error of ours, and the run is as it was."""
    trainer, path = trainer_of("masked_lm"), tmp_path / "checkpoint"
    trainer.save(path)
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    before = state_of(trainer)
    with pytest.raises(CheckpointError, match="cannot be read"):
        trainer.resume(path)
    assert state_of(trainer) == before


@pytest.mark.parametrize("head", HEADS)
def test_a_batch_in_parts_has_the_gradients_of_the_whole(head: str) -> None:
    """Summed over parts with different numbers of predictions, the update is the same."""
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    trees = []
    for parts in (1, 2, 3, 50):
        trainer = trainer_of(head, Settings(steps=2, batch_size=7, accumulate=parts), **still)
        trainer.run()
        trees.append((named_leaves(trainer.model.weights), trainer.history.updates))
    for weights, updates in trees[1:]:
        for name, leaf in trees[0][0].items():
            np.testing.assert_allclose(weights[name], leaf, rtol=1e-9, atol=1e-9, err_msg=name)
        assert updates[-1].loss == pytest.approx(trees[0][1][-1].loss, rel=1e-12)


def test_every_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    """Eleven rows in batches of four: three batches an epoch, the last of three rows."""
    epochs = [np.concatenate([rows_of_step(3 * epoch + step, 11, 4, 0) for step in range(3)]) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len(rows_of_step(2, 11, 4, 0)) == 3


def test_masks_follow_the_shares_of_bert() -> None:
    """A share of the ordinary tokens; of these 80 % masked, 10 % another, 10 % left; specials and padding never."""
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (200, 300))
    real = np.random.default_rng(1).random(ids.shape) < 0.9
    seen, labels = MASKING(ids, real, generator_for(0, Purpose.MASKS, 0))
    asked = labels != -100
    assert Masking(MASK, (), VOCABULARY).share == 0.15
    assert not asked[(ids < 5) | ~real].any()
    assert (labels[asked] == ids[asked]).all()
    assert (seen[~asked] == ids[~asked]).all()
    assert asked[(ids >= 5) & real].mean() == pytest.approx(MASKING.share, abs=0.006)
    masked, left = seen[asked] == MASK, seen[asked] == ids[asked]
    assert masked.mean() == pytest.approx(0.8, abs=0.02)
    # one in eighteen of the replaced is replaced by itself
    assert left.mean() == pytest.approx(0.1 + 0.1 / 18, abs=0.015)
    assert (seen[asked & (seen != MASK)] >= 5).all()


def test_a_batch_is_padded_to_its_longest_row() -> None:
    """Ids with the padding token, mask with 0, labels of tokens with −100; parts keep their rows together."""
    rows = [Example((2, 7, 3), (-100, 1, -100)), Example((2, 7, 8, 9, 3), (-100, 0, 1, 0, -100))]
    batch = collate(rows, 6, None, np.random.default_rng(0))
    assert batch["input_ids"].tolist() == [[2, 7, 3, 6, 6], [2, 7, 8, 9, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert batch["labels"].tolist() == [[-100, 1, -100, -100, -100], [-100, 0, 1, 0, -100]]
    assert [part["labels"].tolist() for part in parts_of(batch, 2)] == [[row] for row in batch["labels"].tolist()]


def test_a_causal_language_model_is_asked_for_every_token_but_the_first() -> None:
    """Labels are the ids themselves, padding and the first left out; the loss is that of each next token, by hand."""
    trainer = trainer_of("causal_lm", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    rows = [Example((2, 7, 3)), Example((2, 7, 8, 9, 3))]
    batch = collate(rows, 0, None, np.random.default_rng(0))
    assert batch["labels"].tolist() == [[-100, 7, 3, -100, -100], [-100, 7, 8, 9, 3]]
    answers = [(row.input_ids[:place], row.input_ids[place]) for row in rows for place in range(1, len(row.input_ids))]
    logits = np.array([trainer.model([list(before)]).logits[0, -1] for before, _ in answers])
    wanted = np.array([answer for _, answer in answers])
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    score = evaluate(trainer.model, [batch])
    assert score.predictions == predictions_in(batch) == len(answers) == 6
    assert score.loss == pytest.approx(-np.log(chances[np.arange(6), wanted]).mean(), rel=1e-12)
    assert score.accuracy == np.mean(logits.argmax(axis=-1) == wanted)
    assert majority([Example((7, 9))] * 3, [batch], None) == 1 / 6  # 9: nobody was asked for the 7


def test_a_run_that_runs_away_says_so() -> None:
    """The step is named, and what to change; the weights before it are still there."""
    trainer = trainer_of("masked_lm", Settings(steps=50, learning_rate=1e3, weight_decay=1e3, warm_up=0, clip=None))
    with pytest.raises(TrainingError, match=r"the loss of step \d+ is (nan|inf).*learning_rate=1000"):
        trainer.run()
    assert trainer.step == len(trainer.history.updates) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "epochs=None, steps=None: give one of the two"),
        ({"steps": 1, "epochs": 1}, "give one of the two"),
        ({"steps": 0}, "steps=0 is not allowed: expected a number at least 1"),
        ({"epochs": -1}, "epochs=-1"),
        ({"steps": 1, "batch_size": 0}, "batch_size=0"),
        ({"steps": 1, "accumulate": 0}, "accumulate=0"),
        ({"steps": 1, "seed": -1}, "seed=-1"),
        ({"steps": 1, "learning_rate": float("nan")}, "learning_rate=nan"),
        ({"steps": 1, "learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"steps": 1, "warm_up": -0.1}, "warm_up=-0.1"),
        ({"steps": 1, "weight_decay": float("inf")}, "weight_decay=inf"),
        ({"steps": 1, "beta1": 1.0}, "beta1=1.0 is not allowed.*1 itself not included"),
        ({"steps": 1, "clip": 0.0}, "clip=0 would cut every gradient"),
        ({"steps": 1, "clip": -1.0}, "clip=-1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    """By name and value, with what is allowed."""
    with pytest.raises(InputError, match=message):
        Settings(**settings)


@pytest.mark.parametrize("settings", [{"steps": 1.5}, {"steps": True}, {"steps": 1, "learning_rate": "fast"}])
def test_settings_of_another_type_are_refused(settings: dict[str, Any]) -> None:
    """An integer is an integer, a number a number."""
    with pytest.raises(InputTypeError, match="expected a"):
        Settings(**settings)


def test_a_run_without_rows_or_for_another_model_is_refused() -> None:
    """Before anything is computed."""
    model = trainer_of("masked_lm").model
    with pytest.raises(InputError, match="examples is empty"):
        Trainer(model, [], Settings(steps=1), masking=MASKING)
    with pytest.raises(InputError, match="needs masking"):
        Trainer(model, examples_of("masked_lm"), Settings(steps=1))
    with pytest.raises(InputError, match=r"examples\[0\].labels is None; the head token_classification takes labels"):
        Trainer(MODELS["token_classification"](model.config), examples_of("causal_lm"), Settings(steps=1))
    with pytest.raises(InputError, match=r"examples\[0\].labels is \d; the head causal_lm takes no labels"):
        Trainer(MODELS["causal_lm"](model.config), examples_of("sequence_classification"), Settings(steps=1))
    with pytest.raises(InputError, match="a model with the head causal_lm takes no masking"):
        Trainer(MODELS["causal_lm"](model.config), examples_of("causal_lm"), Settings(steps=1), masking=MASKING)


@pytest.mark.parametrize("head", ["base", "multiple_choice", "question_answering"])
def test_a_head_that_is_not_trained_is_refused_with_those_that_are(head: str) -> None:
    """All four of them."""
    allowed = "masked_lm, causal_lm, sequence_classification, token_classification"
    with pytest.raises(InputTypeError, match=f"model is a RoFormer.*, expected one with a head of {allowed}$"):
        Trainer(MODELS[head](trainer_of("causal_lm").model.config), examples_of("causal_lm"), Settings(steps=1))
