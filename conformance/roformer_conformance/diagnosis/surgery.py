"""Weight surgery: parts of a model are taken away, by zeros among its weights, and the comparison is made again.

It works on anything that can be loaded and called: a difference that goes away with a part is in that part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..formulas import ATTENTION_OUTPUT, FEED_FORWARD_OUTPUT, edited
from ..protocol import Adapter, Array
from .calls import Call, Comparison, compare

EMBEDDINGS, SCORES, LAYERS = range(3)


@dataclass(frozen=True)
class Removal:
    """One part that can be taken away; `reaches` is the first stage whose outputs depend on it."""

    part: str
    reaches: int
    weights: Mapping[str, Callable[[Array], Array]] | None = None
    without_input: str = ""
    config: Mapping[str, Any] | None = None

    def of(self, call: Call) -> Call | None:
        """The call without this part; None if it has none."""
        if self.without_input:
            if call.inputs.get(self.without_input) is None:
                return None
            return replace(call, inputs={n: value for n, value in call.inputs.items() if n != self.without_input})
        if self.config is not None:
            changed = {**call.config, **self.config}
            return replace(call, config=changed) if changed != dict(call.config) else None
        try:
            weights = edited(call.weights, self.weights or {})
        except KeyError:  # no such weights
            return None
        same = all(np.array_equal(weights[name], call.weights[name]) for name in weights)
        return None if same else replace(call, weights=weights)


REMOVALS = (
    Removal("token types", EMBEDDINGS, {r"token_type_embeddings\.weight$": np.zeros_like}),
    Removal("the projection's bias", EMBEDDINGS, {r"embeddings_project\.bias$": np.zeros_like}),
    Removal("attention_mask", SCORES, without_input="attention_mask"),
    Removal("head_mask", SCORES, without_input="head_mask"),
    Removal("query and key", SCORES, {r"attention\.self\.(query|key)\.": np.zeros_like}),
    Removal("biases of query and key", SCORES, {r"attention\.self\.(query|key)\.bias$": np.zeros_like}),
    Removal("rotary_value", LAYERS, config={"rotary_value": False}),
    Removal("the attention's output", LAYERS, {ATTENTION_OUTPUT: np.zeros_like}),
    Removal("the value's bias", LAYERS, {r"attention\.self\.value\.bias$": np.zeros_like}),
    Removal("the feed-forward", LAYERS, {FEED_FORWARD_OUTPUT: np.zeros_like}),
    Removal(
        "gamma and beta", EMBEDDINGS, {r"LayerNorm\.weight$": np.ones_like, r"LayerNorm\.bias$": np.zeros_like}
    ),
)  # fmt: skip


def parts_that_matter(
    adapter: Adapter, comparison: Comparison, tap: str, stage: int, k: float
) -> tuple[list[str], list[str]]:
    """The parts without which the difference at `tap` goes away, and those without which it stays."""
    goes: list[str] = []
    stays: list[str] = []
    for removal in REMOVALS:
        call = removal.of(comparison.call) if removal.reaches <= stage else None
        found = None if call is None else compare(adapter, call, k, all_rows=comparison.rows is None)
        verdict = next((item for item in found.verdicts if item.tap == tap), None) if found else None
        if verdict is not None:
            (goes if verdict.passed else stays).append(removal.part)
    return goes, stays
