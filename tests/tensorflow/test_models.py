"""What the documentation promises of the Keras models beyond numbers: signatures, formats, gradients, folders."""

from __future__ import annotations

import inspect
from collections import OrderedDict, UserDict

import keras
import numpy as np
import pytest
import tensorflow as tf

import roformer_numpy
import roformer_tensorflow
from roformer_numpy import InputError, InputTypeError

from .samples import HEADS, MODELS, NAMES, config_of, ids_of


@pytest.mark.parametrize("head", HEADS)
def test_call_has_the_documented_signature(head: str) -> None:
    """The page's arguments, in the page's order, with the page's defaults; the decoder's are keyword-only."""
    labels = {"base": [], "question_answering": ["start_positions", "end_positions"]}.get(head, ["labels"])
    parameters = inspect.signature(MODELS[head].call).parameters
    positional = [name for name, item in parameters.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
    assert positional == [
        *("self", "input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds"),
        *("output_attentions", "output_hidden_states", "return_dict"),
        *labels,
        "training",
    ]
    assert parameters["training"].default is False
    assert all(parameters[name].default is None for name in positional[1:-1])


@pytest.mark.parametrize("head", HEADS)
def test_a_model_is_a_keras_model_with_all_its_weights(head: str) -> None:
    """Every weight is there before the first call, trainable, and there are no others; no table is among them."""
    config = config_of()
    model = MODELS[head](config, dtype="float64")
    shapes = roformer_numpy.weight_shapes(config, head)
    assert isinstance(model, keras.Model)
    assert model.count_params() == sum(int(np.prod(shape)) for shape in shapes.values())
    assert len(model.trainable_variables) == len(shapes)
    assert {variable.dtype for variable in model.trainable_variables} == {"float64"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_reaches_every_layer(dtype: str) -> None:
    """One policy for all, whatever Keras' global one is."""
    model = MODELS["masked_lm"](config_of(tie_word_embeddings=False, add_cross_attention=True), dtype=dtype)
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {dtype}
    assert model(ids_of("masked_lm", model.config)).logits.dtype == dtype


def test_a_seed_draws_the_same_weights_as_in_numpy() -> None:
    """Fresh weights depend on seed, name and shape alone, not on the library that computes with them."""
    ours = roformer_tensorflow.TFRoFormerForMaskedLM(config_of(), seed=3).to_weights()
    theirs = roformer_numpy.RoFormerForMaskedLM(config_of(), seed=3, components="equations").to_weights()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


FORMATS = {
    "keywords": lambda model, ids, mask: model(input_ids=ids, attention_mask=mask),
    "positions": lambda model, ids, mask: model(ids, mask),
    "list": lambda model, ids, mask: model([ids, mask]),
    "tuple with holes": lambda model, ids, mask: model((ids, mask, None, None)),
    "dict": lambda model, ids, mask: model({"attention_mask": mask, "input_ids": ids}),
    "OrderedDict": lambda model, ids, mask: model(OrderedDict(input_ids=ids, attention_mask=mask)),
    "UserDict": lambda model, ids, mask: model(UserDict(input_ids=ids, attention_mask=mask)),
    "tensors": lambda model, ids, mask: model([tf.constant(ids, tf.int32), tf.constant(mask, tf.float32)]),
    "variables": lambda model, ids, mask: model(tf.Variable(ids), attention_mask=tf.Variable(mask)),
    "nested lists": lambda model, ids, mask: model(ids.tolist(), attention_mask=mask.tolist()),
    "bool mask": lambda model, ids, mask: model(ids.astype(np.uint8), attention_mask=mask.astype(bool)),
}


@pytest.mark.parametrize("written", FORMATS.values(), ids=FORMATS)
def test_every_input_format_gives_the_same_bits(written) -> None:
    """The page's formats, and those that Keras alone would refuse (IN-2, IN-4)."""
    model = MODELS["base"](config_of())
    ids = ids_of("base", model.config)
    mask = np.ones_like(ids)
    mask[1, 4:] = 0
    expected = FORMATS["keywords"](model, ids, mask).last_hidden_state.numpy()
    assert np.array_equal(written(model, ids, mask).last_hidden_state.numpy(), expected)


def test_gradients_reach_embeddings_of_the_callers_own() -> None:
    """inputs_embeds is computed on as it was given, not as a copy that no gradient comes back from."""
    model = MODELS["base"](config_of(), dtype="float64")
    embeds = tf.Variable(tf.gather(model.embeddings.word, ids_of("base", model.config)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(inputs_embeds=embeds).pooler_output)
    assert float(tf.reduce_max(tf.abs(tape.gradient(total, embeds)))) > 0


def test_ignored_labels_have_no_gradient() -> None:
    """The gradient of the logits is exactly 0 where the label is −100 (LOSS-2)."""
    model = MODELS["token_classification"](config_of(), dtype="float64")
    ids = ids_of("token_classification", model.config)
    labels = np.where(np.arange(7) % 2, -100, ids % 8)
    with tf.GradientTape() as tape:
        output = model(ids, labels=labels)
        total = tf.reduce_sum(output.loss)
    gradient = tape.gradient(total, output.logits).numpy()
    assert np.all(gradient[labels == -100] == 0)
    assert np.all(np.abs(gradient[labels != -100]).max(axis=-1) > 0)


def test_masked_scores_of_any_size_give_finite_gradients() -> None:
    """Scores that would overflow an exponential stay outside of it when they are masked (MASK-1)."""
    model = MODELS["base"](config_of(embedding_size=18))
    embeds = np.random.default_rng(0).normal(size=(2, 7, 18)).astype(np.float32)
    query = model.encoder.blocks[0].attention.query.kernel
    query.assign(query * 1e6)
    mask = np.ones((2, 7), np.int64)
    mask[:, 3:] = 0
    mask[1] = 0
    given = tf.Variable(embeds)
    with tf.GradientTape() as tape:
        output = model(inputs_embeds=given, attention_mask=mask, output_attentions=True)
        total = tf.reduce_sum(output.last_hidden_state[:, :3])
    assert np.all(output.attentions[0].numpy()[0, ..., 3:] == 0)
    assert np.all(output.attentions[0].numpy()[1] == np.float32(1 / 7))
    assert np.all(np.isfinite(tape.gradient(total, given).numpy()))


@pytest.mark.parametrize("head", HEADS)
def test_a_saved_model_loads_in_numpy_and_here(head: str, tmp_path) -> None:
    """One folder, two implementations, the same weights to the last bit (LIFE-4)."""
    model = MODELS[head](config_of(), seed=5, dtype="float64")
    model.save_pretrained(tmp_path)
    again = MODELS[head].from_pretrained(tmp_path, dtype="float64")
    there = getattr(roformer_numpy, NAMES[head]).from_pretrained(tmp_path, dtype="float64", components="equations")
    ids = ids_of(head, model.config)
    for name, value in model(ids).items():
        assert np.array_equal(value, again(ids)[name])
        assert np.allclose(value, there(ids)[name], rtol=0, atol=1e-12)


def test_keras_knows_the_output_as_a_container() -> None:
    """Keras maps over its fields and puts it together again (OUT-5)."""
    output = MODELS["masked_lm"](config_of())(ids_of("masked_lm", config_of()), output_hidden_states=True)
    doubled = keras.tree.map_structure(lambda tensor: 2 * tensor, output)
    assert type(doubled) is roformer_tensorflow.TFModelOutput
    assert list(doubled) == ["logits", "hidden_states"]
    assert np.array_equal(doubled.logits, 2 * output.logits)
    assert output.loss is None
    with pytest.raises(AttributeError, match="no field 'logit'"):
        output.logit  # noqa: B018


def test_dropout_is_drawn_from_one_seed() -> None:
    """The same seed, the same run; the next call draws anew (TRAIN-1)."""
    model = MODELS["base"](config_of(hidden_dropout_prob=0.5), seed=1)
    ids = ids_of("base", model.config)
    first, second = model(ids, training=True)[0].numpy(), model(ids, training=True)[0].numpy()
    model.set_seed(1)
    assert np.array_equal(model(ids, training=True)[0].numpy(), first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MODELS["base"]({"hidden_size": 8}), InputTypeError, "config is a dict"),
        (lambda: MODELS["base"](config_of(), dtype="float16"), InputError, "float16"),
        (lambda: MODELS["base"](config_of(), dtype="bfloat16"), InputError, "bfloat16"),
        (lambda: MODELS["base"](config_of(), seed=-1), InputError, "seed=-1"),
        (lambda: MODELS["base"](config_of())([[1]], generator=1), InputTypeError, "generator"),
    ],
)
def test_wrong_construction_is_refused(make, error: type[Exception], words: str) -> None:
    """What cannot be kept is an error that names the argument."""
    with pytest.raises(error, match=words):
        make()


def test_a_compiled_model_keeps_its_shapes() -> None:
    """What an optimizer holds for a weight would not fit the pruned one."""
    model = MODELS["base"](config_of())
    model.prune_heads({0: [1]})
    assert model(ids_of("base", model.config), output_attentions=True).attentions[0].shape[1] == 2
    model.compile(optimizer="sgd")
    with pytest.raises(InputError, match="before compile"):
        model.prune_heads({1: [0]})
