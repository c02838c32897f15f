"""The reference RoFormer in NumPy: readable equations, and their numba twins for speed.

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM
model = RoFormerForMaskedLM.from_pretrained("model-dir")
logits = model([[101, 7, 42, 102]]).logits
"""

from typing import TYPE_CHECKING, Any

from .config import RoFormerConfig
from .errors import CheckpointError, ConfigError, InputError, InputTypeError, RoFormerError, WeightsError
from .models import (
    RoFormerForCausalLM,
    RoFormerForMaskedLM,
    RoFormerForMultipleChoice,
    RoFormerForQuestionAnswering,
    RoFormerForSequenceClassification,
    RoFormerForTokenClassification,
    RoFormerModel,
)
from .outputs import ModelOutput
from .weights import weight_shapes

if TYPE_CHECKING:
    from .tokenization import RoFormerTokenizer

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "ConfigError",
    "InputError",
    "InputTypeError",
    "ModelOutput",
    "RoFormerConfig",
    "RoFormerError",
    "RoFormerForCausalLM",
    "RoFormerForMaskedLM",
    "RoFormerForMultipleChoice",
    "RoFormerForQuestionAnswering",
    "RoFormerForSequenceClassification",
    "RoFormerForTokenClassification",
    "RoFormerModel",
    "RoFormerTokenizer",
    "WeightsError",
    "weight_shapes",
]


def __getattr__(name: str) -> Any:
    """Import the tokenizer only when somebody asks for it: its packages come with the extra `[text]`."""
    if name == "RoFormerTokenizer":
        from .tokenization import RoFormerTokenizer

        return RoFormerTokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
