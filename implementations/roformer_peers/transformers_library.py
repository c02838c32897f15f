"""What the adapters to the transformers library share, whatever framework and version: files and names."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

HEADS = {
    "base": "RoFormerModel",
    "masked_lm": "RoFormerForMaskedLM",
    "causal_lm": "RoFormerForCausalLM",
    "sequence_classification": "RoFormerForSequenceClassification",
    "token_classification": "RoFormerForTokenClassification",
    "multiple_choice": "RoFormerForMultipleChoice",
    "question_answering": "RoFormerForQuestionAnswering",
}


@contextmanager
def model_folder(config: Mapping[str, Any], weights: Mapping[str, Any]) -> Iterator[Path]:
    """A folder as users have it, config.json and model.safetensors: the library's own loading is part of the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps({"model_type": "roformer", **config}))
        save_file(dict(weights), folder / "model.safetensors", {"format": "pt"})
        yield folder


def called(model: Any, inputs: Mapping[str, Any], style: str, options: Mapping[str, Any]) -> Any:
    """The call in one of the styles; the framework's tensors are made by then."""
    if style == "single":
        rest = {name: value for name, value in inputs.items() if name != "input_ids"}
        return model(inputs["input_ids"], **rest, **options)
    if style == "dict":
        return model(dict(inputs), **options)
    return model(**inputs, **options)
