"""From a validated call to the gradient of one number by every weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checkpoints.names import foreign_name, transposed, with_prefix
from ..components import Components
from ..config import RoFormerConfig
from ..encoder import Encoded, encode
from ..equations.losses import IGNORED
from ..errors import InputError, shown
from ..heads import HEAD_FUNCTIONS, LOSS_FUNCTIONS, Fields, HeadContext
from ..inputs import Inputs
from ..validation import is_causal
from ..validation.arrays import expect_shape, floats
from ..weights import Array, Weights, named_leaves
from .encoder import Backward, encode_vjp
from .heads import HEAD_VJPS, loss_vjp
from .table import Derivatives
from .tape import Tape, recording

REDUCTIONS = ("mean", "sum")


@dataclass(frozen=True, eq=False)
class Gradients:
    """The number that was differentiated, and its gradients."""

    loss: Array  # ()
    weights: Weights[Array]  # the model's own tree, a gradient in place of every weight
    inputs_embeds: Array | None  # of the shape that was given; None where input_ids were
    encoder_hidden_states: Array | None  # (batch, encoder_len, hidden_size); None where none were given
    head: str

    def to_weights(self) -> dict[str, Array]:
        """The weights' gradients under flat Hugging Face names, in PyTorch's layout, a tied matrix under one name.

        The sinusoid table is no weight and has no gradient (ROT-2.9).
        """
        return {
            with_prefix(foreign_name(name, self.head), self.head): np.array(transposed(name, array), order="C")
            for name, array in named_leaves(self.weights).items()
        }


def gradients_of(
    inputs: Inputs,
    weights: Weights[Array],
    config: RoFormerConfig,
    head: str,
    components: Components,
    derivatives: Derivatives,
    upstream: Any = "mean",
) -> Gradients:
    """One forward pass with a tape, one backward pass over it.

    Args:
        inputs: validated arguments.
        weights: the tree; its floating-point type is the type of every gradient.
        config: sizes and switches.
        head: which model.
        components: the arithmetic of the forward pass.
        derivatives: the arithmetic of the backward pass.
        upstream: which number is differentiated, see `RoFormerBase.gradients`.

    Raises:
        InputError, InputTypeError: `upstream` names or weighs what this call does not compute.
    """
    tape = Tape()
    recorded = recording(components, tape)
    encoded = encode(inputs, weights, config, recorded, causal=is_causal(config, head))
    places = _asked_places(inputs, head, upstream)
    encoded, asked_inputs = _only(places, encoded, inputs)
    context = HeadContext(asked_inputs, weights, config, recorded)
    fields = HEAD_FUNCTIONS[head](encoded, context)
    if inputs.labels is not None or inputs.start_positions is not None:
        fields["loss"] = LOSS_FUNCTIONS[head](fields, context)
    asked = _upstream(upstream, fields, head)
    backward = Backward(inputs, weights, config, derivatives, tape)
    return _run(asked, fields, encoded.last_hidden_state, head, backward, places)


def _asked_places(inputs: Inputs, head: str, upstream: Any) -> Array | None:
    """The positions that a masked language model's loss reads, bool (batch, seq_len); None where all are computed.

    Logits over a vocabulary are most of a small model's work, and of most positions nothing is asked.
    """
    if head != "masked_lm" or inputs.labels is None or isinstance(upstream, Mapping):
        return None
    return inputs.labels != IGNORED


def _only(places: Array | None, encoded: Encoded, inputs: Inputs) -> tuple[Encoded, Inputs]:
    """The states and labels of these positions as one sequence; their order is that of the losses (LOSS-1.2)."""
    if places is None or inputs.labels is None:
        return encoded, inputs
    hidden = encoded.last_hidden_state[places][None]
    return replace(encoded, last_hidden_state=hidden), replace(inputs, labels=inputs.labels[places][None])


def _spread(places: Array | None, gradient: Array) -> Array:
    """The gradient by all states, 0 where nothing was asked."""
    if places is None:
        return gradient
    result = np.zeros((*places.shape, gradient.shape[-1]), gradient.dtype)
    result[places] = gradient[0]
    return result


def _run(
    asked: Fields, fields: Fields, hidden: Array, head: str, backward: Backward, places: Array | None
) -> Gradients:
    value = sum(((gradient * fields[name]).sum() for name, gradient in asked.items()), np.zeros((), hidden.dtype))
    by_fields = {name: asked.get(name, np.zeros_like(array)) for name, array in fields.items()}
    if "loss" in fields:
        for name, gradient in loss_vjp(by_fields.pop("loss"), head, fields, backward).items():
            by_fields[name] = by_fields[name] + gradient
    top = HEAD_VJPS[head](by_fields, hidden, backward)
    below = encode_vjp(_spread(places, top.last_hidden_state), backward)
    embeddings = below.embeddings
    if top.word is not None:
        embeddings = replace(embeddings, word=embeddings.word + top.word)
    return Gradients(
        loss=np.asarray(value),
        weights=Weights(embeddings, below.encoder, top.pooler, top.head),
        inputs_embeds=_as_given(below.inputs_embeds, backward.inputs),
        encoder_hidden_states=below.encoder_hidden_states,
        head=head,
    )


def _upstream(upstream: Any, fields: Fields, head: str) -> Fields:
    """The gradients by the fields of the output that `upstream` asks for."""
    if isinstance(upstream, Mapping):
        return {name: _weights_of(name, value, fields) for name, value in upstream.items()}
    if "loss" not in fields:
        raise InputError(_no_loss(head))
    loss = fields["loss"]
    if not isinstance(upstream, str):
        return {"loss": _weights_of("loss", upstream, fields)}
    if upstream not in REDUCTIONS:
        raise InputError(f"upstream={shown(upstream)} is not one of {', '.join(REDUCTIONS)}, an array or a mapping")
    return {"loss": np.full_like(loss, 1.0 / max(loss.size, 1) if upstream == "mean" else 1.0)}


def _weights_of(name: str, value: Any, fields: Fields) -> Array:
    if name not in fields:
        raise InputError(f"upstream names {shown(name)}, this call computes {', '.join(fields)}")
    array = floats(f"upstream[{name!r}]", value, fields[name].dtype)
    expect_shape(f"upstream[{name!r}]", array, fields[name].shape, ("the shape of the output",))
    return array


def _no_loss(head: str) -> str:
    if head == "base":
        return "upstream is needed: the base model has no loss; name an output, {'last_hidden_state': its gradient}"
    needed = "start_positions and end_positions were" if head == "question_answering" else "labels was"
    return f"{needed} not given; gradients are those of the loss, or of the outputs that a mapping upstream weighs"


def _as_given(gradient: Array, inputs: Inputs) -> Array | None:
    """None for ids; for multiple choice back from rows of the batch to (batch, choices, seq_len, embedding_size)."""
    if inputs.inputs_embeds is None or inputs.num_choices is None:
        return None if inputs.inputs_embeds is None else gradient
    return gradient.reshape(-1, inputs.num_choices, *gradient.shape[1:])
