"""The picture of docs/speed.md: eight panels from what `speed.py` measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from speed_page import MEGABYTE, added

COLOURS = {
    "engine": "#c0392b", "products alone (G)": "#7f8c8d", "ONNX Runtime": "#2471a3", "OpenVINO f32": "#148f77",
    "OpenVINO default": "#76d7c4", "torch.compile, freezing": "#b9770e", "torch.compile": "#f0b27a",
    "PyTorch eager": "#7d3c98", "components": "#e6a09a", "NumPy equations": "#aeb6bf", "TensorFlow graph": "#5d6d7e",
    "TensorFlow XLA": "#34495e",
}  # fmt: skip
LINES = ("engine", "products alone (G)", "ONNX Runtime", "OpenVINO f32", "torch.compile, freezing", "PyTorch eager")

Records = Sequence[dict[str, Any]]


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the picture; a panel whose section was not measured says so."""
    with pyplot.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
    ):
        figure, axes = pyplot.subplots(2, 4, figsize=(20, 9), layout="constrained")
        panels: list[tuple[str, str, Callable[[Any, Any], None]]] = [
            ("dense", "Latency by tokens, base", latency),
            ("dense", "Times the engine's time", ratios),
            ("ragged", "16 sequences of unequal lengths", ragged),
            ("cold", "Cold start to first result of 1x16", cold),
            ("cost", "Time per token by length, batch 1", by_length),
            ("cost", "Time per sequence of 16 tokens by batch", by_batch),
            ("real_tokens", "Time by real tokens, batch of 8x128", by_real_tokens),
            ("memory", "Memory that a call adds", memory),
        ]  # fmt: skip
        for axis, (section, title, panel) in zip(axes.flat, panels, strict=True):
            axis.set_title(title, loc="left", fontweight="bold")
            if found.get(section):
                panel(axis, found[section])
            else:
                axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes)
        figure.savefig(path, dpi=100)
        pyplot.close(figure)


def timed(records: Records) -> list[dict[str, Any]]:
    """Those that have times."""
    return [record for record in records if "time" in record and not record["reason"]]


def tokens(case: str) -> int:
    """Of a shape."""
    return math.prod(map(int, case.split("x")))


def latency(axis: Any, records: Records) -> None:
    """Milliseconds over tokens, both logarithmic; of shapes with one number of tokens the quicker is left out."""
    for name in LINES:
        points = sorted(
            (tokens(one["case"]), 1e3 * one["time"]["middle"]) for one in timed(records) if one["name"] == name
        )
        if len(points) > 1:
            axis.plot(*zip(*points, strict=True), "o-", ms=4, lw=1.4, label=name, color=COLOURS[name])
    _logarithmic(axis, "tokens", "ms")
    axis.legend(frameon=False, fontsize=8)


def ratios(axis: Any, records: Records) -> None:
    """A point for everybody at every shape; the engine is the line at 1."""
    cases = list(dict.fromkeys(one["case"] for one in records))
    names = [name for name in COLOURS if any(one["name"] == name for one in timed(records)) and name != "engine"]
    for number, name in enumerate(names):
        own = [one for one in timed(records) if one["name"] == name]
        places = [cases.index(one["case"]) + 0.6 * (number / max(1, len(names) - 1) - 0.5) for one in own]
        middles = [one["ratio"]["middle"] for one in own]
        spreads = [
            [one["ratio"]["middle"] - one["ratio"]["low"] for one in own],
            [one["ratio"]["high"] - one["ratio"]["middle"] for one in own],
        ]
        axis.errorbar(places, middles, spreads, fmt="o", ms=5, lw=1, label=name, color=COLOURS[name])
    axis.axhline(1, color=COLOURS["engine"], lw=1.4)
    axis.set_yscale("log")
    axis.set_xticks(range(len(cases)), cases)
    for place in range(1, len(cases)):
        axis.axvline(place - 0.5, color="#e5e7e9", lw=0.8, zorder=0)
    _plain_ticks(axis.yaxis, (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 16), axis.get_ylim())
    axis.set_ylabel("× engine (above 1: slower)")
    axis.legend(frameon=False, fontsize=7, ncols=2, loc="upper center")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * (high / low) ** 0.35)


