"""Runs in an interpreter that has transformers and PyTorch, and nothing of ours: python peer.py FOLDER.

FOLDER/jobs.json is a list of jobs. A job loads the model folder that somebody else wrote, or writes one of its own;
either way it calls the model in double precision and writes what came out beside its folder.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

DTYPE = "torch_dtype" if transformers.__version__.startswith("4.") else "dtype"


def run(job, root):
    """One job: a model, its outputs, and what its loading had to say."""
    folder = root / job["folder"]
    model_class = getattr(transformers, job["class"])
    if job["kind"] == "load":
        options = {DTYPE: torch.float64, "output_loading_info": True}
        model, info = model_class.from_pretrained(folder, **options)
    else:
        model, info = fresh(model_class, job), {}
        model.save_pretrained(folder, safe_serialization=True, max_shard_size=job["max_shard_size"])
    widen_positions(model)
    inputs = {name: torch.from_numpy(array) for name, array in load_file(root / job["inputs"]).items()}
    with torch.no_grad():
        outputs = model.eval()(**inputs, output_hidden_states=True, output_attentions=True)
    save_file(arrays(outputs), root / f"{job['name']}.outputs.safetensors")
    config = model.config
    described = {
        "loading": {key: sorted(map(str, info.get(key) or [])) for key in LOADING_KEYS},
        "config": {name: getattr(config, name) for name in job["fields"] if hasattr(config, name)},
        "num_labels": config.num_labels,
        "id2label": {str(number): name for number, name in config.id2label.items()},
        "label2id": config.label2id,
    }
    (root / f"{job['name']}.json").write_text(json.dumps(described))


LOADING_KEYS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def fresh(model_class, job):
    """A model of its own with strong random weights in double precision."""
    config = transformers.RoFormerConfig(**job["config"])
    torch.manual_seed(0)
    model = model_class(config).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                spread = 0.3 if parameter.ndim == 2 else 0.5
                centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
                parameter.copy_(centre + spread * torch.randn(parameter.shape, dtype=torch.float64))
    model.tie_weights()
    return model


def widen_positions(model):
    """The table of sines and cosines in double precision: what is stored was rounded to float32."""
    backbone = getattr(model, "roformer", model)
    table = backbone.encoder.embed_positions.weight
    positions, width = table.shape
    angles = np.arange(positions)[:, None] / 10000.0 ** (2.0 * np.arange(width // 2) / width)
    with torch.no_grad():
        table.copy_(torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1)))


def arrays(outputs):
    """Every tensor of the outputs by name; of tuples, by name and number."""
    flat = {}
    for name, value in outputs.items():
        if isinstance(value, torch.Tensor):
            flat[name] = np.ascontiguousarray(value.numpy())
        elif name in ("hidden_states", "attentions", "cross_attentions"):
            flat |= {f"{name}.{number}": np.ascontiguousarray(part.numpy()) for number, part in enumerate(value)}
    return flat


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for job in json.loads((root / "jobs.json").read_text()):
        try:
            run(job, root)
        except Exception as error:
            (root / f"{job['name']}.json").write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
    (root / "version.txt").write_text(transformers.__version__)
