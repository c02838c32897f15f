"""The loop: batch, gradients, clipping, update, until the run is over.

from roformer_numpy.training import Example, Settings, Trainer
trainer = Trainer(model, examples, Settings(epochs=3), held_out=others)
trainer.run()
model.save_pretrained("trained")
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError, TrainingError, shown
from ..models import RoFormerBase
from ..weights import Array, named_leaves
from .batches import UNLABELLED, Batch, Example, collate, parts_of, predictions_in, rows_of_step
from .checkpoint import resume, save, weights_digest
from .evaluation import Score, evaluate, held_out_batches, majority
from .masking import Masking
from .optimizer import AdamW, clipped, rule_for
from .randomness import Purpose, generator_for
from .schedule import learning_rate
from .settings import Settings

HEADS = (*UNLABELLED, "sequence_classification", "token_classification")


@dataclass(frozen=True)
class Update:
    """What one update tells: `step` counts from 1, the loss is that of its batch before the update."""

    step: int
    loss: float  # the mean over its predictions; 0 where nothing was asked
    predictions: int
    learning_rate: float
    gradient_norm: float  # before clipping


@dataclass
class History:
    """What a run has told so far."""

    updates: list[Update] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)  # step, loss, accuracy on the rows held out

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """As JSON holds it."""
        return {"updates": [asdict(update) for update in self.updates], "evaluations": list(self.evaluations)}

    def mean_loss(self, updates: slice) -> float:
        """Over all predictions of these updates; NaN where there were none."""
        chosen = self.updates[updates]
        count = sum(update.predictions for update in chosen)
        return sum(update.loss * update.predictions for update in chosen) / count if count else math.nan

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """The history that `to_dict` described."""
        return cls([Update(**update) for update in values["updates"]], list(values["evaluations"]))


class Trainer:
    """One run: a model, rows, settings, and how far it has come.

    The state of a run is the model's weights, the moments and the history; all randomness follows from the seed and
    the step. `save` and `resume` keep and restore it to the last bit.
    """

    def __init__(
        self,
        model: RoFormerBase,
        examples: Sequence[Example],
        settings: Settings,
        *,
        held_out: Sequence[Example] = (),
        masking: Masking | None = None,
    ) -> None:
        """A run at its beginning.

        Args:
            model: a masked or causal language model, a sequence or a token classifier; its weights are replaced at each
                update.
            examples: rows to train on.
            settings: length, rates, seed.
            held_out: rows to judge by, before the first update, after each epoch and at the end.
            masking: what a masked language model is asked; for no other model.

        Raises:
            InputError, InputTypeError: a model of another kind, no rows, or masking where it has no place.
        """
        _check(model, examples, masking)
        self.model, self.examples, self.settings, self.masking = model, tuple(examples), settings, masking
        self.held_out = tuple(held_out)
        constants = (settings.beta1, settings.beta2, settings.epsilon, settings.weight_decay)
        self.optimizer = AdamW(*constants, rule_for(model.components))
        self.moments = self.optimizer.start(model.weights)
        self.history, self.origin = History(), weights_digest(model.weights)
        self._judged = self._batches_to_judge()

    @property
    def step(self) -> int:
        """How many updates were made."""
        return self.moments.updates

    @property
    def steps(self) -> int:
        """How many updates the run makes."""
        return self.settings.steps_of(len(self.examples))

    def run(
        self,
        *,
        on_update: Callable[[Update], object] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 0,
    ) -> History:
        """Go on to the end of the run.

        Args:
            on_update: called after each update.
            checkpoint: the file to save to.
            checkpoint_every: after how many updates; 0 never.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        while self.step < self.steps:
            update = self.advance()
            if on_update is not None:
                on_update(update)
            if checkpoint is not None and checkpoint_every and self.step % checkpoint_every == 0:
                self.save(checkpoint)
        return self.history

    def advance(self) -> Update:
        """Make the next update; the model is judged before the first one, after each epoch and at the end."""
        if self.step == 0:
            self._judge()
        rate = learning_rate(self.step, self.steps, self.settings.learning_rate, self.settings.warm_up)
        batch = self.batch(self.step)
        loss, gradients = self._gradients(batch)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of step {self.step + 1} is {loss}: the weights have run away; learning_rate="
                f"{self.settings.learning_rate:g} may be too high"
            )
        gradients, norm = clipped(gradients, self.settings.clip)
        self.model.weights, self.moments = self.optimizer.update(self.model.weights, gradients, self.moments, rate)
        self.history.updates.append(Update(self.step, loss, predictions_in(batch), rate, norm))
        self._judge()
        return self.history.updates[-1]

    def batch(self, step: int) -> Batch:
        """The arguments of the call that is differentiated for update number `step`, counted from 0."""
        settings = self.settings
        rows = rows_of_step(step, len(self.examples), settings.batch_size, settings.seed)
        generator = generator_for(settings.seed, Purpose.MASKS, step)
        return collate([self.examples[row] for row in rows], self._pad_token_id, self.masking, generator)

    def score(self) -> Score | None:
        """The model as it is, on the rows held out; None where there are none."""
        return evaluate(self.model, self._judged) if self._judged else None

    def majority(self) -> float:
        """The held-out accuracy of always giving the most frequent answer of the training rows."""
        return majority(self.examples, self._judged, self.masking)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that `resume` needs to one file, which appears whole or not at all."""
        save(self, path)

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Go back to where `save` was called, in a run over the same rows with the same settings.

        Raises:
            CheckpointError: the file is damaged, or belongs to another run; everything that differs is named.
        """
        resume(self, path)

    @property
    def _pad_token_id(self) -> int:
        return self.model.config.pad_token_id or 0

    def _gradients(self, batch: Batch) -> tuple[float, Mapping[str, Array]]:
        """The mean loss of a batch and its gradients by the weights' names, summed over the parts of the batch."""
        summed: dict[str, Array] = {}
        loss, asked = 0.0, max(predictions_in(batch), 1)
        for number, part in enumerate(parts_of(batch, self.settings.accumulate)):
            generator = generator_for(self.settings.seed, Purpose.DROPOUT, self.step, number)
            upstream = np.full(predictions_in(part), 1.0 / asked, self.model.dtype)
            found = self.model.gradients(part, upstream=upstream, training=True, generator=generator)
            loss += float(found.loss)
            leaves = named_leaves(found.weights)
            summed = {name: summed[name] + leaf if summed else leaf for name, leaf in leaves.items()}
        return loss, summed

    def _judge(self) -> None:
        ends = self.step == self.steps or self.step % self.settings.steps_of_epoch(len(self.examples)) == 0
        if ends and (score := self.score()) is not None:
            self.history.evaluations.append({"step": self.step, "loss": score.loss, "accuracy": score.accuracy})

    def _batches_to_judge(self) -> list[Batch]:
        settings = self.settings
        return held_out_batches(self.held_out, settings.batch_size, self._pad_token_id, self.masking, settings.seed)


def _check(model: Any, examples: Sequence[Example], masking: Masking | None) -> None:
    if not isinstance(model, RoFormerBase) or model.head not in HEADS:
        raise InputTypeError(f"model is a {type(model).__name__}, expected one with a head of {', '.join(HEADS)}")
    _check_labels(model.head, examples)
    if (masking is not None) != (model.head == "masked_lm"):
        wanted = "needs masking=Masking(…)" if masking is None else "takes no masking"
        raise InputError(f"a model with the head {model.head} {wanted}")
    if model.head == "sequence_classification" and model.config.task != "single_label_classification":
        raise InputError(f"the model's task is {model.config.task}, trained are single_label_classification models")


def _check_labels(head: str, examples: Sequence[Example]) -> None:
    if not examples:
        raise InputError("examples is empty, there is nothing to train on")
    for number, example in enumerate(examples):
        if (example.labels is None) != (head in UNLABELLED):
            wanted = "no labels, the tokens are asked for" if head in UNLABELLED else "labels"
            raise InputError(f"examples[{number}].labels is {shown(example.labels)}; the head {head} takes {wanted}")
