"""The small layers that everything else is made of: dense, layer normalization, dropout.

Every layer is built when it is made, and its name is the path of its weights in `roformer_numpy.weights`, such as
`encoder.layer_0.attention.query`: a weight is found by its name, and a model is complete before its first call.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def dense(name: str, inputs: int, outputs: int, policy: Any) -> keras.layers.Dense:
    """x · kernel + bias from `inputs` to `outputs` features, built."""
    layer = keras.layers.Dense(outputs, kernel_initializer="zeros", dtype=policy, name=name)  # assigned at once
    layer.build((None, inputs))
    return layer


class LayerNorm(keras.layers.Layer):
    """gamma · (x − mean) / √(variance + eps) + beta over the last axis, with the biased variance (FFN-4.3).

    Keras' own layer folds the mean into the shift, which loses digits where the mean is large. Computed in the type of
    the weights: an eps of 1e-12 is 0 in float16.
    """

    def __init__(self, name: str, width: int, eps: float, policy: Any) -> None:
        super().__init__(name=name, dtype=policy.variable_dtype)
        self.eps, self.result = eps, policy.compute_dtype
        self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(…, width) → (…, width)."""
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
        return tf.cast(centred * (1.0 / tf.sqrt(variance + self.eps)) * self.gamma + self.beta, self.result)


class Dropout(keras.layers.Layer):
    """Zero with probability `rate` and scale the rest by 1/(1 − rate), in training only (TRAIN-1).

    All layers of a model draw from its one `SeedGenerator`, so that one seed reproduces a whole run, eagerly, in a
    graph and under XLA (LIFE-5): Philox' bits are the same there, but XLA makes other floating-point numbers of them.
    """

    def __init__(self, rate: float, randomness: keras.random.SeedGenerator, policy: Any) -> None:
        super().__init__(dtype=policy)
        self.rate, self.randomness = rate, randomness
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The shape of x."""
        if not training or self.rate == 0.0:
            return x
        if self.rate == 1.0:
            return tf.zeros_like(x)
        seed = tf.cast(self.randomness.next(), tf.int32)
        bits = tf.random.stateless_uniform(tf.shape(x), seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox")
        kept = bits >= tf.constant(min(round(self.rate * 2**32), 2**32 - 1), tf.uint32)
        return tf.where(kept, x * (1.0 / (1.0 - self.rate)), tf.zeros_like(x))
