"""The configuration: defaults, rules, label names, and files of other libraries (CFG)."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from collections import OrderedDict, UserDict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roformer_numpy import ConfigError, RoFormerConfig, RoFormerError
from roformer_numpy.config import DEFAULTS, FIELD_RULES

from ..support import config_of

DOCUMENTED = {
    "vocab_size": 50000,
    "embedding_size": 768,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1536,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "rotary_value": False,
    "is_decoder": False,
    "tie_word_embeddings": True,
    "num_labels": 2,
    "problem_type": None,
    "summary_type": "last",
    "add_cross_attention": False,
    "use_cache": True,
    "add_pooling_layer": True,
    "loss_reduction": "none",
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
    "id2label": {0: "LABEL_0", 1: "LABEL_1"},
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "pruned_heads": {},
}
ACTS = [
    *("gelu", "gelu_new", "gelu_fast", "quick_gelu", "gelu_10", "relu"),
    *("selu", "silu", "swish", "mish", "sigmoid", "tanh"),
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_default_is_the_documented_one(name: str) -> None:
    """A configuration without arguments is the published base model."""
    value = getattr(RoFormerConfig(), name)
    assert value == DOCUMENTED[name]
    assert type(value) is type(DOCUMENTED[name])


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_default_fits_its_rule(name: str) -> None:
    """A default is not checked again in every configuration that leaves it as it is."""
    assert msgspec.convert(DEFAULTS[name], FIELD_RULES[name]) == DEFAULTS[name]


@pytest.mark.parametrize("name", ACTS)
def test_every_documented_activation_is_accepted(name: str) -> None:
    """All twelve names, selu among them."""
    assert RoFormerConfig(hidden_act=name).hidden_act == name


def test_the_embedding_size_follows_the_hidden_size_until_it_is_given() -> None:
    """Absent or None means hidden_size; a changed copy keeps what was resolved."""
    assert RoFormerConfig(hidden_size=96).embedding_size == 96
    assert RoFormerConfig(hidden_size=96, embedding_size=None).embedding_size == 96
    assert RoFormerConfig(hidden_size=96, embedding_size=24).embedding_size == 24


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "heads that do not divide": ({"hidden_size": 100}, ("hidden_size=100", "num_attention_heads=12", "multiple")),
    "an odd head size": ({"hidden_size": 36}, ("hidden_size=36", "3", "even")),
    "an unknown activation": ({"hidden_act": "gelu_11"}, ("hidden_act='gelu_11'", *ACTS)),
    "an activation of another type": ({"hidden_act": len}, ("hidden_act",)),
    "a label count against its names": ({"num_labels": 3, "id2label": {0: "a"}}, ("id2label", "num_labels=3")),
    "more labels than memory": ({"num_labels": 10**30}, ("num_labels=1000000000", "<= 1000000")),
    "label names that start at 1": ({"id2label": {1: "a", 2: "b"}}, ("id2label", "[1, 2]")),
    "label names that are no inverse": (
        {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 1, "b": 0}},
        ("label2id", "inverse"),
    ),
    "an extra that is a field": ({"extra": {"hidden_size": 24}}, ("extra", "hidden_size")),
    "an extra architecture": ({"extra": {"model_type": "bert"}}, ("extra", "model_type")),
    "label names as a list": ({"id2label": ["a", "b"]}, ("id2label",)),
    "a pad token outside the vocabulary": ({"pad_token_id": 50000}, ("pad_token_id", "vocab_size=50000")),
    "a negative pad token": ({"pad_token_id": -1}, ("pad_token_id=-1",)),
    "an end token outside the vocabulary": ({"eos_token_id": 60000}, ("eos_token_id", "60000")),
    "a wrong problem type": ({"problem_type": "ranking"}, ("problem_type='ranking'", "regression")),
    "a wrong summary": ({"summary_type": "cls_index"}, ("summary_type='cls_index'", "first")),
    "a wrong reduction": ({"loss_reduction": "sum"}, ("loss_reduction='sum'", "mean")),
    "eps 0": ({"layer_norm_eps": 0.0}, ("layer_norm_eps=0.0",)),
    "eps nan": ({"layer_norm_eps": math.nan}, ("layer_norm_eps=nan",)),
    "eps infinite": ({"layer_norm_eps": math.inf}, ("layer_norm_eps=inf",)),
    "a negative range": ({"initializer_range": -0.02}, ("initializer_range=-0.02",)),
    "a range of nan": ({"initializer_range": math.nan}, ("initializer_range=nan",)),
    "a pruned layer that is not there": ({"pruned_heads": {12: [0]}}, ("pruned_heads", "12", "0 to 11")),
    "a pruned head that is not there": ({"pruned_heads": {0: [12]}}, ("pruned_heads[0]", "12", "0 to 11")),
    "no head left": ({"pruned_heads": {3: list(range(12))}}, ("pruned_heads[3]", "no head")),
    "pruned heads in words": ({"pruned_heads": {"first": [0]}}, ("pruned_heads",)),
    **{
        f"{name} {value!r}": ({name: value}, (f"{name}={value!r}",))
        for name in (
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("max_position_embeddings", "type_vocab_size", "embedding_size", "num_labels"),
        )
        for value in (0, -3, 1.5, "768", True, math.nan, [768])
    },
    **{
        f"{name} {value!r}": ({name: value}, (f"{name}={value!r}",))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")
        for value in (-0.1, 1.1, math.nan, math.inf, "0.1", None, True)
    },
    **{
        f"{name} {value!r}": ({name: value}, (f"{name}={value!r}",))
        for name in (
            *("rotary_value", "is_decoder", "tie_word_embeddings", "add_cross_attention", "use_cache"),
            *("output_attentions", "output_hidden_states", "return_dict", "add_pooling_layer"),
        )
        for value in (1, "true", None)
    },
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_field_is_refused_with_its_name_its_value_and_the_rule(name: str) -> None:
    """Every rule is checked once, at construction."""
    fields, texts = BAD[name]
    with pytest.raises(ConfigError) as caught:
        RoFormerConfig(**fields)
    assert isinstance(caught.value, ValueError)
    for text in texts:
        assert text in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "close"),
    [("hiden_size", "hidden_size"), ("num_atention_heads", "num_attention_heads"), ("zzz", None)],
)
def test_an_unknown_field_is_refused_with_the_likely_one(name: str, close: str | None) -> None:
    """A misspelt name is answered with the right one, or with all of them."""
    with pytest.raises(ConfigError, match=f"no field '{name}'") as caught:
        RoFormerConfig(**{name: 3})
    assert (f"did you mean '{close}'" if close else "intermediate_size") in str(caught.value)


def test_positional_fields_are_refused() -> None:
    """RoFormerConfig(768) says nothing about which size is meant."""
    with pytest.raises(TypeError):
        RoFormerConfig(768)


@pytest.mark.parametrize("name", ["hidden_size", "id2label", "hidden_act"])
def test_a_configuration_is_immutable(name: str) -> None:
    """A finished model cannot change its sizes behind its weights."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config_of(), name, 5)


