"""Pooler and heads, as they are done wrong: worked out by hand from what the right model shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...formulas import activation, dense, layer_norm, part
from ...protocol import Array, Outputs
from ..calls import Call
from .making import Variant

Edited = dict[str, Array]


def _last(outputs: Outputs) -> Array:
    """The last hidden state, whatever head is on top of it."""
    number = max(int(tap.partition(".")[2]) for tap in outputs if tap.startswith("hidden_states."))
    return np.asarray(outputs[f"hidden_states.{number}"])


def _pooled(
    state: Callable[[Array, Call], Array], then: Callable[[Array], Array] = np.tanh
) -> Callable[[Outputs, Call], Edited]:
    return lambda outputs, call: {
        "pooler_output": then(dense(state(_last(outputs), call), call.weights, "pooler.dense"))
    } if "pooler_output" in outputs else {}  # fmt: skip


def _first_unmasked(states: Array, call: Call) -> Array:
    mask = np.asarray(call.inputs["attention_mask"])
    return np.asarray(states[np.arange(len(states)), mask.argmax(axis=-1)])


def _transposed_pooler(outputs: Outputs, call: Call) -> Edited:
    kernel, bias = (part(call.weights, f"pooler.dense.{name}") for name in ("weight", "bias"))
    return {"pooler_output": np.tanh(_last(outputs)[:, 0] @ kernel + bias)} if "pooler_output" in outputs else {}


def _language_model(
    act: str | None = None, *, norm: bool = True, table: Callable[[Array], Array] | None = None
) -> Callable[[Outputs, Call], Edited]:
    """The language model's head with another activation ("" is none), no LayerNorm, or another table."""

    def outputs(outputs: Outputs, call: Call) -> Edited:
        name, transform = call.config.get("hidden_act", "gelu") if act is None else act, "cls.predictions.transform"
        x = dense(_last(outputs), call.weights, f"{transform}.dense")
        x = activation(name, x) if name else x
        eps = call.config.get("layer_norm_eps", 1e-12)
        x = layer_norm(x, call.weights, f"{transform}.LayerNorm", eps) if norm else x
        words = part(call.weights, "word_embeddings.weight")
        right = call.weights.get("cls.predictions.decoder.weight", words)
        logits = x @ (right if table is None else table(words)).T + part(call.weights, "cls.predictions.bias")
        return {"logits": logits}

    return outputs


def _classified(place: Callable[[Array], Array], act: str | None = None) -> Callable[[Outputs, Call], Edited]:
    """The sequence head on another state, or with another activation."""

    def outputs(outputs: Outputs, call: Call) -> Edited:
        x = dense(place(_last(outputs)), call.weights, "classifier.dense")
        x = activation(act or call.config.get("hidden_act", "gelu"), x)
        return {"logits": dense(x, call.weights, "classifier.out_proj")}

    return outputs


def _chosen(summary: Callable[[Array, Call], Array]) -> Callable[[Outputs, Call], Edited]:
    """The multiple-choice head on another summary."""
    return lambda outputs, call: {
        "logits": dense(summary(_last(outputs), call), call.weights, "classifier").reshape(outputs["logits"].shape)
    }


