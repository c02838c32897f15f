"""What users of Keras do around fit: callbacks, resuming, seeds, ragged batches, models inside models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy.tokenization import BatchEncoding

from .samples import MODELS, call_of, config_of, ids_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
HEAD = "sequence_classification"


def fresh(optimizer: Any = None, *, still: bool = False, head: str = HEAD, **options: Any) -> Any:
    """A small compiled float64 model of one layer, with dropout unless it is to be still."""
    changes = {"num_hidden_layers": 1, **(STILL if still else {"hidden_dropout_prob": 0.2})}
    model = MODELS[head](config_of(**changes), seed=7, dtype="float64")
    model.compile(optimizer or keras.optimizers.Adam(0.01), **{"jit_compile": False, **options})
    return model


def rows(count: int = 8, head: str = HEAD) -> dict[str, np.ndarray]:
    """Some labelled rows."""
    calls = [call_of(head, config_of(), seed) for seed in range((count + 3) // 4)]
    return {name: np.concatenate([call[name] for call in calls])[:count] for name in calls[0]}


def same_weights(one: Any, two: Any, tolerance: float = 0.0) -> bool:
    """Whether the models' weights and their optimizers' slots are equal."""
    pairs = zip([*one.variables, *one.optimizer.variables], [*two.variables, *two.optimizer.variables], strict=True)
    return all(np.allclose(a.numpy(), b.numpy(), rtol=0, atol=tolerance) for a, b in pairs)


def test_the_same_seed_gives_the_same_history() -> None:
    """keras.utils.set_random_seed and the model's seed decide shuffling, dropout and weights; another seed does not."""

    def history(seed: int) -> tuple[list[float], Any]:
        keras.utils.set_random_seed(seed)
        model = fresh(run_eagerly=True)
        return model.fit(rows(), epochs=2, batch_size=3, verbose=0).history["loss"], model

    (first, one), (second, two), (third, _) = history(1), history(1), history(2)
    assert first == second
    assert same_weights(one, two)
    assert first != third


@pytest.mark.parametrize("way", ["keras file", "weights"])
def test_resumed_training_is_uninterrupted_training(way: str, tmp_path) -> None:
    """Two epochs = one, saved, loaded into a new model, one more: weights, slots and dropout to the last bit."""
    data = rows()
    whole, half = (fresh(run_eagerly=way == "weights") for _ in range(2))
    expected = whole.fit(data, epochs=2, shuffle=False, batch_size=4, verbose=0).history["loss"]
    half.fit(data, epochs=1, shuffle=False, batch_size=4, verbose=0)
    if way == "keras file":
        half.save(tmp_path / "model.keras")
        resumed = keras.saving.load_model(tmp_path / "model.keras")
    else:
        half.save_weights(tmp_path / "model.weights.h5")
        resumed = fresh(run_eagerly=True)
        resumed.optimizer.build(resumed.trainable_variables)
        resumed.load_weights(tmp_path / "model.weights.h5")
    got = resumed.fit(data, initial_epoch=1, epochs=2, shuffle=False, batch_size=4, verbose=0).history["loss"]
    assert got == expected[1:]
    assert same_weights(whole, resumed)


def test_backup_and_restore_goes_on_after_an_interruption(tmp_path) -> None:
    """A run that dies in its second epoch and is started again ends where an undisturbed one ends."""

    class Dies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    data, options = rows(), {"epochs": 3, "shuffle": False, "batch_size": 4, "verbose": 0}
    whole, dying, again = (fresh(run_eagerly=True) for _ in range(3))
    whole.fit(data, **options)
    with pytest.raises(KeyboardInterrupt):
        dying.fit(data, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Dies()], **options)
    history = again.fit(data, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")], **options)
    assert len(history.history["loss"]) < 3
    assert same_weights(whole, again)


def test_callbacks_stop_save_and_schedule(tmp_path) -> None:
    """EarlyStopping restores the best weights, ModelCheckpoint keeps them, LearningRateScheduler sets the rate."""
    model, data = fresh(keras.optimizers.SGD(0.1), still=True), rows()
    rates = {0: 0.1, 1: 0.05, 2: 1e3, 3: 1e3}
    history = model.fit(
        data,
        validation_data=(data, None),
        epochs=4,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(rates.__getitem__),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_best_only=True, save_weights_only=True),
            keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True),
        ],
    ).history
    np.testing.assert_allclose(history["learning_rate"], [rates[epoch] for epoch in range(3)])
    assert history["val_loss"][1] < history["val_loss"][0]
    assert not history["val_loss"][2] < history["val_loss"][1]
    best = fresh(keras.optimizers.SGD(0.1), still=True)
    best.load_weights(tmp_path / "best.weights.h5")
    for one, two in zip(model.trainable_variables, best.trainable_variables, strict=True):
        assert np.array_equal(one.numpy(), two.numpy())
    assert np.isclose(model.evaluate(data, verbose=0), history["val_loss"][1], rtol=1e-6)


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}, {"jit_compile": True}], ids=str)
def test_ways_of_execution_train_alike(options: dict[str, Any]) -> None:
    """Eagerly, several steps in one call, and under XLA: as in a plain graph up to rounding, dropout included."""
    models = [fresh(keras.optimizers.SGD(0.1), **changes) for changes in ({}, options)]
    losses = [model.fit(rows(), batch_size=4, shuffle=False, verbose=0).history["loss"] for model in models]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert same_weights(*models, tolerance=1e-12)


