"""The loss of a run as a picture; needs matplotlib, which comes with the extra `[report]`."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import replacing
from .trainer import History

POINTS, LEAST = 60, 5  # the smoothed line has so many points, and each is the mean of so many updates or more


def draw(history: History, path: str | os.PathLike[str], title: str) -> None:
    """Write the curve as a PNG file: every update, their running mean, and the rows held out.

    Raises:
        InputError: matplotlib is not installed; the message says how to get it.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise InputError(
            'the picture of the loss was left out, it needs matplotlib: pip install "roformer-reference[report]"'
        ) from error
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    asked = [update for update in history.updates if update.predictions]
    axes.plot([update.step for update in asked], [update.loss for update in asked], color="#c9d6e8", label="a batch")
    axes.plot(*smoothed(history), color="#1f4e8c", linewidth=2, label="mean")
    if history.evaluations:
        steps, losses = zip(*[(found["step"], found["loss"]) for found in history.evaluations], strict=True)
        axes.plot(steps, losses, color="#c2410c", marker="o", markersize=4, label="held out")
    axes.set(xlabel="update", ylabel="loss", title=title, xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#eeeeee")
    axes.legend(frameon=False)
    with replacing(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def smoothed(history: History) -> tuple[list[float], list[float]]:
    """Up to 60 points: the middle of each share of the updates, and the mean loss over its predictions."""
    shares = max(1, min(POINTS, len(history.updates) // LEAST))
    edges = np.linspace(0, len(history.updates), shares + 1).round().astype(int)
    points = [((start + 1 + end) / 2, history.mean_loss(slice(start, end))) for start, end in pairwise(edges.tolist())]
    kept = [point for point in points if np.isfinite(point[1])]
    return [step for step, _ in kept], [loss for _, loss in kept]
