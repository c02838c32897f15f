"""What the tests of the TensorFlow implementation share: the models by head, small sizes, good calls."""

from __future__ import annotations

from typing import Any

import numpy as np

import roformer_tensorflow
from roformer_numpy import RoFormerConfig

NAMES = {
    "base": "RoFormerModel",
    "masked_lm": "RoFormerForMaskedLM",
    "causal_lm": "RoFormerForCausalLM",
    "sequence_classification": "RoFormerForSequenceClassification",
    "token_classification": "RoFormerForTokenClassification",
    "multiple_choice": "RoFormerForMultipleChoice",
    "question_answering": "RoFormerForQuestionAnswering",
}
MODELS = {head: getattr(roformer_tensorflow, f"TF{name}") for head, name in NAMES.items()}
HEADS = tuple(NAMES)


def config_of(**changes: Any) -> RoFormerConfig:
    """Small sizes, no two of them equal."""
    sizes = {
        "vocab_size": 29, "embedding_size": 10, "hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 17, "max_position_embeddings": 19, "type_vocab_size": 5, "num_labels": 8,
    }  # fmt: skip
    return RoFormerConfig(**{**sizes, **changes})


def ids_of(head: str, config: RoFormerConfig, seed: int = 0) -> np.ndarray:
    """Four sequences of seven tokens, or four times six of them."""
    lead = (4, 6, 7) if head == "multiple_choice" else (4, 7)
    return np.random.default_rng(seed).integers(1, config.vocab_size, lead)


def labels_of(head: str, config: RoFormerConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Labels of a head by name; half of a token's are −100."""
    generator = np.random.default_rng(seed)
    if head == "base":
        return {}
    if head == "question_answering":
        return {name: generator.integers(0, 7, 4) for name in ("start_positions", "end_positions")}
    if head in ("sequence_classification", "multiple_choice"):
        return {"labels": generator.integers(0, 6, 4)}
    classes = config.num_labels if head == "token_classification" else config.vocab_size
    labels = generator.integers(0, classes, (4, 7))
    return {"labels": np.where(generator.random((4, 7)) < 0.5, -100, labels)}


def call_of(head: str, config: RoFormerConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Ids, a mask with padding on the right, and labels."""
    ids = ids_of(head, config, seed)
    mask = np.ones_like(ids)
    mask[1, ..., 5:] = 0
    return {"input_ids": ids, "attention_mask": mask, **labels_of(head, config, seed)}
