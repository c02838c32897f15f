"""RoFormerConfig: every field, its default and its rule, checked once at construction (CFG-1 to CFG-4)."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from .errors import ConfigError, InputTypeError, shown
from .files import replacing
from .json_files import read_json_object

HIDDEN_ACTS = (
    "gelu", "gelu_new", "gelu_fast", "quick_gelu", "gelu_10", "relu", "selu", "silu", "swish", "mish",
    "sigmoid", "tanh",
)  # fmt: skip

Size = Annotated[int, Meta(ge=1)]
# Each has a name in two tables: a mistyped number must not fill the memory with them.
Labels = Annotated[int, Meta(ge=1, le=1_000_000)]
Index = Annotated[int, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]

# What a config.json of the transformers library calls the architecture.
MODEL_TYPE = "roformer"

# More digits than the number of any label or layer has, fewer than Python refuses to read.
MAX_DIGITS = 20


@dataclass(frozen=True, kw_only=True)
class RoFormerConfig:
    """The sizes and switches of a RoFormer. Immutable; `replace` makes a changed copy.

    Every field may be given by keyword; `embedding_size` is `hidden_size` when absent, and `num_labels` follows
    `id2label` when that is given. `extra` holds the keys of a file that no field knows: they are written back.

    Raises:
        ConfigError: an unknown field, or a value that breaks its rule; the message names field, value and rule.
        InputTypeError: fields without their names.

    Source: CFG-1, CFG-2, CFG-3.
    """

    vocab_size: Size = 50000
    hidden_size: Size = 768
    embedding_size: Size = None  # type: ignore[assignment]  # resolved to hidden_size before anybody can read it
    num_hidden_layers: Size = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: Probability = 0.1
    attention_probs_dropout_prob: Probability = 0.1
    max_position_embeddings: Size = 1536
    type_vocab_size: Size = 2
    initializer_range: Annotated[float, Meta(ge=0, le=100)] = 0.02
    layer_norm_eps: Annotated[float, Meta(gt=0, le=1)] = 1e-12
    pad_token_id: Index | None = 0
    bos_token_id: Index | None = None
    eos_token_id: Index | None = None
    rotary_value: bool = False
    is_decoder: bool = False
    add_cross_attention: bool = False
    use_cache: bool = True
    add_pooling_layer: bool = True
    tie_word_embeddings: bool = True
    num_labels: Labels = None  # type: ignore[assignment]  # resolved from id2label, or 2
    id2label: dict[int, str] = field(default_factory=dict)
    label2id: dict[str, int] = field(default_factory=dict)
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = None
    summary_type: Literal["last", "first", "mean"] = "last"
    loss_reduction: Literal["none", "mean"] = "none"
    output_attentions: bool = False
    output_hidden_states: bool = False
    return_dict: bool = True
    pruned_heads: dict[int, list[int]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __new__(cls, *args: object, **fields: object) -> Self:
        """Refuse unknown names before the generated constructor would, to suggest the right one."""
        if args:
            raise InputTypeError(
                "RoFormerConfig takes its fields by keyword, such as vocab_size=50000; RoFormerConfig.from_dict takes "
                "a mapping"
            )
        for name in fields:
            if name not in FIELD_RULES:
                raise ConfigError(f"RoFormerConfig has no field {name!r}{_suggestion(name)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Resolve what depends on other fields, then check each field and the rules between them."""
        self._set(embedding_size=self.hidden_size if self.embedding_size is None else self.embedding_size)
        self._resolve_labels()
        for name, rule in FIELD_RULES.items():
            value = getattr(self, name)
            if value is not DEFAULTS.get(name, ...):  # the defaults fit their rules
                object.__setattr__(self, name, _checked(name, value, rule))
        _check_rules_between_fields(self)

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _resolve_labels(self) -> None:
        for name in ("id2label", "label2id"):
            self._set(**{name: _checked(name, getattr(self, name) or {}, FIELD_RULES[name])})
        named = max(len(self.id2label), len(self.label2id)) or 2
        count = _checked("num_labels", named if self.num_labels is None else self.num_labels, FIELD_RULES["num_labels"])
        names = self.id2label or {number: name for name, number in self.label2id.items()}
        names = names or {number: f"LABEL_{number}" for number in range(count)}
        inverse = self.label2id or {name: number for number, name in names.items()}
        self._set(num_labels=count, id2label=names, label2id=inverse)

    @property
    def head_dim(self) -> int:
        """Features of one attention head, d = H / N."""
        return self.hidden_size // self.num_attention_heads

    @property
    def task(self) -> str:
        """What a sequence head is trained for: `problem_type`, or regression for one label, else one label of many."""
        return self.problem_type or ("regression" if self.num_labels == 1 else "single_label_classification")

    def kept_heads(self, layer: int) -> list[int]:
        """The original numbers of the heads of `layer` that are not pruned, ascending (HEAD-7.4)."""
        pruned = self.pruned_heads.get(layer, ())
        return [head for head in range(self.num_attention_heads) if head not in pruned]

    def replace(self, **changes: Any) -> RoFormerConfig:
        """A copy with `changes`; a changed `num_labels` drops label names that no longer fit."""
        if changes.get("num_labels", self.num_labels) != self.num_labels:
            changes = {"id2label": {}, "label2id": {}, **changes}
        elif changes.keys() & {"id2label", "label2id"}:
            changes = {"num_labels": None, "id2label": {}, "label2id": {}, **changes}
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain Python values, `extra` beside them, as config.json holds them (CFG-4)."""
        fields = {name: getattr(self, name) for name in FIELD_RULES if name not in ("extra", "num_labels")}
        return copy.deepcopy({**self.extra, "model_type": MODEL_TYPE, **fields})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **overrides: Any) -> RoFormerConfig:
        """The configuration that a config.json's mapping describes; unknown keys go to `extra`.

        Raises:
            ConfigError: a value breaks its rule, or `model_type` names another architecture.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a configuration is a mapping of names to values, got {type(values).__name__}")
        if values.get("model_type", MODEL_TYPE) != MODEL_TYPE:
            raise ConfigError(f"model_type is {values['model_type']!r}, expected {MODEL_TYPE!r}")
        known = {name: value for name, value in values.items() if name in FIELD_RULES and name != "extra"}
        extra = {name: value for name, value in values.items() if name not in FIELD_RULES and name != "model_type"}
        extra |= _checked("extra", values.get("extra", {}), FIELD_RULES["extra"])
        config = cls(**known, extra=extra)
        return config.replace(**overrides) if overrides else config

    @classmethod
    def from_json_file(cls, path: str | os.PathLike[str], **overrides: Any) -> RoFormerConfig:
        """The configuration in the JSON file `path`.

        Raises:
            ConfigError: no such file, no JSON object, a key given twice, or a value that breaks its rule.
        """
        try:
            values = read_json_object(path)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path} cannot be read as a configuration: {error}") from error
        return cls.from_dict(values, **overrides)

    def to_json_file(self, path: str | os.PathLike[str]) -> None:
        """Write the configuration to `path` as JSON that the transformers library reads too (CFG-4)."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


FIELD_RULES: dict[str, Any] = {
    name: rule
    for name, rule in get_type_hints(RoFormerConfig, include_extras=True).items()
    if name in {item.name for item in dataclasses.fields(RoFormerConfig)}
}

DEFAULTS: dict[str, Any] = {
    item.name: item.default
    for item in dataclasses.fields(RoFormerConfig)
    if item.default is not dataclasses.MISSING and item.default is not None
}


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, FIELD_RULES, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; its fields are {', '.join(FIELD_RULES)}"


def _checked(name: str, value: object, rule: Any) -> Any:
    """`value` as the type that `rule` asks for, or an error that names field, value and rule."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        numbered = get_args(rule)[:1] == (int,)  # JSON has no integer keys: "0" is the label, or the layer, 0
        plain = {
            _integer_key(key) if numbered else key: list(item) if isinstance(item, set | tuple) else item
            for key, item in value.items()
        }
        if len(plain) < len(value):
            raise ConfigError(f"{name}={shown(value)} is not allowed: it has two keys for one number")
        value = plain
    try:
        return msgspec.convert(value, rule)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"{name}={shown(value)} is not allowed: {error}{_choices(rule)}") from error