def _mean_of_unmasked(states: Array, call: Call) -> Array:
    mask = np.asarray(call.inputs["attention_mask"]).reshape(states.shape[:2])
    return np.asarray((states * mask[..., None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None])


def _logits(change: Callable[[Array], Array]) -> Callable[[Outputs, Call], Edited]:
    return lambda outputs, call: {"logits": change(outputs["logits"])}


def _exchanged(outputs: Outputs, call: Call) -> Edited:
    return {"start_logits": outputs["end_logits"], "end_logits": outputs["start_logits"]}


def _reshaped(words: Array) -> Array:
    return words.reshape(words.shape[::-1]).T


def _moved(kind: str, by: int) -> Callable[[Outputs, Call], Edited]:
    """Arrays of one kind `by` places further on in their tuple; places beyond its ends stay as they are."""
    return lambda outputs, call: {
        tap: np.asarray(outputs.get(f"{kind}.{int(tap.partition('.')[2]) + by}", array))
        for tap, array in outputs.items()
        if tap.startswith(f"{kind}.")
    }


def _each(kind: str, change: Callable[[Array], Array]) -> Callable[[Outputs, Call], Edited]:
    """Every array of one kind changed."""
    return lambda outputs, call: {tap: change(array) for tap, array in outputs.items() if tap.startswith(f"{kind}.")}


def _softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


LAST_BIAS = {r"(classifier|classifier\.out_proj|qa_outputs)\.bias$": np.zeros_like}
VARIANTS: tuple[Variant, ...] = (
    Variant("a pooler without tanh (OUT-4.1)", outputs=_pooled(lambda states, call: states[:, 0], lambda x: x)),
    Variant("a pooler that reads the last token (OUT-4.1)", outputs=_pooled(lambda states, call: states[:, -1])),
    Variant("a pooler that reads the first unmasked token (OUT-4.1)", outputs=_pooled(_first_unmasked)),
    Variant(
        "a pooler that reads the mean of all tokens (OUT-4.1)", outputs=_pooled(lambda states, call: states.mean(1))
    ),
    Variant("the pooler's kernel transposed (OUT-4.1)", outputs=_transposed_pooler),
    Variant("a language model's head without bias (HEAD-1.2)", weights={r"cls\.predictions\.bias$": np.zeros_like}),
    Variant("a language model's head without LayerNorm (HEAD-1.1)", outputs=_language_model(norm=False)),
    Variant("a language model's head without activation (HEAD-1.1)", outputs=_language_model("")),
    Variant("a language model's head with tanh-GELU (HEAD-1.1)", outputs=_language_model("gelu_new")),
    Variant("a language model's head with GELU whatever hidden_act says (HEAD-1.1)", outputs=_language_model("gelu")),
    Variant("a tied table reshaped in place of transposed (HEAD-1.1)", outputs=_language_model(table=_reshaped)),
    Variant(
        "tie_word_embeddings ignored: the head scores with the word embeddings (HEAD-1.4)",
        outputs=_language_model(table=lambda words: words),
    ),
    Variant("a head without its last bias (HEAD-2)", weights=LAST_BIAS),
    Variant("a sequence head with tanh (HEAD-2)", outputs=_classified(lambda states: states[:, 0], "tanh")),
    Variant("a sequence head on the last token (HEAD-2)", outputs=_classified(lambda states: states[:, -1])),
    Variant("a sequence head on the mean of the tokens (HEAD-2)", outputs=_classified(lambda states: states.mean(1))),
    Variant(
        "a token head with tanh before it (HEAD-3)",
        outputs=lambda outputs, call: {"logits": dense(np.tanh(_last(outputs)), call.weights, "classifier")},
    ),
    Variant("labels from the last to the first (HEAD-3)", outputs=_logits(lambda logits: logits[..., ::-1])),
    Variant("logits after a softmax (OUT-1.6)", outputs=_logits(_softmax)),
    Variant("logits after a log-softmax (OUT-1.6)", outputs=_logits(lambda logits: np.log(_softmax(logits)))),
    Variant("start and end exchanged (HEAD-4)", outputs=_exchanged),
    Variant(
        "the summary of a choice is its last state (HEAD-5.1)", outputs=_chosen(lambda states, call: states[:, -1])
    ),
    Variant(
        "the summary of a choice is its first state (HEAD-5.2)", outputs=_chosen(lambda states, call: states[:, 0])
    ),
    Variant(
        "the summary of a choice is the state before its last (HEAD-5.1)",
        outputs=_chosen(lambda states, call: states[:, -2:][:, 0]),
    ),
    Variant(
        "the summary of a choice is the mean of its unmasked states (HEAD-5.3)", outputs=_chosen(_mean_of_unmasked)
    ),
    Variant(
        "choices regrouped as (choices, batch) (HEAD-5.4)",
        outputs=_logits(lambda logits: logits.reshape(logits.shape[::-1]).T),
    ),
    Variant("hidden_states without the embeddings' output (OUT-1.2)", outputs=_moved("hidden_states", 1)),
    Variant("hidden_states of the layer before (OUT-1.2)", outputs=_moved("hidden_states", -1)),
    Variant("attentions of the layer after (OUT-1.3)", outputs=_moved("attentions", 1)),
    Variant(
        "attentions with the keys before the queries (OUT-1.3)",
        outputs=_each("attentions", lambda probs: probs.swapaxes(-1, -2)),
    ),
    Variant("the logarithms of the attentions (OUT-1.5)", outputs=_each("attentions", np.log)),
    Variant("logits transposed (OUT-1.6)", outputs=_logits(lambda logits: logits.swapaxes(-1, -2))),
    Variant(
        "a cache with the positions before the heads (DEC-5.3)",
        outputs=_each("past_key_values", lambda part: part.transpose(0, 2, 1, 3)),
    ),
)
