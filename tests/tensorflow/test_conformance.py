"""The TensorFlow implementation against the contract: golden vectors in both types, and every check once."""

import pytest

from roformer_conformance import parametrize_with_checks
from roformer_conformance.vectors import load_vectors, verify_vector
from roformer_tensorflow.adapter import TensorFlowAdapter

ADAPTER = TensorFlowAdapter()


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector.id)
def test_float64_gives_what_transformers_gave(vector) -> None:
    """Every golden vector, without exception, within its own tolerance, at most 1e-11."""
    assert vector.described["tolerance"]["relative"] <= 1e-11
    record = verify_vector(ADAPTER, vector, "float64")
    assert record.status == "passed", record.message


@parametrize_with_checks(ADAPTER, level="smoke")
def test_the_contract_holds(check) -> None:
    """Each check that the adapter's claims allow, and each golden vector in the last type it claims."""
    check()
