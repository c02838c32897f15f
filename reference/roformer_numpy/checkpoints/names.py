"""Our names of weights and PyTorch's."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from ..config import RoFormerConfig
from ..equations.rotary import rotary_table
from ..weights import Array, Shape

BACKBONE_PREFIX = "roformer."
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
SINUSOIDS = "encoder.embed_positions.weight"
DECODER = "cls.predictions.decoder.weight"
DECODER_BIAS = "cls.predictions.decoder.bias"
LANGUAGE_MODEL_BIAS = "cls.predictions.bias"
POOLER = frozenset({"pooler.dense.weight", "pooler.dense.bias"})

# Patterns of our names and what PyTorch has in their place; each is tried once, in this order.
_LANGUAGE_MODEL = (
    (r"^head\.transform\.", "cls.predictions.transform.dense."),
    (r"^head\.layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^head\.decoder$", DECODER),
    (r"^head\.bias$", LANGUAGE_MODEL_BIAS),
)
_HEADS = {
    "base": (),
    "masked_lm": _LANGUAGE_MODEL,
    "causal_lm": _LANGUAGE_MODEL,
    "sequence_classification": ((r"^head\.dense\.", "classifier.dense."), (r"^head\.output\.", "classifier.out_proj.")),
    "token_classification": ((r"^head\.", "classifier."),),
    "multiple_choice": ((r"^head\.", "classifier."),),
    "question_answering": ((r"^head\.", "qa_outputs."),),
}
_BACKBONE = (
    (r"^embeddings\.word$", WORD_EMBEDDINGS),
    (r"^embeddings\.token_type$", "embeddings.token_type_embeddings.weight"),
    (r"^embeddings\.project\.", "embeddings_project."),
    (r"^pooler\.", "pooler.dense."),
    (r"\.layer_(\d+)\.", r".layer.\1."),
    (r"\.cross_attention\.", ".crossattention."),
    (r"attention\.(query|key|value)\.", r"attention.self.\1."),
    (r"attention\.output\.", "attention.output.dense."),
    (r"attention\.layer_norm\.", "attention.output.LayerNorm."),
    (r"\.feed_forward\.intermediate\.", ".intermediate.dense."),
    (r"\.feed_forward\.output\.", ".output.dense."),
    (r"\.feed_forward\.layer_norm\.", ".output.LayerNorm."),
    (r"\.layer_norm\.", ".LayerNorm."),
    (r"\.(kernel|gamma)$", ".weight"),
    (r"\.beta$", ".bias"),
)


@lru_cache(maxsize=4096)
def foreign_name(name: str, head: str) -> str:
    """The PyTorch name of our weight `name` in the model called `head`, without the backbone's prefix."""
    for pattern, replacement in (*_HEADS[head], *_BACKBONE):
        name = re.sub(pattern, replacement, name)
    return name


def foreign_shape(name: str, shape: Shape) -> Shape:
    """The shape that PyTorch stores our weight `name` in."""
    return shape[::-1] if name.endswith(".kernel") else shape


def transposed(name: str, array: Array) -> Array:
    """The array of our weight `name` in the other layout, ours to PyTorch's or back."""
    return array.T if name.endswith(".kernel") else array


def with_prefix(name: str, head: str) -> str:
    """The foreign name as a model with a head stores it: the backbone below its prefix."""
    backbone = name.startswith(("embeddings", "encoder.", "pooler."))
    return f"{BACKBONE_PREFIX}{name}" if backbone and head != "base" else name


def sinusoid_table(config: RoFormerConfig) -> Array:
    """The table as the transformers library stores it, (max_position_embeddings, head_dim): sines, then cosines."""
    cos, sin = rotary_table(np.arange(config.max_position_embeddings), config.head_dim, np.float64)
    return np.concatenate([sin, cos], axis=1)
