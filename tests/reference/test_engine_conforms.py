"""The engine against the contract in every call that it can serve, those that ask for attentions included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.adapter import EngineAdapter, EngineModel
from roformer_numpy.engine import Engine
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET

conformance = pytest.importorskip("roformer_conformance")

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")


@conformance.parametrize_with_checks(EngineAdapter(), level="smoke")
def test_the_engine_s_numbers_conform(check: Any) -> None:
    """What components compute in a call that returns attentions is the attentions alone."""
    check()


@pytest.mark.parametrize("options", [{}, {"return_dict": False}, {"output_hidden_states": True}])
def test_what_a_call_with_attentions_returns_is_the_engine_s(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by an engine whose states are marked; attentions and the number of outputs stay as they are."""
    model = RoFormerModel(RoFormerConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    run = Engine._run
    monkeypatch.setattr(Engine, "_run", lambda *given, **named: run(*given, **named) + np.float32(7.0))
    asked = {"output_attentions": True, **options}
    got = EngineModel(model)({"input_ids": [[1, 2, 3]]}, options=asked)
    plain = model([[1, 2, 3]], **asked)
    outputs, expected = (got["tuple"], plain) if "tuple" in got else (tuple(got.values()), tuple(plain.values()))
    assert len(outputs) == len(expected)
    assert outputs[0].mean() > 6.0 > abs(expected[0].mean())
    assert np.array_equal(outputs[-1][0], expected[-1][0])
