"""The weights that checks draw."""

import numpy as np

from roformer_conformance.weights import draw_weights, generator


def test_a_tensor_depends_on_its_seed_and_name_alone() -> None:
    """What is drawn before it changes nothing: each tensor is what a generator of its own gives."""
    shapes = {"embeddings.word_embeddings.weight": (5, 3), "pooler.dense.bias": (4,), "x.LayerNorm.weight": (7,)}
    drawn = draw_weights(shapes, "strong", 11, "float64")
    again = draw_weights(dict(reversed(shapes.items())), "strong", 11, "float64")
    assert all(np.array_equal(drawn[name], again[name]) for name in shapes)
    assert np.array_equal(drawn["pooler.dense.bias"], 0.1 * generator(11, "pooler.dense.bias").standard_normal(4))
    assert not np.array_equal(
        drawn["pooler.dense.bias"], draw_weights(shapes, "strong", 12, "float64")["pooler.dense.bias"]
    )
