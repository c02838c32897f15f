"""The mixed policies are judged as implementations in bfloat16 and float16."""

from __future__ import annotations

import pytest

from roformer_conformance import check_implementation
from roformer_conformance.protocol import Capabilities, find_adapter


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_mixed_policy_is_an_implementation_in_half_precision(dtype: str) -> None:
    """It claims that type alone, and what it returns lies within the type's budget, gradients included."""
    adapter = find_adapter(f"tensorflow:{dtype}")
    assert Capabilities.of(adapter).dtypes == (dtype,)
    claims = ["NUM-1.1/parity-initial-weights", "MASK-1/weight-is-zero", "TRAIN-2.1/inputs-embeds"]
    result = check_implementation(adapter, level="smoke", clauses=claims)
    assert {record.id for record in result.records if record.status == "passed"} == set(claims)
    assert result.conforms
    assert all(0.0 < (record.grade or 0.0) < 3.0 for record in result.records if record.id.startswith("NUM"))
