"""What a call returns, put together wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from roformer_conformance.protocol import flatten
from roformer_numpy.outputs import ModelOutput

from .making import Call, Fault, FaultyModel, fault


@fault
class NoPooler(Fault):
    """The pooler is documented and missing, as in transformers' TensorFlow code."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: value for name, value in outputs.items() if name != "pooler_output"}


@fault
class TransposedPooler(Fault):
    """The pooler's matrix is used in the other layout."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        name = "pooler.dense.weight"
        return config, {**weights, name: weights[name].T} if name in weights else weights


@fault
class RandomPooler(Fault):
    """A pooler without weights, or one that nobody wants, gets random ones."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        size = config["hidden_size"]
        fresh = {"pooler.dense.weight": np.full((size, size), 0.1), "pooler.dense.bias": np.zeros(size)}
        return {**config, "add_pooling_layer": True}, {**fresh, **weights}


@fault
class NoEmbeddingOutput(Fault):
    """hidden_states begins with the output of the first layer."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        states = outputs.get("hidden_states")
        return {**outputs, "hidden_states": states[1:]} if states else outputs


@fault
class LastStateTwice(Fault):
    """hidden_states ends with the output of the last layer but one, twice."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        states = outputs.get("hidden_states")
        return {**outputs, "hidden_states": (*states[:-1], states[-2])} if states else outputs


@fault
class StackedAttentions(Fault):
    """attentions is one array for all layers."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        stacked = np.stack(outputs["attentions"]) if "attentions" in outputs else None
        return {**outputs, "attentions": stacked}


@fault
class KeysBeforeQueries(Fault):
    """attentions has key before query."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {**outputs, "attentions": tuple(item.swapaxes(-1, -2) for item in outputs["attentions"])}


@fault
class AttentionsBeforeHeadMask(Fault):
    """attentions are handed out before the head mask is applied."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        without = {name: value for name, value in inputs.items() if name != "head_mask"}
        return {**outputs, "attentions": model.plain(without, "keywords", options)["attentions"]}


@fault
class LogProbabilities(Fault):
    """attentions are logarithms."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {**outputs, "attentions": tuple(np.log(item + 1e-30) for item in outputs["attentions"])}


@fault
class TransposedLogits(Fault):
    """The classes of the logits come first."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: value.T if "logits" in name else value for name, value in outputs.items()}


@fault
class SqueezedOutputs(Fault):
    """Axes of length 1 are squeezed away."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: np.squeeze(value) for name, value in flatten(outputs).items()}


@fault
class ProbabilitiesForLogits(Fault):
    """logits have gone through a softmax."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        changed = dict(outputs)
        for name in ("logits", "start_logits", "end_logits"):
            if name in changed:
                exponents = np.exp(changed[name] - changed[name].max(axis=-1, keepdims=True))
                changed[name] = exponents / exponents.sum(axis=-1, keepdims=True)
        return changed


@fault
class ZeroLoss(Fault):
    """Without labels the loss is 0."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {"loss": np.zeros(1), **outputs}


class OtherTuple(Fault):
    """A fault in the plain tuple alone."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        """The wrong tuple."""
        return items

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {"tuple": self.reorder(outputs["tuple"])} if "tuple" in outputs else outputs


@fault
class PastComesLast(OtherTuple):
    """past_key_values stands behind the other extras in a tuple."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        cache = [item for item in items if isinstance(item, tuple) and isinstance(item[0], tuple)]
        return (*(item for item in items if not any(item is other for other in cache)), *cache)


@fault
class LosesStatesInTuples(OtherTuple):
    """A tuple is cut as if a pooler stood in it, and loses the extras, as in transformers' TensorFlow code."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        extras = [number for number, item in enumerate(items) if isinstance(item, tuple)]
        return tuple(item for number, item in enumerate(items) if not extras or number != extras[0])


@fault
class CrossComesFirst(OtherTuple):
    """cross_attentions stand before attentions in a tuple."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*items[:-2], items[-1], items[-2])


@fault
class ExtrasForgetTypes(Fault):
    """The path that returns attentions adds no token types."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if options.get("output_attentions"):
            inputs = {name: value for name, value in inputs.items() if name != "token_type_ids"}
        return inputs, style, options


@fault
class PlainDictOutputs(Fault):
    """Outputs can be reached by key alone."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return dict(outputs)


class _ShowsAbsent(ModelOutput):
    def __iter__(self) -> Any:
        return iter(vars(self))


@fault
class ShowsAbsentFields(Fault):
    """Iteration runs over absent fields too."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return _ShowsAbsent(**vars(outputs))


@fault
class NormalisedStates(Fault):
    """hidden_states are standardised once more on their way out, where gamma is close to 1."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        states = outputs.get("hidden_states")
        if not states:
            return outputs
        standard = [(x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) for x in states[:-1]]
        return {**outputs, "hidden_states": (*standard, states[-1])}


@fault
class OneLayerLess(Fault):
    """attentions lacks the first layer's."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        weights = outputs.get("attentions")
        return {**outputs, "attentions": weights[1:]} if weights else outputs


@fault
class AttentionsAloneLostInTuples(OtherTuple):
    """A tuple asked for with attentions, but not with hidden states, comes without them."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        alone = options.get("output_attentions") and not options.get("output_hidden_states")
        return {"tuple": outputs["tuple"][:-1]} if "tuple" in outputs and alone else outputs


@fault
class IgnoresReturnDictOfTheConfig(Fault):
    """return_dict of the configuration is not read."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {name: value for name, value in config.items() if name != "return_dict"}, weights