def test_numpy_numbers_are_numbers() -> None:
    """Sizes and probabilities from NumPy become Python numbers."""
    config = RoFormerConfig(hidden_size=np.int64(48), hidden_dropout_prob=np.float32(0.5), is_decoder=np.True_)
    assert (config.hidden_size, config.hidden_dropout_prob, config.is_decoder) == (48, 0.5, True)
    assert type(config.hidden_size) is int
    json.dumps(config.to_dict())


def test_labels_are_named_by_either_mapping() -> None:
    """id2label gives label2id and num_labels, and the other way round; keys may be the strings of JSON."""
    names = {0: "负面", 1: "中性", 2: "正面"}
    inverse = {name: number for number, name in names.items()}
    for config in (
        RoFormerConfig(id2label=names),
        RoFormerConfig(label2id=inverse),
        RoFormerConfig(id2label={str(number): name for number, name in names.items()}),
        RoFormerConfig(id2label=names, label2id=inverse, num_labels=3),
        RoFormerConfig().replace(id2label=names),
        RoFormerConfig(num_labels=5).replace(id2label=names),
    ):
        assert (config.num_labels, config.id2label, config.label2id) == (3, names, inverse)


def test_labels_may_be_named_by_digits(tmp_path: Path) -> None:
    """Stars "1" to "5" are names, not numbers, also through a file; so are unknown keys of a file."""
    names = {number: str(number + 1) for number in range(5)}
    config = RoFormerConfig(id2label=names, extra={"7": {"8": 9}})
    assert config.label2id == {str(number + 1): number for number in range(5)}
    config.to_json_file(tmp_path / "config.json")
    assert RoFormerConfig.from_json_file(tmp_path / "config.json") == config


