"""An implementation whose weights are baked in is checked on the checkpoint it was made from, and on nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from roformer_conformance import UsageError, check_implementation, cli
from roformer_conformance.fixed import OTHER_WEIGHTS, FixedWeights
from roformer_conformance.growth import measure_growth
from roformer_conformance.oracle import schema
from roformer_conformance.protocol import AdapterError
from roformer_conformance.records import Result
from roformer_conformance.weights import draw_weights
from roformer_numpy.adapter import CAPABILITIES, NumpyAdapter
from roformer_numpy.components import EQUATIONS

CONFIG: dict[str, Any] = {
    "vocab_size": 31, "embedding_size": 10, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
    "intermediate_size": 23, "type_vocab_size": 3, "max_position_embeddings": 40,
}  # fmt: skip


def half_split(x, cos, sin):
    """Feature i is paired with feature i + d/2."""
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


class Exported(NumpyAdapter):
    """A file with its weights inside: what `load` is given changes nothing."""

    inside: ClassVar[dict[str, Any]]
    capabilities: ClassVar = {
        **CAPABILITIES,
        "fixed_weights": True,
        "heads": ("base", "masked_lm"),
        "dtypes": ("float32",),
    }

    def __init__(self) -> None:
        super().__init__("equations")
        self.name = "exported"

    def load(self, head, config, weights, dtype):
        """The one model there is."""
        return super().load(head, CONFIG, self.inside[head], dtype)


class WronglyExported(Exported):
    """The same with LLaMA's pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.components = dataclasses.replace(EQUATIONS, name="faulty", rotate=half_split)


