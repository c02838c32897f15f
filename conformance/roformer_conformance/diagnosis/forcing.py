"""Teacher forcing: each layer alone, on the oracle's input, so that a layer is not accused of what came before it.

An implementation that can run one layer is asked to. Of any other, a model of that one layer is loaded: its word
embeddings are the oracle's states before they were scaled, and the LayerNorm of its embeddings scales them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..budget import judge
from ..oracle import schema
from ..precision import carried, rounded
from ..protocol import Adapter, Array
from .calls import Call, Comparison, compare

# More layers than these are not tried one by one.
_TRIED_LAYERS = 6
_CARRIED_INPUTS = ("attention_mask", "head_mask", "encoder_hidden_states", "encoder_attention_mask")


def wrong_layers(adapter: Adapter, comparison: Comparison, k: float) -> list[int] | None:
    """The layers that are wrong by themselves; None where that cannot be told (a cache, one layer alone, pruning)."""
    layers = min(comparison.call.config["num_hidden_layers"], _TRIED_LAYERS)
    if layers < 2 or comparison.call.inputs.get("past_key_values"):
        return None
    found = []
    for layer in range(layers):
        try:
            right = _layer_is_right(adapter, comparison, layer, k)
        except Exception:  # the layer cannot be run alone
            return None
        if right is None:
            return None
        found += [] if right else [layer]
    return found


def _layer_is_right(adapter: Adapter, comparison: Comparison, layer: int, k: float) -> bool | None:
    alone = layer_alone(comparison, layer)
    given = {name: carried(array, alone.dtype) for name, array in comparison.call.weights.items()}
    model: Any = adapter.load(comparison.call.head, dict(comparison.call.config), given, alone.dtype)
    if not hasattr(model, "run_layer"):
        found = compare(adapter, alone, k)
        shown = [] if found is None else [item.passed for item in found.verdicts if _is_of_layer(item.tap)]
        return all(shown) if shown else None  # an implementation that does not show its layers is not judged by them
    oracle = alone.oracle()
    expected = oracle.run(alone.inputs, alone.options)
    states = rounded(expected["hidden_states.0"], alone.dtype)
    got = np.asarray(model.run_layer(layer, states, alone.inputs.get("attention_mask")))
    runs = [run["hidden_states.1"] for run in oracle.legitimate_runs(alone.inputs, alone.options, alone.dtype)]
    return judge("hidden_states.1", got, expected["hidden_states.1"], runs, alone.dtype, alone.rows(), k).passed


def _is_of_layer(tap: str) -> bool:
    return tap in ("hidden_states.1", "attentions.0", "cross_attentions.0")


def layer_alone(comparison: Comparison, layer: int) -> Call:
    """A call of a model that has this layer alone, its input the oracle's."""
    call = comparison.call
    carried = {name: call.inputs[name] for name in _CARRIED_INPUTS if call.inputs.get(name) is not None}
    if np.ndim(carried.get("head_mask", 0)) > 1:
        carried["head_mask"] = np.asarray(carried["head_mask"])[layer : layer + 1]
    config = {**call.config, "num_hidden_layers": 1}
    if layer == 0:
        named = ("input_ids", "token_type_ids", "inputs_embeds")
        inputs = carried | {name: call.inputs[name] for name in named if call.inputs.get(name) is not None}
        return replace(call, config=config, inputs=inputs, weights=_kept(call, config, 0, {}))
    states = comparison.expected[f"hidden_states.{layer}"]
    gamma, beta = (_part(call, f"layer.{layer - 1}.output.LayerNorm.{name}") for name in ("weight", "bias"))
    rows = ((states - beta) / np.where(gamma == 0.0, 1.0, gamma)).reshape(-1, states.shape[-1])
    config |= {"embedding_size": call.config["hidden_size"], "vocab_size": len(rows)}
    front = {"word_embeddings.weight": rows, "embeddings.LayerNorm.weight": gamma, "embeddings.LayerNorm.bias": beta}
    sequence = call.inputs["input_ids"] if "input_ids" in call.inputs else call.inputs["inputs_embeds"][..., 0]
    inputs = carried | {"input_ids": np.arange(len(rows)).reshape(np.shape(sequence))}
    return replace(call, config=config, inputs=inputs, weights=_kept(call, config, layer, front))


def _kept(call: Call, config: dict[str, Any], layer: int, front: dict[str, Array]) -> dict[str, Array]:
    """The weights of one layer as layer 0, of the front as given; what is not looked at is zero."""
    weights = {}
    for name, shape in schema(config, call.head).items():
        source = name.replace(".layer.0.", f".layer.{layer}.")
        fronted = [array for ending, array in front.items() if name.endswith(ending)]
        usable = source in call.weights and call.weights[source].shape == shape and (".layer." in name or layer == 0)
        array = fronted[0] if fronted else call.weights[source] if usable else np.zeros(shape)
        weights[name] = rounded(array, call.dtype)
    return weights


def _part(call: Call, ending: str) -> Array:
    return next(array for name, array in call.weights.items() if name.endswith(ending)).astype(np.float64)