def _choices(rule: Any) -> str:
    """The values that a rule of fixed choices allows."""
    choices = [value for part in (rule, *get_args(rule)) if get_origin(part) is Literal for value in get_args(part)]
    return f"; allowed are {', '.join(map(repr, choices))}" if choices else ""


def _integer_key(key: object) -> object:
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < MAX_DIGITS:
        return int(key)
    return index(key) if isinstance(key, np.integer) else key


def _check_rules_between_fields(config: RoFormerConfig) -> None:
    for broken, message in (
        (
            config.hidden_size % config.num_attention_heads,
            f"hidden_size={config.hidden_size} is not a multiple of num_attention_heads={config.num_attention_heads}",
        ),
        (
            config.head_dim % 2,
            f"hidden_size={config.hidden_size} over num_attention_heads={config.num_attention_heads} gives a head size "
            f"of {config.head_dim}; rotary embeddings turn pairs, so it must be even",
        ),
        (
            config.hidden_act not in HIDDEN_ACTS,
            f"hidden_act={config.hidden_act!r} is not one of {', '.join(HIDDEN_ACTS)}",
        ),
        (
            max(_special_ids(config), default=0) >= config.vocab_size,
            f"pad_token_id, bos_token_id and eos_token_id are below vocab_size={config.vocab_size} or None, "
            f"got {_special_ids(config)}",
        ),
        (
            sorted(config.id2label) != list(range(config.num_labels)),
            f"id2label names the labels {sorted(config.id2label)}, num_labels={config.num_labels} asks for 0 to "
            f"{config.num_labels - 1}",
        ),
        (
            config.label2id != {name: number for number, name in config.id2label.items()},
            f"label2id={config.label2id} is not the inverse of id2label={config.id2label}",
        ),
        (
            config.extra.keys() & {*FIELD_RULES, "model_type"},
            f"extra names {sorted(config.extra.keys() & {*FIELD_RULES, 'model_type'})}, which are no extras; give them "
            "beside it",
        ),
    ):
        if broken:
            raise ConfigError(message)
    _check_pruned_heads(config)
    _check_extra(config)


def _special_ids(config: RoFormerConfig) -> list[int]:
    ids = (config.pad_token_id, config.bos_token_id, config.eos_token_id)
    return [number for number in ids if number is not None]


def _check_pruned_heads(config: RoFormerConfig) -> None:
    for layer, heads in config.pruned_heads.items():
        if not 0 <= layer < config.num_hidden_layers:
            raise ConfigError(f"pruned_heads names layer {layer}, allowed are 0 to {config.num_hidden_layers - 1}")
        wrong = [head for head in heads if not 0 <= head < config.num_attention_heads]
        if wrong:
            raise ConfigError(
                f"pruned_heads[{layer}] names heads {wrong}, allowed are 0 to {config.num_attention_heads - 1}"
            )
        if not config.kept_heads(layer):
            raise ConfigError(f"pruned_heads[{layer}]={heads} leaves no head; at least one must stay")


def _check_extra(config: RoFormerConfig) -> None:
    """Refuse what config.json could not hold, before anybody tries to write it."""
    try:
        json.dumps(config.extra, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"extra={shown(config.extra)} is not allowed: it does not fit into JSON: {error}") from error
