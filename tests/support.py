"""What the tests share: a small configuration, strong weights, good calls, and the published names of the weights.

The sizes are mutually distinct, so that no transposed axis can pass; the weights are strong (biases far from 0, scales
far from 1), so that no part of the model can be left out unnoticed. Weight names and shapes are written out here by
hand: they witness the package's own schema instead of repeating it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import roformer_numpy
from roformer_numpy import RoFormerConfig

HEADS = (
    "base",
    "masked_lm",
    "causal_lm",
    "sequence_classification",
    "token_classification",
    "multiple_choice",
    "question_answering",
)
LANGUAGE_MODELS = ("masked_lm", "causal_lm")
CLASSES = {
    "base": "RoFormerModel",
    "masked_lm": "RoFormerForMaskedLM",
    "causal_lm": "RoFormerForCausalLM",
    "sequence_classification": "RoFormerForSequenceClassification",
    "token_classification": "RoFormerForTokenClassification",
    "multiple_choice": "RoFormerForMultipleChoice",
    "question_answering": "RoFormerForQuestionAnswering",
}
MODELS = {head: getattr(roformer_numpy, name) for head, name in CLASSES.items()}

BATCH, SEQ_LEN, CHOICES = 4, 7, 6
SIZES: dict[str, Any] = {
    "vocab_size": 29,
    "embedding_size": 10,
    "hidden_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 17,
    "max_position_embeddings": 19,
    "type_vocab_size": 5,
    "num_labels": 8,
}

Call = dict[str, Any]


def config_of(**changes: Any) -> RoFormerConfig:
    """The small configuration with `changes`."""
    return RoFormerConfig(**{**SIZES, **changes})


def published_shapes(config: RoFormerConfig, head: str = "base") -> dict[str, tuple[int, ...]]:
    """Names and shapes of an unpruned model as the transformers library stores them in PyTorch's layout."""
    hidden, embedding, inner, vocab = (
        config.hidden_size,
        config.embedding_size,
        config.intermediate_size,
        config.vocab_size,
    )
    backbone: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocab, embedding),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, embedding),
        "embeddings.LayerNorm.weight": (embedding,),
        "embeddings.LayerNorm.bias": (embedding,),
        "encoder.embed_positions.weight": (config.max_position_embeddings, hidden // config.num_attention_heads),
    }
    if embedding != hidden:
        backbone |= {"embeddings_project.weight": (hidden, embedding), "embeddings_project.bias": (hidden,)}
    for number in range(config.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for attention in ("attention", "crossattention") if config.add_cross_attention else ("attention",):
            for part in ("self.query", "self.key", "self.value", "output.dense"):
                backbone |= {f"{layer}.{attention}.{part}.weight": (hidden, hidden)}
                backbone |= {f"{layer}.{attention}.{part}.bias": (hidden,)}
            backbone |= {f"{layer}.{attention}.output.LayerNorm.{part}": (hidden,) for part in ("weight", "bias")}
        backbone |= {
            f"{layer}.intermediate.dense.weight": (inner, hidden),
            f"{layer}.intermediate.dense.bias": (inner,),
            f"{layer}.output.dense.weight": (hidden, inner),
            f"{layer}.output.dense.bias": (hidden,),
            f"{layer}.output.LayerNorm.weight": (hidden,),
            f"{layer}.output.LayerNorm.bias": (hidden,),
        }
    if head == "base":
        pooler = {"pooler.dense.weight": (hidden, hidden), "pooler.dense.bias": (hidden,)}
        return backbone | pooler if config.add_pooling_layer else backbone
    return {f"roformer.{name}": shape for name, shape in backbone.items()} | _head_shapes(config, head)


def _head_shapes(config: RoFormerConfig, head: str) -> dict[str, tuple[int, ...]]:
    hidden, embedding, vocab, labels = (
        config.hidden_size,
        config.embedding_size,
        config.vocab_size,
        config.num_labels,
    )
    if head in LANGUAGE_MODELS:
        tied = {
            "cls.predictions.transform.dense.weight": (embedding, hidden),
            "cls.predictions.transform.dense.bias": (embedding,),
            "cls.predictions.transform.LayerNorm.weight": (embedding,),
            "cls.predictions.transform.LayerNorm.bias": (embedding,),
            "cls.predictions.bias": (vocab,),
        }
        untied = {"cls.predictions.decoder.weight": (vocab, embedding), "cls.predictions.decoder.bias": (vocab,)}
        return tied if config.tie_word_embeddings else tied | untied
    if head == "sequence_classification":
        return {
            "classifier.dense.weight": (hidden, hidden),
            "classifier.dense.bias": (hidden,),
            "classifier.out_proj.weight": (labels, hidden),
            "classifier.out_proj.bias": (labels,),
        }
    outputs = {"token_classification": labels, "multiple_choice": 1, "question_answering": 2}[head]
    name = "qa_outputs" if head == "question_answering" else "classifier"
    return {f"{name}.weight": (outputs, hidden), f"{name}.bias": (outputs,)}


def sinusoids(positions: int, head_dim: int) -> np.ndarray:
    """The stored position table, (positions, head_dim): sines in the first half, cosines in the second."""
    angles = np.array([[p / 10000 ** (2 * i / head_dim) for i in range(head_dim // 2)] for p in range(positions)])
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).reshape(positions, head_dim)


def strong_weights(config: RoFormerConfig, head: str = "base", seed: int = 0) -> dict[str, np.ndarray]:
    """Float64 weights under their published names in which every tensor matters."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in published_shapes(config, head).items():
        if name.endswith("embed_positions.weight"):
            weights[name] = sinusoids(*shape)
        elif name.endswith("LayerNorm.weight"):
            weights[name] = generator.uniform(0.5, 1.5, shape)
        else:
            weights[name] = generator.normal(0.0, 0.3 if len(shape) == 2 else 0.5, shape)
    if "cls.predictions.decoder.bias" in weights:
        weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"]
    return weights


def lead_of(head: str, batch: int = BATCH, seq_len: int = SEQ_LEN, choices: int = CHOICES) -> tuple[int, ...]:
    """The shape of input_ids."""
    return (batch, choices, seq_len) if head == "multiple_choice" else (batch, seq_len)


def good_call(head: str, config: RoFormerConfig, seed: int = 0, **sizes: int) -> Call:
    """Keyword arguments that the model takes: ids, mask, token types and labels."""
    generator = np.random.default_rng(seed)
    lead = lead_of(head, **sizes)
    mask = generator.random(lead) < 0.8
    mask[..., 0] = True
    return {
        "input_ids": generator.integers(0, config.vocab_size, lead),
        "attention_mask": mask.astype(np.int64),
        "token_type_ids": generator.integers(0, config.type_vocab_size, lead),
        **good_labels(head, config, lead, generator),
    }


def good_labels(head: str, config: RoFormerConfig, lead: tuple[int, ...], generator: np.random.Generator) -> Call:
    """Labels in the shape and range that the head asks for."""
    batch = lead[0]
    if head == "base":
        return {}
    if head == "question_answering":
        return {name: generator.integers(0, lead[-1], batch) for name in ("start_positions", "end_positions")}
    if head == "multiple_choice":
        return {"labels": generator.integers(0, lead[1], batch)}
    if head == "sequence_classification":
        return {"labels": generator.integers(0, config.num_labels, batch)}
    classes = config.vocab_size if head in LANGUAGE_MODELS else config.num_labels
    return {"labels": generator.integers(0, classes, lead)}


def position_order(head: str) -> tuple[str, ...]:
    """The documented order of positional arguments."""
    labels = {"base": (), "question_answering": ("start_positions", "end_positions")}.get(head, ("labels",))
    return (
        *("input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds"),
        *("output_attentions", "output_hidden_states", "return_dict"),
        *labels,
        "training",
    )


def same(first: Any, second: Any) -> bool:
    """Whether two outputs are equal bit for bit: the same fields in the same order, shapes, types and bytes."""
    if isinstance(first, Mapping):
        return list(first) == list(second) and all(same(first[name], second[name]) for name in first)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()
    )
