"""Makes ONNX files of a checkpoint with the transformers library's own RoFormer; runs in that library's environment.

    python exporting.py TARGET [CHECKPOINT]

TARGET gets a folder `checkpoint` and HEAD.onnx for every head that it holds whole. A file takes input_ids,
attention_mask and token_type_ids as int64, batch and length free, and returns the head's output, hidden_states.N and
attentions.N. Without CHECKPOINT, a small one is drawn whose every tensor matters.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

CONFIG = {
    "vocab_size": 61, "embedding_size": 22, "hidden_size": 30, "num_attention_heads": 3, "num_hidden_layers": 3,
    "intermediate_size": 47, "type_vocab_size": 7, "max_position_embeddings": 200, "num_labels": 5,
}  # fmt: skip
HEADS = {
    "base": ("RoFormerModel", ("last_hidden_state",)),
    "masked_lm": ("RoFormerForMaskedLM", ("logits",)),
    "sequence_classification": ("RoFormerForSequenceClassification", ("logits",)),
    "token_classification": ("RoFormerForTokenClassification", ("logits",)),
    "question_answering": ("RoFormerForQuestionAnswering", ("start_logits", "end_logits")),
}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Graph(torch.nn.Module):
    """A model as a function of three tensors, with everything that can be seen of it."""

    def __init__(self, model: Any, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> tuple[Any, ...]:
        """The head's outputs, then hidden_states, then attentions."""
        given = (input_ids, attention_mask, token_type_ids)
        got = self.model(
            **dict(zip(INPUTS, given, strict=True)), output_hidden_states=True, output_attentions=True, return_dict=True
        )
        return (*(got[name] for name in self.outputs), *got.hidden_states, *got.attentions)


def draw_checkpoint(folder: Path) -> None:
    """A checkpoint of every head over one backbone, its weights large enough for every mistake to show."""
    torch.manual_seed(0)
    config = transformers.RoFormerConfig(**CONFIG, architectures=["RoFormerForMaskedLM"])
    drawn: dict[str, Any] = {}
    for name, _ in list(HEADS.values())[1:]:
        # a copy, because the model for question answering sets num_labels of the configuration that it is given
        for key, tensor in getattr(transformers, name)(copy.deepcopy(config)).state_dict().items():
            drawn.setdefault(key, _drawn(key, tensor))
    drawn["cls.predictions.decoder.weight"] = drawn["roformer.embeddings.word_embeddings.weight"].clone()
    drawn["cls.predictions.decoder.bias"] = drawn["cls.predictions.bias"].clone()
    config.save_pretrained(folder)
    save_file(drawn, folder / "model.safetensors", {"format": "pt"})


def _drawn(key: str, tensor: torch.Tensor) -> torch.Tensor:
    if "embed_positions" in key:
        return tensor.detach().clone()
    if "LayerNorm.weight" in key:
        return 1.0 + 0.2 * torch.randn_like(tensor)
    if key.endswith("bias"):
        return 0.1 * torch.randn_like(tensor)
    return torch.randn_like(tensor) * (0.5 if "embeddings" in key else 1.2 / tensor.shape[-1] ** 0.5)


def heads_of(folder: Path) -> list[str]:
    """The heads whose every tensor is in the checkpoint."""
    config, held = transformers.RoFormerConfig.from_pretrained(folder), load_file(folder / "model.safetensors").keys()
    derived = ("embed_positions", "cls.predictions.decoder")  # computed, or tied
    whole = []
    for head, (name, _) in HEADS.items():
        with torch.device("meta"):
            needed = getattr(transformers, name)(copy.deepcopy(config)).state_dict()
        prefix = "roformer." if head == "base" and any(key.startswith("roformer.") for key in held) else ""
        if all(f"{prefix}{key}" in held or any(part in key for part in derived) for key in needed):
            whole.append(head)
    return whole


def export(head: str, folder: Path, target: Path) -> None:
    """Write the model called `head` to the file `target`."""
    name, outputs = HEADS[head]
    model = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
    layers = model.config.num_hidden_layers
    states = [f"hidden_states.{number}" for number in range(layers + 1)]
    # three tensors of their own: one object given twice is one input to the exporter, and the file reads it twice
    samples = tuple(torch.ones(2, 7, dtype=torch.int64) for _ in INPUTS)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    torch.onnx.export(
        Graph(model, outputs),
        samples,
        str(target),
        input_names=list(INPUTS),
        output_names=[*outputs, *states, *(f"attentions.{number}" for number in range(layers))],
        dynamic_shapes={name: {0: batch, 1: length} for name in INPUTS},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def main(target: str, checkpoint: str | None = None) -> None:
    """Fill the folder `target`."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    folder = Path(target) / "checkpoint"
    folder.mkdir(parents=True)
    if checkpoint is None:
        draw_checkpoint(folder)
    else:
        for name in ("config.json", "model.safetensors"):
            shutil.copy(Path(checkpoint) / name, folder / name)
    for head in heads_of(folder):
        export(head, folder, Path(target) / f"{head}.onnx")
        print(f"exported {head}", flush=True)
    about = {"library": f"transformers {transformers.__version__}, PyTorch {torch.__version__.partition('+')[0]}"}
    (Path(target) / "about.json").write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
