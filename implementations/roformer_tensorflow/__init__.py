"""The RoFormer of the documentation in Keras 3 and TensorFlow: seven `keras.Model`s, none of whose arithmetic is ours.

from roformer_tensorflow import RoFormerConfig, TFRoFormerForMaskedLM
model = TFRoFormerForMaskedLM.from_pretrained("model-dir")
logits = model([[101, 7, 42, 102]]).logits
"""

try:
    import keras
    import tensorflow  # noqa: F401  (Keras alone is not enough)
except ImportError as error:
    raise ImportError('roformer_tensorflow needs TensorFlow: pip install "roformer-reference[tensorflow]"') from error

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"roformer_tensorflow computes with TensorFlow, but Keras runs on {keras.backend.backend()}: "
        "set KERAS_BACKEND=tensorflow before Keras is imported"
    )

from roformer_numpy.config import RoFormerConfig

from .models import (
    TFRoFormerForCausalLM,
    TFRoFormerForMaskedLM,
    TFRoFormerForMultipleChoice,
    TFRoFormerForQuestionAnswering,
    TFRoFormerForSequenceClassification,
    TFRoFormerForTokenClassification,
    TFRoFormerModel,
)
from .outputs import TFModelOutput

__all__ = [
    "RoFormerConfig",
    "TFModelOutput",
    "TFRoFormerForCausalLM",
    "TFRoFormerForMaskedLM",
    "TFRoFormerForMultipleChoice",
    "TFRoFormerForQuestionAnswering",
    "TFRoFormerForSequenceClassification",
    "TFRoFormerForTokenClassification",
    "TFRoFormerModel",
]
