"""What a type loses, layer by layer: the suite's legitimate runs beside PyTorch's own on the same weights.

    python benchmarks/error_growth.py --peer PATH_TO_PYTHON_WITH_TRANSFORMERS
    python benchmarks/error_growth.py --peer PATH_TO_PYTHON_WITH_TRANSFORMERS --dtype bfloat16

Prints relative root mean square errors against the float64 oracle at every hidden state and at the logits. The test
that bounds the budget (tests/conformance/test_budget.py) holds the numbers that this printed for PyTorch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from roformer_conformance.oracle import Oracle, schema
from roformer_conformance.precision import PRECISIONS
from roformer_conformance.weights import draw_weights

CONFIG = {
    "vocab_size": 200, "hidden_size": 384, "embedding_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12,
    "intermediate_size": 1536, "hidden_act": "gelu_new", "max_position_embeddings": 64,
}  # fmt: skip
TAPS = [f"hidden_states.{layer}" for layer in range(13)] + ["logits"]

PEER = """
import json, sys, torch
from safetensors.torch import load_file, save_file
from transformers import RoFormerConfig, RoFormerForMaskedLM
folder, dtype = sys.argv[1:]
torch.set_num_threads(1)
model = RoFormerForMaskedLM(RoFormerConfig(**json.load(open(folder + "/config.json")))).eval()
tensors = load_file(folder + "/weights.safetensors")
ids = tensors.pop("input_ids")
tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
assert not model.load_state_dict(tensors, strict=False).unexpected_keys
model.tie_weights()
model = model.to(getattr(torch, dtype))
with torch.no_grad():
    out = model(ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
named = {f"hidden_states.{i}": state.float().contiguous() for i, state in enumerate(out.hidden_states)}
save_file({**named, "logits": out.logits.float().contiguous()}, folder + "/outputs.safetensors")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="a Python interpreter that has torch and transformers")
    parser.add_argument("--dtype", choices=list(PRECISIONS), default="float32")
    options = parser.parse_args()
    dtype = options.dtype
    for profile in ("strong", "hf_init"):
        weights = draw_weights(schema(CONFIG, "masked_lm"), profile, 0, dtype)
        inputs = {"input_ids": np.random.default_rng(0).integers(0, CONFIG["vocab_size"], (1, 24))}
        oracle = Oracle("masked_lm", CONFIG, weights)
        exact = oracle.run(inputs, {"output_hidden_states": True})
        runs = oracle.legitimate_runs(inputs, {"output_hidden_states": True}, dtype)
        torch = peer_outputs(options.peer, weights, inputs["input_ids"], dtype)
        print(f"{profile} weights in {dtype}\n{'':18}{'legitimate runs, S':>20}{'PyTorch':>12}{'S / PyTorch':>14}")
        for tap in TAPS:
            spread = float(np.quantile([relative(run[tap], exact[tap]) for run in runs], 0.95))
            error = relative(torch[tap], exact[tap])
            print(f"{tap:18}{spread:20.2g}{error:12.2g}{spread / error:14.2f}")


def peer_outputs(peer: str, weights: dict[str, np.ndarray], ids: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """What the transformers library computes in `dtype` from these weights, whose values it holds."""
    with tempfile.TemporaryDirectory() as folder:
        given = {name: array.astype(PRECISIONS[dtype].sums) for name, array in weights.items()}
        save_file({**given, "input_ids": ids}, f"{folder}/weights.safetensors")
        Path(folder, "config.json").write_text(json.dumps(CONFIG))
        subprocess.run([peer, "-c", PEER, folder, dtype], check=True)
        return load_file(f"{folder}/outputs.safetensors")


def relative(got: np.ndarray, exact: np.ndarray) -> float:
    """The root mean square error in units of the exact value's root mean square."""
    return float(np.sqrt(np.mean((got.astype(np.float64) - exact) ** 2)) / np.sqrt(np.mean(exact**2)))


if __name__ == "__main__":
    main()
