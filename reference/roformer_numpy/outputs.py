"""What a call returns: named fields, reachable by attribute, key and index (OUT-1, OUT-3, OUT-5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .inputs import Cache
from .weights import Array


@dataclass(frozen=True, eq=False)
class ModelOutput(Mapping[str, Any]):
    """The outputs of one call in the documented order; a field that a model does not give is None.

    As a mapping it holds the present fields alone: `out["logits"]`, `out[0]`, `list(out)`, `out.to_tuple()`.
    """

    loss: Array | None = None  # (n,), (batch,) or (), see the LOSS clauses
    last_hidden_state: Array | None = None  # (batch, seq_len, hidden_size)
    pooler_output: Array | None = None  # (batch, hidden_size)
    logits: Array | None = None  # by head: (batch, seq_len, classes), (batch, num_labels), (batch, choices)
    start_logits: Array | None = None  # (batch, seq_len)
    end_logits: Array | None = None  # (batch, seq_len)
    past_key_values: Cache | None = None  # a layer: key, value (batch, heads, keys, head_dim), then the cross pair
    hidden_states: tuple[Array, ...] | None = None  # num_hidden_layers + 1 of (batch, seq_len, hidden_size)
    attentions: tuple[Array, ...] | None = None  # a layer: (batch, heads, seq_len, keys)
    cross_attentions: tuple[Array, ...] | None = None  # a layer: (batch, heads, seq_len, encoder_len)

    def __getitem__(self, key: str | int | slice) -> Any:
        """`out["logits"]` by name; `out[0]` and `out[:2]` by position among the present fields."""
        if not isinstance(key, str):
            return tuple(self._present().values())[key]
        value = self.__dict__.get(key)
        if value is None:
            raise KeyError(f"{key!r} is not among the present outputs: {', '.join(self)}")
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __contains__(self, key: object) -> bool:
        return key in self._present()

    def __len__(self) -> int:
        return len(self._present())

    def to_tuple(self) -> tuple[Any, ...]:
        """The values of the present fields, in order."""
        return tuple(self._present().values())

    def _present(self) -> dict[str, Any]:
        fields = ((item.name, getattr(self, item.name)) for item in dataclasses.fields(self))
        return {name: value for name, value in fields if value is not None}
