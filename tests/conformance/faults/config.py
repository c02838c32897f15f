"""Fields of a configuration, read wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roformer_numpy.errors import ConfigError

from .making import Call, Fault, FaultyModel, fault


@fault
class BertDefaults(Fault):
    """Fields that are absent get BERT's defaults."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        bert = {"vocab_size": 30522, "hidden_size": 24, "num_hidden_layers": 6, "num_attention_heads": 8,
                "intermediate_size": 1024, "max_position_embeddings": 512, "layer_norm_eps": 1e-5,
                "embedding_size": 768}  # fmt: skip
        return {**bert, **config}, weights


@fault
class IgnoresConfigSwitches(Fault):
    """output_hidden_states and output_attentions of the configuration are not read."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {name: value for name, value in config.items() if not name.startswith("output_")}, weights


@fault
class RefusesUnknownKeys(Fault):
    """A config.json with a key of a later version is refused."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if "transformers_version" in config:
            raise ConfigError("unexpected key 'transformers_version'")
        return config, weights


@fault
class AlwaysTwoLabels(Fault):
    """num_labels is 2 when absent, whatever id2label says."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {"num_labels": 2, **config}, weights


@fault
class NoSelu(Fault):
    """selu is documented and missing, as in every published implementation."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if config.get("hidden_act") == "selu":
            raise KeyError("selu")
        return config, weights


@fault
class OneQuickGelu(Fault):
    """gelu_fast is computed as quick_gelu."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        act = config.get("hidden_act")
        return {**config, "hidden_act": "quick_gelu" if act == "gelu_fast" else act}, weights


@fault
class NeverChecksConfig(Fault):
    """A configuration that breaks a rule is accepted, and its mistake noticed later or never."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        try:
            return super().load(head, config, weights, dtype)
        except (ConfigError, ValueError):
            return lambda inputs, **_: {}


@fault
class AnonymousErrors(Fault):
    """Everything that is refused is refused with the same two words."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        try:
            return super().load(head, config, weights, dtype)
        except (ValueError, TypeError) as error:
            raise ValueError("invalid configuration") from error


@fault
class SwitchedOnForGood(Fault):
    """Extras that the configuration asks for are returned whatever the call says."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {name: value for name, value in options.items() if value is not False}


@fault
def every_decoder_caches() -> Fault:
    """A decoder returns its cache unasked, whatever use_cache says in the configuration."""
    return Fault(config={"use_cache": True})