def ragged(axis: Any, records: Records) -> None:
    """Bars, one for each way of arranging the sequences, of the longest ones of each share of real tokens."""
    cases = list({one["case"].partition(",")[0]: one["case"] for one in records}.values())
    shown = [one for one in timed(records) if "attention" not in one["name"]]
    rows = [
        one
        for case in cases
        for one in sorted((r for r in shown if r["case"] == case), key=lambda r: r["time"]["middle"])
    ]
    gap = {case: number for number, case in enumerate(cases)}
    places = [-(number + 1.2 * gap[one["case"]]) for number, one in enumerate(rows)]
    middles = [1e3 * one["time"]["middle"] for one in rows]
    axis.barh(places, middles, color=[_colour(one["name"]) for one in rows], height=0.75)
    for place, middle in zip(places, middles, strict=True):
        axis.text(middle, place, f" {middle:.0f}", va="center", fontsize=7)
    axis.set_yticks(places, [one["name"].replace("products alone (G)", "G") for one in rows], fontsize=7)
    for case in cases:
        first = max(place for place, one in zip(places, rows, strict=True) if one["case"] == case)
        axis.text(0, first + 0.6, case.replace("ragged", "real tokens:"), fontsize=8, fontweight="bold", va="bottom")
    axis.set_xlabel("ms")


def by_length(axis: Any, cost: dict[str, Records]) -> None:
    """Microseconds a token over the length: a straight path has no cliffs."""
    own = {case: records for case, records in cost.items() if case.startswith("1x")}
    _cost(axis, own, tokens, "length", "µs a token", 1e6)


def by_batch(axis: Any, cost: dict[str, Records]) -> None:
    """The same over the batch, by sequence."""
    own = {case: records for case, records in cost.items() if case.endswith("x16")}
    _cost(axis, own, lambda case: int(case.split("x")[0]), "batch", "ms a sequence", 1e3)


def _cost(axis: Any, cost: dict[str, Records], size: Callable[[str], int], what: str, unit: str, units: float) -> None:
    for name in ("engine", "ONNX Runtime"):
        own = sorted(
            (size(one["case"]), one["time"])
            for records in cost.values()
            for one in timed(records)
            if one["name"] == name
        )
        if own:
            sizes = [number for number, _ in own]
            low, middle, high = (
                [units * time[part] / number for number, time in own] for part in ("low", "middle", "high")
            )
            axis.plot(sizes, middle, "o-", ms=4, lw=1.4, label=name, color=COLOURS[name])
            axis.fill_between(sizes, low, high, color=COLOURS[name], alpha=0.2, lw=0)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_ylim(bottom=0)
    axis.set_xlabel(what)
    axis.set_ylabel(unit)
    axis.legend(frameon=False)


def by_real_tokens(axis: Any, records: Records) -> None:
    """Milliseconds over the tokens that are no padding."""
    for name, style in (("engine, skip", "o-"), ("engine, encode", "s--"), ("engine, compute", "^:")):
        points = sorted((one["tokens"], 1e3 * one["time"]["middle"]) for one in timed(records) if one["name"] == name)
        if points:
            axis.plot(*zip(*points, strict=True), style, ms=4, lw=1.4, label=name, color=COLOURS["engine"])
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=0)
    axis.set_xlabel("real tokens")
    axis.set_ylabel("ms")
    axis.legend(frameon=False, loc="lower right")


def cold(axis: Any, found: dict[str, Any]) -> None:
    """A bar for the seconds, with the peak of memory beside it."""
    rows = [(name, line) for name, line in found.items() if line["seconds"]][::-1]
    seconds = [statistics.median(line["seconds"]) for _, line in rows]
    axis.barh(range(len(rows)), seconds, color=[_colour(name) for name, _ in rows], height=0.5)
    for place, ((_, line), middle) in enumerate(zip(rows, seconds, strict=True)):
        axis.text(middle, place, f" {middle:.2f} s, peak {statistics.median(line['peak']) / 1e6:.0f} MB", va="center")
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_xlim(0, 1.7 * max(seconds, default=1))
    axis.set_xlabel("seconds")


def memory(axis: Any, found: dict[str, Any]) -> None:
    """Megabytes over the length."""
    for name, line in found["competitors"].items():
        if "calls" in line:
            points = [(length, more / MEGABYTE) for length, more in added(line["calls"])]
            axis.plot(*zip(*points, strict=True), "o-", ms=4, lw=1.4, label=name, color=COLOURS[name])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("length, batch 1")
    axis.set_ylabel("MB")
    axis.legend(frameon=False)


def _colour(name: str) -> str:
    return next((colour for start, colour in COLOURS.items() if name.startswith(start)), "#7f8c8d")


def _logarithmic(axis: Any, x: str, y: str) -> None:
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(color="#e5e7e9", lw=0.6)


def _plain_ticks(axis: Any, values: Sequence[float], limits: tuple[float, float]) -> None:
    shown = [value for value in values if limits[0] <= value <= limits[1]]
    axis.set_ticks(shown, [f"{value:g}" for value in shown])
    axis.set_minor_locator(NullLocator())