def drawn(seed: int) -> dict[str, dict[str, Any]]:
    """Weights of both heads with one backbone, by head."""
    backbone = schema(CONFIG, "base")
    shapes = {**{f"roformer.{name}": shape for name, shape in backbone.items()}, **schema(CONFIG, "masked_lm")}
    every = {name: array.astype(np.float32) for name, array in draw_weights(shapes, "strong", seed, "float32").items()}
    return {
        "base": {name: every[f"roformer.{name}"] for name in backbone},
        "masked_lm": {name: every[name] for name in schema(CONFIG, "masked_lm")},
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small masked language model with a pooler, every tensor of it alive."""
    folder = tmp_path_factory.mktemp("checkpoint")
    made = drawn(1)
    stored = {f"roformer.{name}": array for name, array in made["base"].items()} | made["masked_lm"]
    save_file(stored, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(autouse=True)
def made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters of this module have that checkpoint's weights inside."""
    monkeypatch.setattr(Exported, "inside", drawn(1), raising=False)


def checked(adapter: Exported, checkpoint: Path, *clauses: str) -> Result:
    """The result at smoke level."""
    return check_implementation(adapter, level="smoke", clauses=clauses, model=checkpoint)


def test_a_right_export_passes_every_check_that_its_weights_allow(checkpoint: Path) -> None:
    """Nothing fails; what needs other weights is not applicable, and never passed."""
    families = ("NUM", "MASK", "ROT-2", "OUT-1", "OUT-4", "IN", "ERR-2", "EMB", "FFN-4.4", "CFG-2", "LIFE-6.1")
    result = checked(Exported(), checkpoint, *families)
    assert [(record.id, record.message) for record in result.failed] == []
    passed = {record.id for record in result.passed}
    assert {"NUM-1.1/parity", "MASK-1/weight-is-zero", "IN-1/order", "ERR-2/ids", "OUT-1.1/base"} <= passed
    assert {record.head for record in result.passed} >= {"base", "masked_lm"}
    inapplicable = {record.id for record in result.not_claimed if OTHER_WEIGHTS in record.message}
    assert {"ROT-2.1/plane-probe", "FFN-4.4/embedding-eps", "CFG-2.1/every-name", "LIFE-6.1/missing"} <= inapplicable
    assert not passed & inapplicable
    assert not any(record.id.partition("/")[2].startswith("vector") for record in result.passed)


def test_a_wrong_export_fails_and_is_told_what_it_looks_like(checkpoint: Path) -> None:
    """The oracle is that of the checkpoint, so that a fault in the export shows and has a name."""
    result = checked(WronglyExported(), checkpoint, "NUM-1.1")
    failed = next(record for record in result.failed if record.id == "NUM-1.1/parity")
    assert "attentions.0" in failed.message
    assert any("half-split" in line for line in failed.diagnosis)
    assert "the checkpoint's weights" in failed.case
    assert "strong" not in failed.case
    assert failed.replay.startswith(f"roformer-conformance check exported --model {checkpoint} --clause NUM-1.1/parity")


def test_a_report_shows_the_errors_on_the_checkpoint(checkpoint: Path) -> None:
    """What is drawn of a right export lies within its budget; of a wrong one, what differs is drawn."""
    right = measure_growth(Exported(), folder=checkpoint)
    assert not right.problem
    assert right.described == "base in float32, L=2, H=16, N=2, FFN=23, the checkpoint's weights, batch 2, seq_len 24"
    assert max(tap.grade for tap in right.taps) < 4.0
    assert right.attention is None
    wrong = measure_growth(WronglyExported(), folder=checkpoint)
    assert wrong.attention is not None
    assert wrong.attention.tap == "attentions.0"


def test_an_export_of_other_weights_fails(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was made from another checkpoint does not pass for this one's."""
    monkeypatch.setattr(Exported, "inside", drawn(2))
    result = checked(Exported(), checkpoint, "NUM-1.1/parity")
    assert {record.head for record in result.failed} == {"base", "masked_lm"}


def test_a_checkpoint_without_a_pooler_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language model's checkpoint seldom has one: claims about the pooler are not applicable, nothing fails."""
    made = drawn(1)
    save_file(made["masked_lm"], tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    made["base"] = {name: array for name, array in made["base"].items() if "pooler" not in name}
    monkeypatch.setattr(Exported, "inside", made)
    monkeypatch.setitem(CONFIG, "add_pooling_layer", False)
    result = checked(Exported(), tmp_path, "OUT-1.1", "OUT-4.1", "NUM-1.1/parity")
    assert result.failed == []
    assert "OUT-4.1/formula" in {record.id for record in result.not_claimed}


def test_the_drawn_examples_are_the_checkpoints_too(checkpoint: Path) -> None:
    """Hypothesis draws lengths, masks and ids; the model stays the same."""
    result = check_implementation(Exported(), clauses=["MASK-3.1", "EMB-1.2/projection"], model=checkpoint)
    assert result.conforms
    assert all(record.examples > 1 for record in result.passed)


def test_the_command_needs_the_checkpoint(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--model is asked for where it is needed, refused where it is not, and taken."""
    run = CliRunner().invoke
    arguments = ["check", f"{__name__}:Exported", "--level", "smoke", "--clause", "NUM-1.1/parity"]
    without = run(cli.app, arguments)
    assert without.exit_code == 2
    assert "--model DIR" in without.stderr
    needless = run(cli.app, ["check", "numpy-equations", "--model", str(checkpoint)])
    assert needless.exit_code == 2
    assert "fixed_weights" in needless.stderr
    taken = run(cli.app, [*arguments, "--model", str(checkpoint)])
    assert taken.exit_code == 0, taken.output
    assert "exported" in taken.output


def test_a_checkpoint_without_a_claimed_head_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """Every head that is claimed has to be in the folder whole; the message says which are."""

    class Answering(Exported):
        capabilities: ClassVar = {**Exported.capabilities, "heads": ("question_answering",)}

    with pytest.raises(AdapterError, match="question_answering; it holds base, masked_lm"):
        check_implementation(Answering(), model=checkpoint)
    with pytest.raises(AdapterError, match="no folder"):
        check_implementation(Exported(), model=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="claims fixed_weights"):
        check_implementation(Exported())


def test_a_bound_adapter_goes_to_workers(checkpoint: Path) -> None:
    """What a worker unpickles is bound to the same folder."""
    bound = FixedWeights(Exported(), checkpoint)
    maker, arguments = bound.__reduce__()
    assert maker(*arguments).checkpoint.folder == bound.checkpoint.folder
    assert bound.prepare() == 0.0


def test_a_large_vocabulary_is_not_asked_for_in_small_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that a type cannot hold are not cast to it, where they would become other ids."""
    monkeypatch.setitem(CONFIG, "vocab_size", 300)
    made = drawn(1)
    monkeypatch.setattr(Exported, "inside", made, raising=False)
    save_file({f"roformer.{name}": array for name, array in made["base"].items()} | made["masked_lm"],
              tmp_path / "model.safetensors")  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert checked(Exported(), tmp_path, "IN-4.2/integer-types").conforms