def test_a_changed_number_of_labels_drops_names_that_no_longer_fit() -> None:
    """replace(num_labels=4) on three named labels gives LABEL_0 to LABEL_3; the same number keeps the names."""
    named = RoFormerConfig(id2label={0: "a", 1: "b", 2: "c"})
    assert named.replace(num_labels=4).id2label == {number: f"LABEL_{number}" for number in range(4)}
    assert named.replace(num_labels=3).id2label == named.id2label
    assert named.replace(hidden_act="relu").label2id == named.label2id


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({}, "single_label_classification"),
        ({"num_labels": 1}, "regression"),
        ({"num_labels": 1, "problem_type": "single_label_classification"}, "single_label_classification"),
        ({"problem_type": "regression"}, "regression"),
        ({"problem_type": "multi_label_classification"}, "multi_label_classification"),
    ],
)
def test_the_task_is_the_problem_type_or_follows_the_number_of_labels(fields: dict[str, Any], task: str) -> None:
    """One label is a regression, several are classes, unless problem_type says otherwise."""
    assert RoFormerConfig(**fields).task == task


def test_replace_checks_and_leaves_the_original() -> None:
    """A changed copy obeys the rules, unknown names included; the first configuration stays."""
    config = config_of()
    assert config.replace(hidden_act="relu").hidden_act == "relu"
    assert config.hidden_act == "gelu"
    with pytest.raises(ConfigError, match="hidden_size=19"):
        config.replace(hidden_size=19)
    with pytest.raises(ConfigError, match="hiden_size"):
        config.replace(hiden_size=18)


def test_a_configuration_survives_copy_and_pickle() -> None:
    """Copies are equal, and equal configurations are interchangeable."""
    config = config_of(id2label={number: f"x{number}" for number in range(8)}, pruned_heads={1: [0]}, extra={"a": [1]})
    assert copy.copy(config) == copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    assert config != config_of()


def test_mappings_given_to_a_configuration_are_copied() -> None:
    """Changing the caller's label names or pruned heads afterwards changes nothing."""
    names, heads, extra = {0: "a", 1: "b"}, {0: [1]}, {"x": [1]}
    config = RoFormerConfig(id2label=names, pruned_heads=heads, extra=extra)
    names[0], extra["y"] = "changed", 2
    heads[0].append(2)
    assert (config.id2label, config.pruned_heads) == ({0: "a", 1: "b"}, {0: [1]})
    assert "y" not in config.extra


