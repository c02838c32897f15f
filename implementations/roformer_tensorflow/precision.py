"""Where a mixed policy's narrow type would lose too much: softmax, means, variances and losses are taken in float32."""

from __future__ import annotations

import tensorflow as tf


def wide(x: tf.Tensor) -> tf.Tensor:
    """x in a type of at least 32 bits."""
    return x if x.dtype.size >= 4 else tf.cast(x, tf.float32)
