"""The engine's kernels under pytest-benchmark, each beside NumPy's or the components' way of the same.

    python -m pytest benchmarks/kernels_benchmark.py --benchmark-group-by=param:case

Not a part of the tests, which run it once with --benchmark-disable, so that it does not rot. Every benchmark asserts
that what it timed is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.benchmarking.models import strong_weights
from roformer_numpy.kernels.engine.factors import FLOAT32
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET, PANEL
from roformer_numpy.kernels.engine.panels import aligned, packed, padded
from roformer_numpy.kernels.engine.products import multiply_panel
from roformer_numpy.kernels.jit import kernel as compiled

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

WIDE = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 100}
PRODUCTS = {
    "queries, keys, values": (768, 2304),
    "attention output": (768, 768),
    "inner": (768, 3072),
    "outer": (3072, 768),
}


@compiled
def multiply(rows: int, a: int, lda: int, panel: int, c: int, ldc: int, depth: int) -> None:
    """A way in: only compiled code can call the pieces of a kernel."""
    multiply_panel(FLOAT32, rows, a, lda, panel, c, ldc, depth)


@pytest.mark.parametrize("way", ["panels", "NumPy"])
@pytest.mark.parametrize("rows", [16, 128])
@pytest.mark.parametrize("case", PRODUCTS)
def test_products(benchmark: Any, case: str, rows: int, way: str) -> None:
    """A layer's dense product by one thread over packed panels; NumPy's with as many threads as it takes."""
    depth, width = PRODUCTS[case]
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((rows, depth), np.float32), generator.standard_normal((depth, width), np.float32)
    panels, c = packed(b), aligned(rows, padded(width))

    def by_panels() -> None:
        for number, panel in enumerate(panels):
            target = c.ctypes.data + 4 * number * PANEL
            multiply(rows, a.ctypes.data, depth, panel.ctypes.data, target, c.shape[1], depth)

    def by_numpy() -> None:
        np.matmul(a, b, out=c[:, :width])

    benchmark(by_panels if way == "panels" else by_numpy)
    np.testing.assert_allclose(c[:, :width], a @ b, atol=1e-3)


@pytest.mark.parametrize("case", PRODUCTS)
def test_packing(benchmark: Any, case: str) -> None:
    """What a weight costs once, when a model is first used."""
    kernel = np.random.default_rng(0).standard_normal(PRODUCTS[case], np.float32)
    panels = benchmark(packed, kernel)
    assert (panels[0] == kernel[:, :PANEL]).all()


@pytest.mark.parametrize("way", ["engine", "components"])
@pytest.mark.parametrize("case", ["1x16", "1x128", "8x32", "1x512"])
def test_layer(benchmark: Any, case: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of a model of one layer of base width: attention grows with the length, the rest with the tokens."""
    batch, length = map(int, case.split("x"))
    model = RoFormerModel(RoFormerConfig(num_hidden_layers=1, **WIDE))
    model.weights = strong_weights(model.config)
    ids = np.random.default_rng(0).integers(0, 100, (batch, length))
    expected = model(ids)["last_hidden_state"]
    if way == "components":
        monkeypatch.setattr(model, "_engine", lambda: None)
    found = benchmark(lambda: model(ids)["last_hidden_state"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
