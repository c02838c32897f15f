"""The report's pictures as SVG that takes the page's own colour for text and lines."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ..budget import FAILS_AT
from .documents import Document

# Seen on white and on black; told apart by people who confuse red and green.
COLOURS = ("#0088bb", "#dd7711", "#9966cc", "#cc4477", "#7a7a00")
BUDGET = "#22996b"
_INK = "#010203"  # stands for the page's colour until the SVG is written
_STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "roformer-conformance", "text.parse_math": False, "font.size": 11,
    "text.color": _INK, "axes.edgecolor": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
    "axes.facecolor": "none", "figure.facecolor": "none", "legend.framealpha": 0.0, "savefig.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


def growth_picture(documents: Sequence[Document]) -> str:
    """The relative error of each output, earliest first, and the budget: four times what honest arithmetic costs."""
    drawn = [document["growth"] for document in documents if _measured(document)]
    if not drawn:
        return ""
    with _figure(9.0, 4.2) as (figure, axes):
        for growth, colour in zip(drawn, _colours(len(drawn)), strict=True):
            errors = [tap["error"] or None for tap in _shown(growth)]
            axes.plot(range(len(errors)), errors, "o-", color=colour, markersize=4)
        longest = max(map(_shown, drawn), key=len)
        bottom = min((tap["honest"] for tap in longest if tap["honest"]), default=1e-18) / 6
        _draw_budget(axes, [FAILS_AT * tap["honest"] for tap in longest], bottom)
        axes.set_xticks(range(len(longest)), [_short(tap["tap"]) for tap in longest])
        axes.set(yscale="log", ylabel="relative error", xlabel="hidden state, and what stands on top")
        axes.set_ylim(bottom)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda value, _: f"1e{math.log10(value):.0f}")
        return _svg(figure)


def growth_legend(documents: Sequence[Document]) -> list[tuple[str, str]]:
    """What each line of `growth_picture` is, and its colour."""
    names = [f"{item['implementation']} in {item['growth']['dtype']}" for item in documents if _measured(item)]
    return [*zip(names, _colours(len(names)), strict=True), ("budget", BUDGET)]


def _draw_budget(axes: Any, allowed: Sequence[float], bottom: float) -> None:
    places, allowed = ([-0.5, 0.5], [*allowed, *allowed]) if len(allowed) == 1 else (range(len(allowed)), allowed)
    axes.plot(places, allowed, "--", color=BUDGET)
    axes.fill_between(places, allowed, bottom, color=BUDGET, alpha=0.14)


def attention_picture(found: Mapping[str, Any]) -> str:
    """|got − expected| of one head's attention weights, queries down, keys across."""
    with _figure(4.8, 3.8) as (figure, axes):
        values = [[float("nan") if value is None else value for value in row] for row in found["difference"]]
        image = axes.imshow(values, cmap="viridis", interpolation="nearest")
        figure.colorbar(image, ax=axes, label="|got − expected|")
        axes.set(xlabel="key", ylabel="query")
        return _svg(figure)


def _measured(document: Document) -> bool:
    return bool((document.get("growth") or {}).get("taps"))


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _shown(growth: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The outputs but for last_hidden_state, which is the last of hidden_states; it stands for them where none is."""
    names = {tap["tap"].partition(".")[0] for tap in growth["taps"]}
    return [tap for tap in growth["taps"] if tap["tap"] != "last_hidden_state" or "hidden_states" not in names]


def _short(tap: str) -> str:
    return tap.removeprefix("hidden_states.").removesuffix("_output").replace("_logits", "")


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Any]]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def _svg(figure: Figure) -> str:
    """The drawing alone, as wide as there is room, in the page's colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg role="img" viewBox="\1" width="100%">', drawing, count=1
    )
