"""Odd calls that must neither hang, nor wrap, nor warn, nor reach into a model: each was once a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import CheckpointError, ConfigError, InputError, InputTypeError, RoFormerConfig, WeightsError

from ..support import HEADS, MODELS, config_of, good_call, same, strong_weights
from .conftest import Build


class FailingArray:
    """An object whose promise of an array ends in an error of its own."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error("no array")


def endless_list() -> list[Any]:
    """A list that holds itself."""
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.timeout(20)
@pytest.mark.parametrize("head", HEADS)
def test_a_list_that_holds_itself_is_refused(build: Build, head: str) -> None:
    """Looking for the depth of a list comes to an end."""
    with pytest.raises(InputError, match="input_ids"):
        build(head)(endless_list())


ODD_IDS: dict[str, tuple[Any, type[Exception], str]] = {
    "a number of no dimension beside a row": ([np.array(5), [1, 2]], InputError, "no list"),
    "a class beside a row": ([list, [1]], InputError, "no list"),
    "an integer too long to write": ([[10**5000]], InputTypeError, "too large"),
    "an AttributeError of an array": (FailingArray(AttributeError), InputTypeError, "FailingArray"),
    "a KeyError of an array": (FailingArray(KeyError), InputTypeError, "FailingArray"),
    "a bool beside integers": ([[3, 2], [1, True]], InputTypeError, r"input_ids\[1, 1\] is True"),
    "a NumPy bool beside integers": (([np.True_, 2],), InputTypeError, r"input_ids\[0, 0\] is np.True_"),
}


@pytest.mark.parametrize("name", ODD_IDS)
def test_odd_ids_are_refused_by_us(build: Build, name: str) -> None:
    """No exception of a library, and no bool that passes for 0 or 1."""
    ids, error, text = ODD_IDS[name]
    with pytest.raises(error, match=text) as caught:
        build("base")(input_ids=ids)
    assert len(str(caught.value)) < 600


def test_an_unknown_name_is_refused_in_whole_sentences(build: Build) -> None:
    """Without a name to suggest, the sentence still ends before the next begins."""
    with pytest.raises(InputTypeError, match=r"not an argument of this model\. Its arguments are"):
        build("base")([[1]], zzz=1)


@pytest.mark.parametrize("position", [2**63, 2**64 - 1, 2**64 - 100])
def test_a_span_position_beyond_int64_counts_nothing(build: Build, position: int) -> None:
    """A position that int64 cannot hold is ignored like any other behind the end, and never the last token."""
    model = build("question_answering")
    ids = good_call("question_answering", model.config)["input_ids"]
    positions = np.full(len(ids), position, np.uint64)
    assert (model(ids, start_positions=positions, end_positions=positions).loss == 0).all()


FLOATS: dict[str, tuple[str, Callable[[], dict[str, Any]], str]] = {
    "embeddings": (
        "base",
        lambda: {"inputs_embeds": np.full((4, 7, 10), 1e300)},
        r"inputs_embeds\[0, 0, 0\] is 1e\+300",
    ),
    "a target": ("sequence_classification", lambda: {"labels": [0.0, 1e300, 0.0, 0.0]}, r"labels\[1\] is 1e\+300"),
    "a head mask": ("base", lambda: {"head_mask": [1.0, 1.0, 1.0 + 1e-9]}, r"head_mask\[2\] is 1.000000001"),
}


@pytest.mark.parametrize("name", FLOATS)
def test_a_number_is_judged_before_it_is_rounded(build: Build, name: str) -> None:
    """What float32 would make infinite, or round into the allowed range, is refused as the caller wrote it."""
    head, changes, text = FLOATS[name]
    model = build(head, dtype="float32", num_labels=1)
    call = changes()
    ids = {} if "inputs_embeds" in call else {"input_ids": np.ones((4, 7), int)}
    with pytest.raises(InputError, match=text):
        model(**ids, **call)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_what_is_not_finite_meets_no_warning_on_its_way(build: Build, dtype: str, value: float) -> None:
    """Infinity stays in its row (ERR-11.3), whatever NumPy is told to do about floating-point errors."""
    model = build("base", dtype=dtype)
    embeds = np.ones((2, 3, 10))
    embeds[0] = value
    with np.errstate(all="raise"):
        output = model(inputs_embeds=embeds).last_hidden_state
    assert np.isfinite(output[1]).all()


@pytest.mark.parametrize("change", ["none", "resized", "pruned"])
@pytest.mark.parametrize("head", HEADS)
def test_the_mapping_of_weights_may_be_overwritten(head: str, change: str, arithmetic: str) -> None:
    """`to_weights` gives copies: writing to them does not reach the model."""
    model = MODELS[head](config_of(), components=arithmetic)
    if change == "resized":
        model.resize_token_embeddings(31)
    if change == "pruned":
        model.prune_heads({0: [1]})
    call = good_call(head, model.config)
    before = model(**call)
    for array in model.to_weights().values():
        array[...] = 7.0
    assert same(before, model(**call))


