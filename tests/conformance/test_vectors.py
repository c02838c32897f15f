"""Golden vectors: intact, refused when damaged, met by the definition, and not met by a wrong one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_conformance.clauses import load_clauses
from roformer_conformance.protocol import HEADS
from roformer_conformance.resources import fixtures_folder
from roformer_conformance.vectors import VectorError, load_vectors, verify_vector
from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.components import EQUATIONS

VECTORS = load_vectors(by_schema=True)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A copy of one vector with its schema and weights, to be damaged."""
    for part in ("vectors", "weights"):
        (tmp_path / part).mkdir()
    shutil.copy(fixtures_folder() / "case.schema.json", tmp_path)
    for suffix in (".json", ".safetensors"):
        shutil.copy(fixtures_folder() / "vectors" / f"base-plain{suffix}", tmp_path / "vectors")
    shutil.copy(fixtures_folder() / "weights" / "plain.safetensors", tmp_path / "weights")
    return tmp_path


@pytest.mark.parametrize("components", ["equations", "kernels"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_float64_gives_what_transformers_gave(vector, components) -> None:
    """Equations and kernels meet every vector within its own tolerance, at most 1e-11."""
    assert vector.described["tolerance"]["relative"] <= 1e-11
    record = verify_vector(NumpyAdapter(components), vector, "float64")
    assert record.status == "passed", record.message


@pytest.mark.parametrize("head", HEADS)
def test_every_head_has_vectors_of_every_kind(head: str) -> None:
    """No head is left without plain, projected, rotated, masked and activated calls."""
    names = {vector.id.partition("-")[2] for vector in VECTORS if vector.head == head}
    wanted = {"plain", "projected", "rotary_value", "right_padding", "left_padding", "irregular_mask", "token_types"}
    wanted |= {"fully_masked_row", "inputs_embeds", "head_mask_by_head", "head_mask_by_layer", "odd_feed_forward"}
    wanted |= {"narrow_heads", "single_head", "pruned_heads", "hidden_act_selu", "hidden_act_gelu_10"}
    # a causal row that sees nothing is registered as different, and has hand-made vectors of its own
    wanted -= {"fully_masked_row"} if head == "causal_lm" else set()
    assert wanted <= names


def test_every_vector_says_where_it_comes_from_and_what_it_catches() -> None:
    """A vector without a source or a purpose would be a number to be believed."""
    for vector in VECTORS:
        assert vector.described["source"]["version"]
        assert len(vector.described["guards_against"]) > 20
        assert vector.clauses
        assert all(clause in load_clauses() for clause in vector.clauses), vector.id


def test_vectors_come_from_outside() -> None:
    """Every case was computed by transformers 4.37.2 in float64, and 5.23 agreed or its reason not to is recorded."""
    for vector in VECTORS:
        assert vector.described["source"]["name"] == "transformers"
        assert vector.described["source"]["dtype"] == "float64"
        newer = [item for item in vector.described["witnesses"] if item["version"].startswith("5.")]
        assert newer
        assert all("not_applicable" in item or item["largest_relative_difference"] <= 1e-12 for item in newer)


def test_a_half_split_rotation_meets_no_vector_that_rotates() -> None:
    """The commonest mistake of all, pairs (i, i + d/2), is seen by the plain vector of every head."""

    def half_split(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    faulty = NumpyAdapter(replace(EQUATIONS, name="half-split", rotate=half_split))
    for vector in VECTORS:
        if vector.id.endswith("-plain"):
            record = verify_vector(faulty, vector, "float64")
            assert record.status == "failed"
            assert record.message


def test_what_is_not_claimed_is_not_passed() -> None:
    """A vector that needs a cache is not asked of an implementation without one."""
    adapter = NumpyAdapter("equations")
    adapter.capabilities = {**adapter.capabilities, "cache": False}
    cached = next(vector for vector in VECTORS if vector.id == "base-cache")
    record = verify_vector(adapter, cached, "float64")
    assert record.status == "not_claimed"
    assert "cache" in record.message


class Losing(NumpyAdapter):
    """Its calls return everything but one output, or that output changed."""

    def __init__(self, tap: str, changed: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        super().__init__("equations")
        self.tap, self.changed = tap, changed

    def load(self, *arguments: Any) -> Any:
        """A model whose calls lose the output."""
        model = super().load(*arguments)

        def call(inputs: Any, *, style: str, options: Any) -> dict[str, Any]:
            outputs = dict(model(inputs, style=style, options=options))
            lost = outputs.pop(self.tap)
            return outputs if self.changed is None else {**outputs, self.tap: self.changed(lost)}

        return call


@pytest.mark.parametrize("changed", [None, np.mean, lambda loss: loss * 1.01], ids=["none", "mean", "wrong"])
def test_a_loss_that_lacks_or_differs_fails_the_claims_about_losses_alone(changed) -> None:
    """Logits that are right break no claim about heads, whatever the loss beside them is."""
    vector = next(vector for vector in VECTORS if vector.clauses[:3] == ("LOSS-1.1", "LOSS-1.2", "LOSS-1.3"))
    assert "HEAD-1.1" in vector.clauses
    for dtype in ("float32", "float64"):
        record = verify_vector(Losing("loss", changed), vector, dtype)
        assert record.status == "failed"
        assert record.message.startswith("loss ") or record.message.startswith("loss[")
        assert record.clauses == ("LOSS-1.1", "LOSS-1.2", "LOSS-1.3", "LOSS-2.3", "LOSS-2.4")


def test_a_lost_output_inside_fails_every_claim_of_its_vector() -> None:
    """Whoever returns no logits has kept nothing of what a vector of logits and loss says."""
    vector = next(vector for vector in VECTORS if vector.clauses[0] == "LOSS-5.1")
    record = verify_vector(Losing("logits"), vector, "float64")
    assert record.status == "failed"
    assert record.message.startswith("logits is missing among the outputs")
    assert record.clauses == vector.clauses


def test_a_changed_number_is_noticed(damaged: Path) -> None:
    """A tensor file that is not the recorded one is refused by name."""
    path = damaged / "vectors" / "base-plain.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(VectorError, match=r"base-plain.safetensors is missing, or is not the file whose sha256"):
        load_vectors(damaged, by_schema=True)


def test_changed_weights_are_noticed(damaged: Path) -> None:
    """Weights belong to the record as well."""
    (damaged / "weights" / "plain.safetensors").write_bytes(b"")
    with pytest.raises(VectorError, match="weights_sha256"):
        load_vectors(damaged, by_schema=True)


def test_an_unknown_field_breaks_the_schema(damaged: Path) -> None:
    """A description is read strictly: nothing is ignored."""
    path = damaged / "vectors" / "base-plain.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tolerence": 1}))
    with pytest.raises(VectorError, match="tolerence"):
        load_vectors(damaged, by_schema=True)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """No vectors is not the same as no differences."""
    (tmp_path / "vectors").mkdir()
    shutil.copy(fixtures_folder() / "case.schema.json", tmp_path)
    with pytest.raises(VectorError, match="no golden vectors"):
        load_vectors(tmp_path)
