"""The weights: one schema, published names, exact round trips, and what is missing, misshapen or foreign (LIFE)."""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from roformer_numpy import CheckpointError, InputError, InputTypeError, RoFormerError, WeightsError, weight_shapes

from ..support import (
    HEADS,
    LANGUAGE_MODELS,
    MODELS,
    SIZES,
    config_of,
    good_call,
    published_shapes,
    same,
    sinusoids,
    strong_weights,
)
from .conftest import Build

N, L, H, E, V = (
    SIZES[name] for name in ("num_attention_heads", "num_hidden_layers", "hidden_size", "embedding_size", "vocab_size")
)
D = H // N
VARIANTS: dict[str, dict[str, Any]] = {
    "E < H": {},
    "E = H": {"embedding_size": H},
    "untied": {"tie_word_embeddings": False},
    "cross-attention": {"is_decoder": True, "add_cross_attention": True},
    "no pooler": {"add_pooling_layer": False},
    "one label": {"num_labels": 1},
}
QUERY = "encoder.layer.0.attention.self.query.weight"


def prefixed(name: str, head: str) -> str:
    """A backbone name as the head stores it."""
    return name if head == "base" else f"roformer.{name}"


def load(head: str, weights: Any, *, components: Any = "equations", **changes: Any) -> Any:
    """A float64 model from flat weights."""
    options = {name: changes.pop(name) for name in ("seed", "dtype") if name in changes}
    return MODELS[head].from_weights(
        config_of(**changes), weights, components=components, **{"dtype": "float64", **options}
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_shapes_are_the_published_ones(build: Build, head: str, variant: str) -> None:
    """to_weights has exactly the tensors of the transformers library, in PyTorch's layout."""
    model = build(head, **VARIANTS[variant])
    weights = model.to_weights()
    expected = published_shapes(config_of(**VARIANTS[variant]), head)
    assert {name: array.shape for name, array in weights.items()} == expected


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_go_in_and_come_out_bit_for_bit(head: str, variant: str, dtype: str) -> None:
    """from_weights(to_weights()) and back loses no bit, in either precision, and warns of nothing."""
    config = config_of(**VARIANTS[variant])
    weights = {name: array.astype(dtype) for name, array in strong_weights(config, head).items()}
    model = MODELS[head].from_weights(config, weights, dtype=dtype, components="equations")
    out = model.to_weights()
    assert out.keys() == weights.keys()
    for name, array in weights.items():
        if not name.endswith("embed_positions.weight"):
            assert out[name].dtype == dtype
            assert np.array_equal(out[name], array), name


def test_the_schema_has_our_names_and_kernels_stored_in_by_out() -> None:
    """weight_shapes names every weight by its path; kernels are (in, out)."""
    shapes = weight_shapes(config_of(), "sequence_classification")
    assert shapes["embeddings.word"] == (V, E)
    assert shapes["embeddings.project.kernel"] == (E, H)
    assert shapes["encoder.layer_1.attention.query.kernel"] == (H, H)
    assert shapes["encoder.layer_1.feed_forward.intermediate.kernel"] == (H, SIZES["intermediate_size"])
    assert shapes["encoder.layer_1.feed_forward.output.kernel"] == (SIZES["intermediate_size"], H)
    assert shapes["head.output.kernel"] == (H, SIZES["num_labels"])
    assert "embeddings.project.kernel" not in weight_shapes(config_of(embedding_size=H))
    assert "pooler.kernel" in weight_shapes(config_of())
    assert "pooler.kernel" not in weight_shapes(config_of(), "masked_lm")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_schema_has_as_many_numbers_as_the_published_tensors(head: str, variant: str) -> None:
    """Our names and theirs hold the same numbers, tables and second copies apart."""
    config = config_of(**VARIANTS[variant])
    theirs = {
        name: shape
        for name, shape in published_shapes(config, head).items()
        if not name.endswith(("embed_positions.weight", "decoder.bias"))
    }
    ours = weight_shapes(config, head)
    assert sorted(map(np.prod, ours.values())) == sorted(map(np.prod, theirs.values()))


def test_a_pruned_schema_is_narrower_where_heads_are_gone() -> None:
    """query, key, value and output of a pruned layer have the kept heads' features."""
    shapes = weight_shapes(config_of(pruned_heads={1: [0, 2]}))
    for part in ("query", "key", "value"):
        assert shapes[f"encoder.layer_1.attention.{part}.kernel"] == (H, D)
        assert shapes[f"encoder.layer_1.attention.{part}.bias"] == (D,)
        assert shapes[f"encoder.layer_0.attention.{part}.kernel"] == (H, H)
    assert shapes["encoder.layer_1.attention.output.kernel"] == (D, H)
    assert shapes["encoder.layer_1.attention.output.bias"] == (H,)


def test_an_unknown_head_is_refused_by_name() -> None:
    """weight_shapes(config, "qa") lists the seven heads."""
    with pytest.raises(InputError, match=r"'qa'.*question_answering"):
        weight_shapes(config_of(), "qa")


@pytest.mark.parametrize("head", HEADS)
def test_the_callers_arrays_and_the_models_are_separate(build: Build, head: str) -> None:
    """Changing arrays after from_weights, or those of to_weights, changes no result."""
    config = config_of()
    weights = strong_weights(config, head)
    model = load(head, weights)
    call = good_call(head, config)
    first = model(**call)
    for array in (*weights.values(), *model.to_weights().values()):
        if array.flags.writeable:
            array[...] = 7.0
    assert same(model(**call), first)


@pytest.mark.parametrize("head", HEADS)
def test_fresh_weights_follow_the_configuration_and_the_seed(head: str) -> None:
    """Kernels and embeddings normal with initializer_range, biases 0, scales 1, the pad row 0; one seed, one model."""
    config = config_of(vocab_size=400, initializer_range=0.5, pad_token_id=3)
    first, again, other = (
        MODELS[head](config, seed=seed, dtype="float64", components="equations").to_weights() for seed in (0, 0, 1)
    )
    assert all(np.array_equal(array, again[name]) for name, array in first.items())
    for name, array in first.items():
        if name.endswith("LayerNorm.weight"):
            assert (array == 1).all()
        elif name.endswith("bias"):
            assert (array == 0).all()
        elif not name.endswith("embed_positions.weight"):
            assert not np.array_equal(array, other[name])
            assert abs(array.std() / 0.5 - 1) < 5 / np.sqrt(2 * array.size), name
            assert abs(array.mean()) < 5 * 0.5 / np.sqrt(array.size), name
    table = first[prefixed("embeddings.word_embeddings.weight", head)]
    assert np.flatnonzero(np.abs(table).max(axis=1) == 0).tolist() == [3]


def test_no_two_fresh_tensors_are_alike() -> None:
    """Every layer and every part draws its own numbers, and the backbone is the same under every head."""
    config = config_of()
    kernels = [
        array
        for name, array in MODELS["base"](config, components="equations").to_weights().items()
        if array.shape == (H, H)
    ]
    assert len({array.tobytes() for array in kernels}) == len(kernels) == 4 * L + 1
    base = MODELS["base"](config, components="equations").to_weights()
    for head in HEADS[1:]:
        weights = MODELS[head](config, components="equations").to_weights()
        assert np.array_equal(weights[prefixed(QUERY, head)], base[QUERY])


def test_the_stored_position_table_is_the_published_one(build: Build) -> None:
    """encoder.embed_positions.weight: sines, then cosines, computed anew from the configuration."""
    table = build("base").to_weights()["encoder.embed_positions.weight"]
    np.testing.assert_allclose(table, sinusoids(SIZES["max_position_embeddings"], D), rtol=0, atol=1e-13)


# loading what does not quite fit


def test_every_tensor_that_is_missing_or_misshapen_is_named_at_once() -> None:
    """One error lists all of them, with both shapes, and a hint where a kernel is stored transposed."""
    weights = strong_weights(config_of(), "masked_lm")
    del weights["roformer.encoder.layer.1.output.LayerNorm.bias"]
    del weights["roformer.embeddings.word_embeddings.weight"]
    weights["roformer.embeddings_project.weight"] = weights["roformer.embeddings_project.weight"].T
    weights["roformer.encoder.layer.0.intermediate.dense.bias"] = np.zeros(3)
    with pytest.raises(WeightsError) as caught:
        load("masked_lm", weights)
    message = str(caught.value)
    assert message.startswith("4 weights do not fit")
    for text in (
        "encoder.layer.1.output.LayerNorm.bias",
        "embeddings.word_embeddings.weight",
        f"embeddings_project.weight has shape {(E, H)}, expected {(H, E)} (stored transposed?)",
        f"encoder.layer.0.intermediate.dense.bias has shape (3,), expected ({SIZES['intermediate_size']},)",
    ):
        assert text in message


def test_unknown_tensors_are_named_beside_the_missing_ones() -> None:
    """A misspelt name shows up next to the tensor that is missing for it."""
    weights = strong_weights(config_of())
    weights["embeddings.LayerNorm.gamma"] = weights.pop("embeddings.LayerNorm.weight")
    with pytest.raises(WeightsError, match=r"embeddings\.LayerNorm\.weight.*not known: embeddings\.LayerNorm\.gamma"):
        load("base", weights)


@pytest.mark.parametrize("head", HEADS)
def test_tensors_that_are_not_used_are_named_in_one_warning(head: str) -> None:
    """A tensor too many is no error, and is not passed over in silence."""
    weights = {**strong_weights(config_of(), head), "optimizer.step": np.zeros(1), "extra.weight": np.zeros(2)}
    with pytest.warns(UserWarning, match=rf"{head} model does not use extra\.weight, optimizer\.step") as caught:
        load(head, weights)
    assert len(caught) == 1


@pytest.mark.parametrize("head", [head for head in HEADS if head != "base"])
def test_a_missing_head_is_drawn_from_the_seed_with_one_warning_that_names_it(head: str) -> None:
    """A backbone alone loads for fine-tuning: the head's tensors are drawn, and the warning lists every one."""
    config = config_of()
    whole = strong_weights(config, head)
    backbone = {name: array for name, array in whole.items() if name.startswith("roformer.")}
    models = []
    for seed in (3, 3, 4):
        with pytest.warns(UserWarning, match="drawn from seed") as caught:
            models.append(load(head, backbone, seed=seed))
        assert len(caught) == 1
        message = str(caught[0].message)
        assert f"seed {seed}" in message
        for name in whole.keys() - backbone.keys():
            assert name in message
    first, again, other = (model.to_weights() for model in models)
    for name in whole:
        assert np.array_equal(first[name], again[name])
        if name in backbone and "embed_positions" not in name:
            assert np.array_equal(first[name], backbone[name])
    drawn = [name for name in whole.keys() - backbone.keys() if np.ptp(first[name])]
    assert drawn
    assert all(not np.array_equal(first[name], other[name]) for name in drawn)


@pytest.mark.parametrize("head", [head for head in HEADS if head != "base"])
def test_a_base_model_takes_the_backbone_of_any_head(head: str) -> None:
    """The pooler, which no head stores, is None with a warning that names both tensors; the rest agrees exactly."""
    model = load(head, strong_weights(config_of(), head))
    with pytest.warns(UserWarning, match="pooler|does not use") as caught:
        base = load("base", model.to_weights())
    messages = [str(item.message) for item in caught]
    assert sum("pooler.dense.weight" in text and "pooler.dense.bias" in text for text in messages) == 1
    assert len(messages) == 2
    call = {"input_ids": good_call("base", model.config)["input_ids"]}
    output = base(**call)
    assert output.pooler_output is None
    assert list(output) == ["last_hidden_state"]
    if head not in ("causal_lm", "multiple_choice"):  # one is causal, the other has another shape
        assert same(output.last_hidden_state, model(**call, output_hidden_states=True).hidden_states[-1])
    back = {f"roformer.{name}": array for name, array in base.to_weights().items()}
    with pytest.warns(UserWarning, match="drawn from seed"):
        again = load(head, back)
    assert np.array_equal(again.to_weights()[f"roformer.{QUERY}"], model.to_weights()[f"roformer.{QUERY}"])


@pytest.mark.parametrize("lost", ["pooler.dense.weight", "pooler.dense.bias"])
def test_half_a_pooler_is_no_pooler(lost: str) -> None:
    """A pooler with one tensor missing gives None, names that tensor, and names the other one as not used."""
    weights = strong_weights(config_of())
    kept = {"pooler.dense.weight": "pooler.dense.bias", "pooler.dense.bias": "pooler.dense.weight"}[lost]
    del weights[lost]
    with pytest.warns(UserWarning, match="pooler") as caught:
        model = load("base", weights)
    missing, unused = (str(item.message) for item in caught)
    assert missing.endswith(f"the weights have no {lost}")
    assert unused.endswith(f"does not use {kept}")
    assert model(good_call("base", model.config)["input_ids"]).pooler_output is None


@pytest.mark.parametrize("head", HEADS)
def test_the_prefix_of_the_backbone_may_be_there_or_not(head: str) -> None:
    """Names with and without "roformer." mean the same; both at once are refused."""
    weights = strong_weights(config_of(), head)
    call = good_call(head, config_of())
    expected = load(head, weights)(**call)
    bare = {name.removeprefix("roformer."): array for name, array in weights.items()}
    full = {name if name.startswith(("cls", "classifier", "qa")) else f"roformer.{name}": bare[name] for name in bare}
    assert same(load(head, bare)(**call), expected)
    assert same(load(head, full)(**call), expected)
    with pytest.raises(WeightsError, match="given twice"):
        load(head, {**full, QUERY: bare[QUERY]})


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_the_bias_of_a_language_model_is_read_under_either_name(head: str) -> None:
    """decoder.bias alone serves where predictions.bias is absent."""
    weights = strong_weights(config_of(), head)
    expected = load(head, weights)(**good_call(head, config_of()))
    weights["cls.predictions.decoder.bias"] = weights.pop("cls.predictions.bias")
    assert same(load(head, weights)(**good_call(head, config_of())), expected)


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
@pytest.mark.parametrize("tied", [True, False])
def test_of_two_biases_an_untied_decoder_uses_its_own(head: str, tied: bool) -> None:
    """Where a file holds both and they differ, decoder.bias counts when untied, predictions.bias when tied."""
    weights = strong_weights(config_of(tie_word_embeddings=tied), head)
    ids = good_call(head, config_of())["input_ids"]
    before = load(head, weights, tie_word_embeddings=tied)(ids).logits
    moved = {**weights, "cls.predictions.decoder.bias": weights["cls.predictions.bias"] + 1.0}
    after = load(head, moved, tie_word_embeddings=tied)(ids).logits
    np.testing.assert_allclose(after - before, 0.0 if tied else 1.0, rtol=0, atol=1e-13)


@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_a_stored_decoder_of_a_tied_model_is_used_for_nothing_and_named_when_it_differs(head: str) -> None:
    """A copy of the word embeddings is silent; another table is warned about, and ignored."""
    weights = strong_weights(config_of(), head)
    call = good_call(head, config_of())
    expected = load(head, weights)(**call)
    table = weights["roformer.embeddings.word_embeddings.weight"]
    assert same(load(head, {**weights, "cls.predictions.decoder.weight": table})(**call), expected)
    with pytest.warns(UserWarning, match="tie_word_embeddings is True"):
        model = load(head, {**weights, "cls.predictions.decoder.weight": table + 1})
    assert same(model(**call), expected)


def test_an_untied_decoder_that_is_missing_is_drawn_and_named() -> None:
    """tie_word_embeddings=False with a tied file: the decoder is a head tensor like others."""
    weights = strong_weights(config_of(), "masked_lm")
    with pytest.warns(UserWarning, match=r"drawn from seed.*cls\.predictions\.decoder\.weight"):
        load("masked_lm", weights, tie_word_embeddings=False)


@pytest.mark.parametrize("change", [0.01, np.nan])
def test_a_position_table_that_differs_is_warned_about_and_ignored(change: float) -> None:
    """Positions are computed: a drifted table changes no result."""
    weights = strong_weights(config_of())
    call = {"input_ids": good_call("base", config_of())["input_ids"]}
    expected = load("base", weights)(**call)
    weights["encoder.embed_positions.weight"][5, 2] += change
    with pytest.warns(UserWarning, match=r"encoder\.embed_positions\.weight differs"):
        model = load("base", weights)
    assert same(model(**call), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", ml_dtypes.bfloat16])
def test_a_rounded_position_table_is_no_difference(dtype: Any) -> None:
    """The table as half or single precision stores it, float32 angles included, loads in silence."""
    config = config_of(max_position_embeddings=1536)
    weights = strong_weights(config)
    weights["encoder.embed_positions.weight"] = sinusoids(1536, D).astype(dtype)
    load("base", weights, max_position_embeddings=1536)
    angles = np.arange(1536, dtype=np.float32)[:, None] * (
        1 / np.float32(10000) ** (np.arange(0, D, 2, dtype=np.float32) / D)
    )
    weights["encoder.embed_positions.weight"] = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(dtype)
    assert load("base", weights, max_position_embeddings=1536).config.max_position_embeddings == 1536


@pytest.mark.parametrize("positions", [4, 64])
def test_max_position_embeddings_may_change_at_load(positions: int) -> None:
    """The table in the file may be shorter or longer than the configuration asks for, silently."""
    weights = strong_weights(config_of())
    model = load("base", weights, max_position_embeddings=positions)
    ids = np.zeros((1, positions), int)
    assert model(ids).last_hidden_state.shape == (1, positions, H)
    with pytest.raises(InputError, match=f"max_position_embeddings={positions}"):
        model(np.zeros((1, positions + 1), int))


def test_a_position_table_may_be_absent() -> None:
    """What is computed need not be stored."""
    weights = strong_weights(config_of())
    del weights["encoder.embed_positions.weight"]
    load("base", weights)


def test_weights_of_the_second_version_are_refused_in_words() -> None:
    """RoFormer V2 files have no biases and no LayerNorm weights: they are named as another architecture."""
    weights = {
        name: array
        for name, array in strong_weights(config_of(), "masked_lm").items()
        if not name.endswith("bias") and "LayerNorm" not in name
    }
    with pytest.raises(CheckpointError, match="V2"):
        load("masked_lm", weights)


def test_a_few_lost_biases_are_listed_and_not_taken_for_the_second_version() -> None:
    """LIFE-6.1: a damaged checkpoint that still has most of its biases gets the list of what is missing."""
    lost = ("embeddings.LayerNorm.bias", "encoder.layer.0.attention.self.query.bias")
    weights = {name: array for name, array in strong_weights(config_of(), "base").items() if name not in lost}
    with pytest.raises(WeightsError, match=f"{lost[0]}, {lost[1]}"):
        load("base", weights)


@pytest.mark.parametrize("dtype", ["float16", "float32", ml_dtypes.bfloat16])
def test_narrow_weights_mean_the_numbers_that_they_hold(dtype: Any) -> None:
    """Half and single precision tensors are widened exactly."""
    weights = {name: array.astype(dtype) for name, array in strong_weights(config_of()).items()}
    model = load("base", weights)
    for name, array in model.to_weights().items():
        assert array.dtype == np.float64
        if "embed_positions" not in name:
            assert np.array_equal(array, weights[name].astype(np.float64))


@pytest.mark.parametrize("value", [np.zeros((H, H), int), np.zeros((H, H), complex), [["a"] * H] * H], ids=str)
def test_tensors_of_no_floating_point_type_are_refused_by_name(value: Any) -> None:
    """Integers, complex numbers and words are no weights."""
    weights = {**strong_weights(config_of()), QUERY: value}
    with pytest.raises(RoFormerError, match=r"encoder\.layer\.0\.attention\.self\.query\.weight"):
        load("base", weights)


@pytest.mark.parametrize("value", [None, [], "weights", 7, [("a", 1)]], ids=str)
def test_weights_are_a_mapping(value: Any) -> None:
    """Anything else is refused by type."""
    with pytest.raises(InputTypeError, match=type(value).__name__):
        load("base", value)


@pytest.mark.parametrize("container", [dict, MappingProxyType])
def test_any_mapping_of_arrays_or_nested_lists_is_weights(container: Any) -> None:
    """Read-only mappings and plain lists of floats are taken as they are."""
    weights = strong_weights(config_of())
    ids = good_call("base", config_of())["input_ids"]
    listed = container({name: array.tolist() for name, array in weights.items()})
    assert same(load("base", listed)(ids), load("base", weights)(ids))


@pytest.mark.parametrize(
    "table",
    [np.full((19, D), "a"), np.ones((19, D), complex), np.ones((19, D), bool), np.ones(19), np.ones((19, D + 1)), 7],
    ids=["words", "complex", "bool", "rank 1", "another width", "a number"],
)
def test_any_other_position_table_is_a_difference(table: Any) -> None:
    """What is never read cannot stop a model from loading, only warn."""
    weights = {**strong_weights(config_of()), "encoder.embed_positions.weight": table}
    with pytest.warns(UserWarning, match=r"embed_positions\.weight differs"):
        load("base", weights)


def test_ragged_weights_are_refused_in_our_words() -> None:
    """A tensor that is no array is a WeightsError that names it."""
    weights = {**strong_weights(config_of()), QUERY: [[1.0, 2.0], [3.0]]}
    with pytest.raises(RoFormerError, match=r"query\.weight"):
        load("base", weights)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"dtype": "float16"}, InputError, "float16.*float32, float64"),
        ({"dtype": "int32"}, InputError, "int32"),
        ({"dtype": "number"}, InputError, "'number'"),
        ({"dtype": object()}, InputError, "dtype"),
        ({"seed": -1}, InputError, "seed=-1"),
        ({"seed": 1.5}, InputError, "seed=1.5"),
        ({"seed": "0"}, InputError, "seed='0'"),
        ({"components": "fast"}, InputError, "'fast'.*'kernels', 'components', 'equations'"),
        ({"components": None}, InputError, "components"),
    ],
)
def test_a_bad_option_of_a_constructor_is_refused_by_name_and_value(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """dtype, seed and components are checked by every way to make a model."""
    config = config_of()
    with pytest.raises(error, match=text):
        MODELS["base"](config, **{"components": "equations", **options})
    with pytest.raises(error, match=text):
        MODELS["base"].from_weights(config, strong_weights(config), **{"components": "equations", **options})


@pytest.mark.parametrize("config", [None, {}, "roformer", 768])
def test_a_model_is_made_from_a_configuration(config: Any) -> None:
    """Anything else is refused by type, from weights as well."""
    with pytest.raises(InputTypeError, match=f"config is a {type(config).__name__}"):
        MODELS["base"](config, components="equations")
    with pytest.raises(InputTypeError, match=f"config is a {type(config).__name__}"):
        MODELS["base"].from_weights(config, strong_weights(config_of()), components="equations")


def test_loading_what_fits_warns_of_nothing() -> None:
    """No warning where there is nothing to say; a warning points at the line that loads."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for head in HEADS:
            load(head, strong_weights(config_of(), head))
    assert caught == []
    weights = {**strong_weights(config_of()), "extra": np.zeros(1)}
    with pytest.warns(UserWarning, match="extra") as caught:
        MODELS["base"].from_weights(config_of(), weights, components="equations")
    assert caught[0].filename == __file__