def test_a_file_round_trip_is_exact(tmp_path: Path) -> None:
    """to_json_file and from_json_file give an equal configuration, with integer keys again and extras kept."""
    config = config_of(
        id2label={number: f"标签{number}" for number in range(8)},
        pruned_heads={0: [2], 1: [0, 1]},
        rotary_value=True,
        layer_norm_eps=1e-5,
        problem_type="multi_label_classification",
        eos_token_id=3,
        pad_token_id=None,
        extra={"torch_dtype": "float32", "nested": {"deep": [1, None, {"x": "y"}]}},
    )
    config.to_json_file(tmp_path / "config.json")
    assert RoFormerConfig.from_json_file(tmp_path / "config.json") == config
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["model_type"] == "roformer"


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 4),
    half=st.integers(1, 8),
    layers=st.integers(1, 5),
    embedding=st.integers(1, 70),
    act=st.sampled_from(ACTS),
    rate=st.floats(0, 1),
    labels=st.integers(1, 9),
    flag=st.booleans(),
)
def test_every_valid_configuration_survives_its_dictionary(
    heads: int, half: int, layers: int, embedding: int, act: str, rate: float, labels: int, flag: bool
) -> None:
    """from_dict(to_dict(c)) = c, through JSON text as well."""
    config = RoFormerConfig(
        hidden_size=2 * heads * half,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        embedding_size=embedding,
        hidden_act=act,
        hidden_dropout_prob=rate,
        num_labels=labels,
        tie_word_embeddings=flag,
    )
    assert RoFormerConfig.from_dict(config.to_dict()) == config
    assert RoFormerConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_keys_of_a_file_are_kept_and_written_back(tmp_path: Path) -> None:
    """A file's keys that no field knows are neither errors nor lost."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "roformer", "hidden_size": 24, "future_key": {"a": 1}, "eos": None}))
    config = RoFormerConfig.from_json_file(path)
    assert config.extra == {"future_key": {"a": 1}, "eos": None}
    config.to_json_file(path)
    assert json.loads(path.read_text())["future_key"] == {"a": 1}
    assert json.loads(path.read_text())["eos"] is None


@pytest.mark.parametrize("container", [dict, OrderedDict, UserDict])
def test_any_mapping_is_a_configuration(container: Any) -> None:
    """from_dict takes every Mapping."""
    assert RoFormerConfig.from_dict(container({"hidden_size": 24})).hidden_size == 24


def test_overrides_change_fields_and_must_be_known() -> None:
    """from_dict(values, num_labels=3) checks its overrides as the constructor does."""
    assert RoFormerConfig.from_dict({"hidden_size": 24}, num_labels=3).num_labels == 3
    with pytest.raises(ConfigError, match=r"num_label.*did you mean 'num_labels'"):
        RoFormerConfig.from_dict({"hidden_size": 24}, num_label=3)


DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "config.json"),
    "half": (b'{"hidden_size": 24, ', "config.json"),
    "a list": (b"[1, 2]", "list, expected an object"),
    "a number": (b"7", "int, expected an object"),
    "null": (b"null", "expected an object"),
    "binary": (bytes(range(256)), "config.json"),
    "NaN": (b'{"layer_norm_eps": NaN}', "NaN"),
    "Infinity": (b'{"x": -Infinity}', "Infinity"),
    "a key given twice": (b'{"hidden_size": 24, "hidden_size": 48}', "hidden_size"),
    "a nested key given twice": (b'{"a": {"b": 1, "b": 2}}', "b"),
    "bottomless lists": (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    "bottomless objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    "another architecture": (b'{"model_type": "bert"}', "'bert', expected 'roformer'"),
    "no architecture": (b'{"model_type": null}', "None, expected 'roformer'"),
    "an architecture of another type": (b'{"model_type": ["roformer"]}', "model_type"),
    "a size in words": (b'{"hidden_size": "768"}', "hidden_size='768'"),
    "a size of null": (b'{"hidden_size": null}', "hidden_size=None"),
    "a number of ten thousand digits": (b'{"hidden_size": ' + b"9" * 10_000 + b"}", "config.json"),
    "labels as a list": (b'{"id2label": ["a"]}', "id2label"),
    "an extra that is a list": (b'{"extra": [1]}', "extra"),
    "an extra that is a number": (b'{"extra": 1}', "extra"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    """Whatever a config.json holds, it loads or raises ConfigError, in a message that fits a screen."""
    content, text = DAMAGED[name]
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        RoFormerConfig.from_json_file(tmp_path / "config.json")
    assert text in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_file_is_refused_by_path(tmp_path: Path) -> None:
    """No file, or a folder in its place, is a ConfigError that names it."""
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(ConfigError, match=path.name):
            RoFormerConfig.from_json_file(path)


@pytest.mark.parametrize("value", [None, [], "{}", 7, b"{}"])
def test_from_dict_takes_nothing_but_mappings(value: Any) -> None:
    """Anything else is refused by type."""
    with pytest.raises(ConfigError, match=type(value).__name__):
        RoFormerConfig.from_dict(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELD_NAMES = st.sampled_from([*DOCUMENTED, "extra", "eos_token_id", "bos_token_id", "model_type"])


@settings(max_examples=300, deadline=None)
@given(values=st.dictionaries(FIELD_NAMES | st.text(max_size=5), JSON_VALUES, max_size=4))
def test_any_json_is_a_configuration_or_a_config_error(values: dict[str, Any]) -> None:
    """Random JSON under real field names: a working configuration or ConfigError, nothing else."""
    try:
        config = RoFormerConfig.from_dict(values)
    except RoFormerError:
        return
    assert RoFormerConfig.from_dict(config.to_dict()) == config