def test_a_weight_beyond_the_type_is_refused() -> None:
    """A finite weight does not become an infinite one."""
    config = config_of()
    weights = strong_weights(config)
    weights["embeddings.word_embeddings.weight"][3, 3] = 1e300
    with pytest.raises(WeightsError, match=r"word_embeddings\.weight holds numbers that float32 cannot hold"):
        MODELS["base"].from_weights(config, weights)


@pytest.mark.parametrize("dtype", [None, "(2,", ">f2"])
def test_a_type_must_be_named(dtype: Any) -> None:
    """None is no type, and what NumPy cannot parse is refused in our words."""
    with pytest.raises(InputError, match="float32, float64"):
        MODELS["base"](config_of(), dtype=dtype)


def test_a_foreign_byte_order_becomes_this_machines(arithmetic: str) -> None:
    """Weights and outputs are of the same, native type."""
    model = MODELS["base"](config_of(), dtype=">f4", components=arithmetic)
    assert model.dtype == model([[1]]).last_hidden_state.dtype == np.dtype("float32")
    assert model.dtype.isnative


@pytest.mark.parametrize("number", [np.array([40]), np.array([40, 2]), True])
def test_an_array_is_no_integer(build: Build, number: Any) -> None:
    """Sizes, seeds and counts are refused by their names."""
    model = build("causal_lm")
    with pytest.raises(InputTypeError, match="new size of the vocabulary is"):
        model.resize_token_embeddings(number)
    with pytest.raises(InputTypeError, match="max_new_tokens is"):
        model.generate([[1]], max_new_tokens=number)
    with pytest.raises(InputTypeError, match="expected integers"):
        model.prune_heads({0: [number]})
    with pytest.raises(InputError, match="seed="):
        MODELS["base"](config_of(), seed=number)


def test_the_temperature_may_be_tiny_but_not_endless(build: Build) -> None:
    """The smallest temperature draws the most likely token, without a warning; one beyond float64 is refused."""
    model = build("causal_lm")
    greedy = model.generate([[1, 2]], max_new_tokens=4)
    for temperature in (5e-324, 1e-320, np.float32(1e-40)):
        sampled = model.generate([[1, 2]], max_new_tokens=4, do_sample=True, temperature=temperature, generator=0)
        assert np.array_equal(sampled, greedy)
    with pytest.raises(InputError, match="temperature is 1000"):
        model.generate([[1, 2]], do_sample=True, max_new_tokens=1, temperature=10**400)


def test_an_end_token_may_be_an_array_of_no_dimension(build: Build) -> None:
    """One number is one number, in whatever it comes."""
    model = build("causal_lm")
    ends = (5, np.array(5), np.int8(5), [5], np.array([5]))
    assert len({model.generate([[1]], max_new_tokens=3, eos_token_id=end).tobytes() for end in ends}) == 1


def test_what_is_no_name_is_not_among_the_outputs(build: Build) -> None:
    """Asking for membership never fails."""
    output = build("base")([[1, 2]])
    assert "last_hidden_state" in output
    assert "logits" not in output
    assert 5 not in output
    assert None not in output


ODD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "an object in extra": ({"extra": {"x": object()}}, "extra=.*JSON"),
    "infinity in extra": ({"extra": {"x": float("inf")}}, "extra=.*JSON"),
    "keys that cannot be sorted": ({"extra": {"x": {1: 2, "b": 3}}}, "extra=.*JSON"),
    "one label twice": ({"id2label": {"0": "a", 0: "b"}}, "id2label=.*two keys"),
    "one layer twice": ({"pruned_heads": {"0": [1], "00": [2]}}, "pruned_heads=.*two keys"),
    "a label of five thousand digits": ({"id2label": {"9" * 5000: "a"}}, "id2label="),
}


@pytest.mark.parametrize("name", ODD_FIELDS)
def test_odd_fields_are_refused_at_construction(name: str) -> None:
    """A configuration that could not be written, or says one thing twice, never comes to be."""
    fields, text = ODD_FIELDS[name]
    with pytest.raises(ConfigError, match=text):
        RoFormerConfig(**fields)


def test_fields_go_by_keyword() -> None:
    """A mapping by position is sent to `from_dict`."""
    with pytest.raises(InputTypeError, match="from_dict"):
        RoFormerConfig({"vocab_size": 29})  # type: ignore[misc]


def test_the_mapping_of_a_configuration_may_be_changed() -> None:
    """`to_dict` gives copies: changing them does not reach the configuration."""
    config = config_of(extra={"x": [1]}, pruned_heads={0: [1]})
    changed = config.to_dict()
    changed["id2label"][0] = "other"
    changed["pruned_heads"][0].append(2)
    changed["x"].append(2)
    assert config == config_of(extra={"x": [1]}, pruned_heads={0: [1]})


@pytest.mark.parametrize(
    ("folder", "error"), [(None, InputTypeError), (5, InputTypeError), (b"m", InputTypeError), ("", CheckpointError)]
)
def test_a_model_is_saved_to_a_path(
    build: Build, folder: Any, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no path is refused by name, and an empty one does not fill the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match="folder is"):
        build("base").save_pretrained(folder)
    with pytest.raises(error, match="folder is"):
        MODELS["base"].from_pretrained(folder)
    assert list(tmp_path.iterdir()) == []
