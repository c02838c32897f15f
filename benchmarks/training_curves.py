"""Trains one small model twice on real text, in NumPy and with Keras in TensorFlow, and lays the loss curves together.

    .venv/bin/python benchmarks/training_curves.py [--task causal-lm] [--steps 50] [--dtype float32] [--picture …png]

A masked or a causal language model; the same fresh weights, batches, masks, rates, clipping and AdamW, no dropout: what
is left is two implementations of the forward pass, the backward pass and the optimizer. Text: the held-out lines of
fixtures/models, Tang poems. Keras adds its ε to √v, the papers and PyTorch to √v̂ = √(v / (1 − β₂ᵗ)): to compute the
same number, Keras' AdamW is given ε √(1 − β₂ᵗ) at step t. Keras rounds β₁ and β₂ to float32 before it takes 1 − βᵗ,
also in a float64 model: with 0.999 that alone changes every update by 7e-6 of itself, so the run has betas that float32
holds exactly. All else are options of both; weight decay comes before the update on both sides.

Exit code 0: no two losses differ by more than 1e-5. 1: some do.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.progress import track

from roformer_numpy import RoFormerConfig, RoFormerForCausalLM, RoFormerForMaskedLM, RoFormerTokenizer
from roformer_numpy.models_in_the_box import resolve
from roformer_numpy.training import Example, Masking, Settings, Trainer
from roformer_numpy.training.schedule import learning_rate

LINES = Path(__file__).parents[1] / "fixtures" / "models" / "held_out_lines.txt"
ALLOWED = 1e-5
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
UNDECAYED = ["bias", "gamma", "beta"]
MODELS = {"masked-lm": RoFormerForMaskedLM, "causal-lm": RoFormerForCausalLM}
BETA1, BETA2 = 0.875, 0.984375  # exact in float32


def main() -> None:
    arguments = parse_arguments()
    trainer = trainer_of(arguments)
    theirs = keras_losses(trainer)
    ours = numpy_losses(trainer)
    gap = np.abs(np.subtract(ours, theirs))
    print(f"{arguments.dtype}, {len(ours)} steps: loss {ours[0]:.4f} at the first, {ours[-1]:.4f} at the last")
    print(f"NumPy and TensorFlow differ by at most {gap.max():.2e}, at step {int(gap.argmax()) + 1}")
    if arguments.picture:
        draw(ours, theirs, arguments)
    sys.exit(0 if gap.max() <= ALLOWED else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=MODELS, default="masked-lm")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="a PNG file with both curves")
    return parser.parse_args()


def trainer_of(arguments: argparse.Namespace) -> Trainer:
    """The run in NumPy at its beginning; Keras takes weights and batches from it."""
    tokenizer = RoFormerTokenizer.from_pretrained(resolve("tang-mini"))
    texts = [blank.replace("[MASK]", token) for blank, token in (line.split("\t") for line in lines())]
    config = RoFormerConfig(vocab_size=len(tokenizer), **SIZES, **STILL)
    model = MODELS[arguments.task](config, seed=arguments.seed, dtype=arguments.dtype)
    settings = Settings(
        steps=arguments.steps, batch_size=arguments.batch_size, learning_rate=arguments.learning_rate,
        seed=arguments.seed, beta1=BETA1, beta2=BETA2,
    )  # fmt: skip
    examples = [Example(tuple(ids)) for ids in tokenizer(texts)["input_ids"]]
    masking = Masking.of(tokenizer, config.vocab_size) if arguments.task == "masked-lm" else None
    return Trainer(model, examples, settings, masking=masking)


def lines() -> list[str]:
    return LINES.read_text(encoding="utf-8").splitlines()


def numpy_losses(trainer: Trainer) -> list[float]:
    return [trainer.advance().loss for _ in shown(trainer.steps, "NumPy")]


def keras_losses(trainer: Trainer) -> list[float]:
    """The same steps by train_on_batch of the Keras model."""
    import roformer_tensorflow

    model, settings, losses = trainer.model, trainer.settings, []
    twin = getattr(roformer_tensorflow, f"TF{type(model).__name__}").from_weights(
        model.config, model.to_weights(), dtype=model.dtype.name
    )
    twin.compile(optimizer_of(settings), jit_compile=False)
    for step in shown(trainer.steps, "Keras"):
        twin.optimizer.learning_rate = learning_rate(step, trainer.steps, settings.learning_rate, settings.warm_up)
        twin.reset_metrics()
        losses.append(float(twin.train_on_batch(trainer.batch(step), return_dict=True)["loss"]))
    return losses


def optimizer_of(settings: Settings) -> Any:
    """Keras' AdamW with ε where the papers have it."""
    import keras

    class PapersAdamW(keras.optimizers.AdamW):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            given, step = self.epsilon, keras.ops.cast(self.iterations + 1, variable.dtype)
            self.epsilon = given * keras.ops.sqrt(1.0 - keras.ops.power(keras.ops.cast(self.beta_2, step.dtype), step))
            super().update_step(gradient, variable, learning_rate)
            self.epsilon = given

    optimizer = PapersAdamW(
        settings.learning_rate, settings.weight_decay, settings.beta1, settings.beta2, settings.epsilon,
        global_clipnorm=settings.clip,
    )  # fmt: skip
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer


def shown(steps: int, name: str) -> Any:
    """The steps, with a bar on a terminal."""
    console = Console(stderr=True)
    return track(range(steps), name, console=console, transient=True, disable=not console.is_terminal)


def draw(ours: list[float], theirs: list[float], arguments: argparse.Namespace) -> None:
    """Both curves, and below them how far they are apart."""
    from matplotlib.figure import Figure

    steps = range(1, len(ours) + 1)
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=[3, 2])
    above.plot(steps, theirs, color="#c2410c", linewidth=5, alpha=0.4, label="TensorFlow (Keras)")
    above.plot(steps, ours, color="#1f4e8c", label="NumPy")
    above.set(ylabel="loss", title=f"One training run, twice: {arguments.task} on Tang poems, {arguments.dtype}")
    above.legend(frameon=False)
    below.plot(steps, np.abs(np.subtract(ours, theirs)), color="#1f4e8c", marker=".")
    below.axhline(ALLOWED, color="#888888", linestyle="--", label="allowed")
    below.set(xlabel="update", ylabel="difference", ylim=(0, None))
    below.legend(frameon=False)
    figure.savefig(arguments.picture, dpi=120)


if __name__ == "__main__":
    main()
