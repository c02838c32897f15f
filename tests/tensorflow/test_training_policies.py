"""Mixed policies: weights, softmax, means and losses in float32, products in bfloat16 or float16."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from roformer_numpy import RoFormerConfig

from .samples import HEADS, MODELS, call_of, config_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Unit roundoff; a tap may be off by 4 · 2 · u of its size, the suite's budget, of which about a quarter is used.
ROUNDOFF = {"mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}


def both(head: str, policy: str, **changes: Any) -> tuple[Any, Any, dict[str, np.ndarray]]:
    """The same weights under the policy and in float64, and a call with padding."""
    config: RoFormerConfig = config_of(initializer_range=0.2, **changes)
    return MODELS[head](config, dtype=policy), MODELS[head](config, dtype="float64"), call_of(head, config)


def off(got: Any, expected: Any) -> float:
    """Relative root-mean-square error."""
    got, expected = np.array(got, np.float64), np.array(expected)
    return float(np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("policy", ROUNDOFF)
@pytest.mark.parametrize("head", HEADS)
def test_a_mixed_policy_stays_within_its_budget(head: str, policy: str) -> None:
    """Every tap in the narrow type is near the float64 one, weights and the loss are float32, masks are exact."""
    narrow, exact, call = both(head, policy)
    flags = {"output_hidden_states": True, "output_attentions": True}
    output, expected = narrow(**call, **flags), exact(**call, **flags)
    assert {variable.dtype for variable in narrow.trainable_variables} == {"float32"}
    for name in output:
        for got, right in zip(tf.nest.flatten(output[name]), tf.nest.flatten(expected[name]), strict=True):
            assert got.dtype == ("float32" if name == "loss" else narrow.compute_dtype)
            assert off(got, right) < 8 * ROUNDOFF[policy], name
    rows = 6 if head == "multiple_choice" else 1  # a batch of choices lies row by row
    for probs in output.attentions:
        assert np.all(probs.numpy()[rows : 2 * rows, ..., 5:] == 0)
        assert np.all(probs.numpy()[rows : 2 * rows, ..., 6, :5] > 0)


@pytest.mark.parametrize("policy", ROUNDOFF)
def test_regression_labels_are_not_rounded(policy: str) -> None:
    """A label that the narrow type cannot hold is compared as it was given."""
    narrow, _, call = both("sequence_classification", policy, num_labels=1)
    labels = np.array([1000.03125, 0.1, -3.3, 7.7], np.float32)
    output = narrow(call["input_ids"], labels=labels)
    expected = (output.logits.numpy()[:, 0].astype(np.float32) - labels) ** 2
    np.testing.assert_allclose(output.loss, expected, rtol=1e-6)


@pytest.mark.parametrize("policy", ROUNDOFF)
def test_a_mixed_policy_trains_and_is_saved(policy: str, tmp_path) -> None:
    """The loss is finite and falls; float16 gets Keras' loss scaling; the .keras file keeps the policy."""
    model, _, call = both("masked_lm", policy)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False, run_eagerly=policy == "mixed_float16")
    losses = model.fit(call, epochs=3, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.dtype_policy.name == policy
    assert np.array_equal(again(**call).logits, model(**call).logits)


def test_generation_keeps_its_cache_in_the_narrow_type() -> None:
    """Cached keys go back in as they came out: the same tokens with and without a cache."""
    narrow, _, _ = both("causal_lm", "mixed_bfloat16")
    prompt = [[1, 2, 3]]
    cached = narrow(prompt, use_cache=True).past_key_values
    assert {part.dtype.name for part in tf.nest.flatten(cached)} == {"bfloat16"}
    step = narrow([[4]], past_key_values=cached).logits
    assert off(step[:, 0], narrow([[1, 2, 3, 4]]).logits[:, -1].numpy().astype(np.float64)) < 8 * 2.0**-8
    assert narrow.generate(prompt, max_new_tokens=3).shape == (1, 6)
