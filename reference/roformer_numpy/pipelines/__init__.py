"""From text to something that people read: what stands behind a mask, how a text goes on, where it lies.

from roformer_numpy import RoFormerForMaskedLM, RoFormerTokenizer
from roformer_numpy.pipelines import fill_mask
results = fill_mask(model, tokenizer, ["床前[MASK]月光"], top_k=5)
results[0].masks[0].predictions[0].token
"""

from .embedding import POOLINGS, embed
from .filling import FilledMask, FilledText, Prediction, fill_mask
from .writing import WrittenText, generate

__all__ = [
    "POOLINGS",
    "FilledMask",
    "FilledText",
    "Prediction",
    "WrittenText",
    "embed",
    "fill_mask",
    "generate",
]
