"""What a call returns: fields by attribute, key and index, known to Keras as a container (OUT-1, OUT-3, OUT-5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import optree

Fields = dict[str, Any]

# The documented order.
ORDER = (
    "loss", "last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "past_key_values",
    "hidden_states", "attentions", "cross_attentions",
)  # fmt: skip


class TFModelOutput(MutableMapping[str, Any]):
    """The outputs of one call; as a mapping it holds the present ones, in the documented order.

    `out.logits`, `out["logits"]`, `out[0]`, `list(out)`, `out.to_tuple()`; an attribute that is not present is None.
    Fields: loss (n,), (batch,) or (); last_hidden_state (batch, seq_len, hidden_size); pooler_output (batch,
    hidden_size); logits by head; start_logits and end_logits (batch, seq_len); past_key_values, hidden_states,
    attentions and cross_attentions, tuples of tensors. TensorFlow puts results of a graph together field by field,
    which is why fields can be set.
    """

    def __init__(self, fields: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        given = dict(fields)
        self._fields = {name: given[name] for name in ORDER if given.get(name) is not None}

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in ORDER:
            raise KeyError(f"{name!r} is no output; the outputs are {', '.join(ORDER)}")
        fields = {**self._fields, name: value}
        self._fields = {known: fields[known] for known in ORDER if known in fields}

    def __delitem__(self, name: str) -> None:
        del self._fields[name]

    def __getattr__(self, name: str) -> Any:
        """A field by attribute; None where this call does not give it."""
        if name not in ORDER:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}; its fields are {', '.join(ORDER)}")
        return self._fields.get(name)

    def __getitem__(self, key: str | int | slice) -> Any:
        """`out["logits"]` by name; `out[0]` and `out[:2]` by position among the present fields."""
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in self._fields:
            raise KeyError(f"{key!r} is not among the present outputs: {', '.join(self._fields)}")
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._fields)})"

    def to_tuple(self) -> tuple[Any, ...]:
        """The values of the present fields, in order."""
        return tuple(self._fields.values())


def _flatten(output: TFModelOutput) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[str, ...]]:
    names = tuple(output)
    return output.to_tuple(), names, names


def _unflatten(names: tuple[str, ...], values: Iterable[Any]) -> TFModelOutput:
    return TFModelOutput(zip(names, values, strict=True))


# A container of its values for Keras, though its items are names: more than optree's annotations know.
_register: Any = optree.register_pytree_node
_register(TFModelOutput, _flatten, _unflatten, namespace="keras")
