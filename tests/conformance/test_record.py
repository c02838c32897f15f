"""`record` keeps what a user's own model returns, `compare` judges a later run by it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner, Result

from roformer_conformance import cli
from roformer_conformance.golden import PROBES, Golden
from roformer_conformance.oracle import schema
from roformer_conformance.weights import draw_weights
from roformer_numpy.adapter import CAPABILITIES, NumpyAdapter
from roformer_numpy.components import EQUATIONS

CONFIG: dict[str, Any] = {
    "vocab_size": 31, "embedding_size": 10, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
    "intermediate_size": 23, "type_vocab_size": 3, "max_position_embeddings": 40,
    "architectures": ["RoFormerForMaskedLM"],
}  # fmt: skip
DRAWN = draw_weights(schema(CONFIG, "masked_lm"), "strong", 1, "float32")
WEIGHTS = {name: array.astype(np.float32) for name, array in DRAWN.items()}


class SlightlyOff(NumpyAdapter):
    """A later version whose activation is the tanh approximation: the embeddings stay, layer 0 moves."""

    def __init__(self) -> None:
        changed = lambda x, name: EQUATIONS.activate(x, "gelu_new" if name == "gelu" else name)  # noqa: E731

        def feed_forward(x, intermediate, output, hidden_act):
            inner = changed(EQUATIONS.dense(x, intermediate.kernel, intermediate.bias), hidden_act)
            return EQUATIONS.dense(inner, output.kernel, output.bias)

        super().__init__(dataclasses.replace(EQUATIONS, name="off", activate=changed, feed_forward=feed_forward))


class Raising(NumpyAdapter):
    """An implementation that raises when it is loaded."""

    def load(self, head, config, weights, dtype):
        """Nothing is loaded."""
        raise RuntimeError("out of order")


class Inside(NumpyAdapter):
    """An adapter with its weights inside, and no checkpoint to be had."""

    capabilities: ClassVar = {**CAPABILITIES, "fixed_weights": True, "heads": ("masked_lm",)}
    config: ClassVar = CONFIG
    scale: ClassVar[float] = 1.0

    def load(self, head, config, weights, dtype):
        """The one model there is."""
        name = "roformer.encoder.layer.1.output.dense.bias"
        return super().load(head, CONFIG, {**WEIGHTS, name: self.scale * WEIGHTS[name]}, dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small masked language model."""
    root = tmp_path / "model"
    root.mkdir()
    save_file(WEIGHTS, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps(CONFIG))
    return root


def run(*arguments: object) -> Result:
    """The command with these arguments."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def recorded(folder: Path, *options: str) -> Path:
    """A recording by the kernels."""
    file = folder.parent / "golden.safetensors"
    result = run("record", folder, "--output", file, *options)
    assert result.exit_code == 0, result.output
    return file


def test_a_recording_holds_calls_outputs_costs_and_where_it_was_made(folder: Path) -> None:
    """Every probe with its inputs, all that shows inside, and the spread of honest arithmetic at each output."""
    golden = Golden.read(recorded(folder))
    assert golden.header["spreads"].keys() == PROBES.keys()
    assert golden.header["head"] == "masked_lm"
    assert golden.header["environment"]["numpy"] == np.__version__
    for probe, spreads in golden.header["spreads"].items():
        outputs = golden.part(probe, "outputs")
        assert {"hidden_states.0", "hidden_states.2", "attentions.1", "logits"} <= outputs.keys() == spreads.keys()
        assert all(0.0 < mean < 1e-3 and worst > 0.0 for mean, worst in spreads.values())
    assert golden.part("padded", "inputs")["attention_mask"].min() == 0


def test_another_honest_arithmetic_has_not_moved(folder: Path) -> None:
    """The same weights by the equations are as recorded, and what is different is told."""
    result = run("compare", recorded(folder), folder, "--implementation", "numpy-equations")
    assert result.exit_code == 0, result.output
    assert "as recorded" in result.output
    assert "implementation: was numpy" in result.output


def test_the_first_output_that_moved_is_named(folder: Path) -> None:
    """A later version with another activation: layer 0 moved, with index, value, recorded value and budget."""
    result = run("compare", recorded(folder), folder, "--implementation", f"{__name__}:SlightlyOff")
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "moved" in text
    assert "hidden_states.1" in text
    assert "hidden_states.2" not in text


def test_other_weights_and_another_configuration_are_told(folder: Path) -> None:
    """What changed beside the outputs may explain them."""
    file = recorded(folder)
    weights = load_file(folder / "model.safetensors")
    weights["roformer.embeddings.word_embeddings.weight"] *= 1.01
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, "layer_norm_eps": 1e-6}))
    result = run("compare", file, folder)
    assert result.exit_code == 1
    assert "weights: not those that were recorded" in result.output
    assert "config: layer_norm_eps was 1e-12, is 1e-06" in result.output


def test_an_implementation_that_raises_exits_with_3(folder: Path) -> None:
    """A dead implementation is told from one that moved."""
    result = run("compare", recorded(folder), folder, "--implementation", f"{__name__}:Raising")
    assert result.exit_code == 3
    assert "RuntimeError: out of order" in result.stderr


def test_an_adapter_with_its_weights_inside_is_recorded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a checkpoint the budget is that of one rounding; a bias that grew by a tenth has moved."""
    file = tmp_path / "golden.safetensors"
    result = run("record", f"{__name__}:Inside", "--output", file)
    assert result.exit_code == 0, result.output
    assert "weights are unknown" in result.output
    assert run("compare", file, f"{__name__}:Inside").exit_code == 0
    monkeypatch.setattr(Inside, "scale", 1.1)
    moved = run("compare", file, f"{__name__}:Inside")
    assert moved.exit_code == 1
    assert "hidden_states.2" in moved.output


def test_wrong_usage_exits_with_2(folder: Path, tmp_path: Path) -> None:
    """What cannot be recorded or compared is said in one line."""
    for arguments, words in (
        (("record", tmp_path / "nowhere", "--output", "x"), "is no folder, and no module:attribute"),
        (("record", "numpy", "--output", "x"), "is no model folder"),
        (("record", folder, "--output", "x", "--head", "question_answering"), "does not hold every weight"),
        (("record", folder, "--output", "x", "--dtype", "float16"), "not in 'float16'"),
        (("compare", folder / "config.json", folder), "is no recording"),
        (("compare", folder / "model.safetensors", folder), "is no recording"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert words in result.stderr