def test_batches_of_different_lengths_and_a_smaller_last_one() -> None:
    """padded_batch to the longest row of each batch, five rows in batches of two: rows are what they are alone."""
    model, config = fresh(still=True, head="masked_lm"), config_of()
    generator = np.random.default_rng(5)
    lengths = (3, 7, 5, 2, 6)
    texts = [generator.integers(1, config.vocab_size, length) for length in lengths]

    def examples() -> Any:
        for ids in texts:
            yield {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": ids}

    spec = {name: tf.TensorSpec((None,), tf.int64) for name in ("input_ids", "attention_mask", "labels")}
    padding = {name: tf.constant(value, tf.int64) for name, value in
               (("input_ids", 0), ("attention_mask", 0), ("labels", -100))}  # fmt: skip
    dataset = tf.data.Dataset.from_generator(examples, output_signature=spec).padded_batch(2, padding_values=padding)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(3))
    sums = [model(ids[None], labels=ids[None]).loss.numpy() for ids in texts]
    batches = [np.concatenate(sums[start : start + 2]).mean() for start in (0, 2, 4)]
    assert np.isclose(model.evaluate(dataset, verbose=0), (2 * batches[0] + 2 * batches[1] + batches[2]) / 5, rtol=1e-6)
    model.optimizer.learning_rate = 0.0
    assert np.isclose(model.fit(dataset, shuffle=False, verbose=0).history["loss"][0], np.dot(batches, [0.4, 0.4, 0.2]))
    predicted = [model(**{k: v for k, v in batch.items() if k != "labels"}).logits.shape[:2] for batch in dataset]
    assert predicted == [(2, 7), (2, 5), (1, 6)]


def test_what_a_tokenizer_returns_can_be_fitted() -> None:
    """A BatchEncoding, which is no dict, as x, with labels as y; Keras alone would take it for one value."""
    data = rows(4)
    encoding = BatchEncoding({name: data[name] for name in ("input_ids", "attention_mask")})
    model = fresh(still=True, run_eagerly=True)
    expected = float(tf.reduce_mean(model(**data).loss))
    assert np.isclose(model.evaluate(encoding, data["labels"], verbose=0), expected, rtol=1e-6)
    assert model.predict(encoding, verbose=0).logits.shape == (4, 8)
    assert np.isclose(model.fit(encoding, data["labels"], verbose=0).history["loss"][0], expected, rtol=1e-6)


def test_a_model_is_a_layer_of_somebody_elses_model(tmp_path) -> None:
    """In a functional model: its weights are trained with the rest, saved, and loaded again."""
    encoder = MODELS["base"](config_of(**STILL, num_hidden_layers=1, add_pooling_layer=False))
    ids = keras.Input((None,), dtype="int64", name="input_ids")
    mask = keras.Input((None,), dtype="int64", name="attention_mask")
    states = encoder({"input_ids": ids, "attention_mask": mask}).last_hidden_state
    outer = keras.Model({"input_ids": ids, "attention_mask": mask}, keras.layers.Dense(3)(states[:, 0]))
    outer.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    data = rows(4)
    inputs = {name: data[name] for name in ("input_ids", "attention_mask")}
    before = [variable.numpy() for variable in encoder.encoder.trainable_variables]
    outer.fit(inputs, data["labels"] % 3, verbose=0)
    assert all(np.any(old != new.numpy()) for old, new in zip(before, encoder.encoder.trainable_variables, strict=True))
    outer.save(tmp_path / "outer.keras")
    again = keras.saving.load_model(tmp_path / "outer.keras")
    np.testing.assert_allclose(again(inputs), outer(inputs), rtol=0, atol=1e-6)


def test_predict_takes_one_array() -> None:
    """The page's single tensor, in batches, the last one smaller."""
    model = fresh(still=True)
    ids = ids_of(HEAD, model.config)
    np.testing.assert_allclose(model.predict(ids, batch_size=3, verbose=0).logits, model(ids).logits, atol=1e-12)
