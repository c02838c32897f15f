"""What is left of a run when it is over: a model folder, its history, a picture, and some numbers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import replacing
from .batches import UNLABELLED
from .curve import draw
from .evaluation import Score
from .plan import CHECKPOINT, Plan, Prepared
from .trainer import Trainer

HISTORY, PICTURE = "history.json", "loss.png"


@dataclass(frozen=True)
class Result:
    """What became of it."""

    model: str
    task: str
    output: str
    rows: int
    held_out_rows: int
    labels: list[str] | None
    settings: dict[str, Any]
    updates: int
    first_loss: float  # mean over the first tenth of the updates
    last_loss: float
    held_out: Score | None
    majority: float | None  # the accuracy of always giving the most frequent answer
    files: list[str]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: numbers that are none become null."""
        plain = asdict(self)
        plain["held_out"] = None if self.held_out is None else _finite(asdict(self.held_out))
        return _finite(plain)


def finish(prepared: Prepared, plan: Plan) -> Result:
    """Write the model, its tokenizer, the history and the picture; the checkpoint has done its duty and goes."""
    trainer, notes = prepared.trainer, list(prepared.notes)
    trainer.model.save_pretrained(plan.output)
    prepared.tokenizer.save_pretrained(plan.output)
    majority = trainer.majority() if trainer.held_out else None
    with replacing(plan.output / HISTORY) as temporary:
        history = {"settings": plan.settings.to_dict(), "majority": majority, **trainer.history.to_dict()}
        temporary.write_text(json.dumps(_finite(history), indent=1) + "\n", encoding="utf-8")
    try:
        draw(trainer.history, plan.output / PICTURE, f"{Path(plan.model).name}, {plan.head.replace('_', ' ')}")
    except InputError as error:
        notes.append(str(error))
    (plan.output / CHECKPOINT).unlink(missing_ok=True)
    return _result(trainer, plan, majority, notes)


def _result(trainer: Trainer, plan: Plan, majority: float | None, notes: list[str]) -> Result:
    tenth, names = -(-trainer.steps // 10), trainer.model.config.id2label
    return Result(
        model=plan.model,
        task=plan.head,
        output=str(plan.output),
        rows=len(trainer.examples),
        held_out_rows=len(trainer.held_out),
        labels=None if plan.head in UNLABELLED else [names[number] for number in sorted(names)],
        settings=plan.settings.to_dict(),
        updates=trainer.step,
        first_loss=trainer.history.mean_loss(slice(tenth)),
        last_loss=trainer.history.mean_loss(slice(-tenth, None)),
        held_out=trainer.score(),
        majority=majority,
        files=sorted(path.name for path in plan.output.iterdir()),
        notes=notes,
    )


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
