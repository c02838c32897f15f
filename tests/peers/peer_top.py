"""Runs in an interpreter that has transformers, and nothing of ours: python peer_top.py MODEL LINES OUT FRAMEWORK.

FRAMEWORK is torch or tensorflow. For every line its own tokens, and the six highest logits of its mask: ids
(lines, 6), logits (lines, 6).
"""

import json
import sys
from pathlib import Path

import numpy as np
import transformers

folder, lines, out, framework = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
texts = [line.split("\t")[0] for line in lines.read_text(encoding="utf-8").splitlines()]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
encoded = tokenizer(texts, padding=True, return_tensors="np")

if framework == "torch":
    import torch

    model, info = transformers.RoFormerForMaskedLM.from_pretrained(folder, output_loading_info=True)
    with torch.no_grad():
        given = {name: torch.from_numpy(np.asarray(array)) for name, array in encoded.items()}
        logits = model.eval()(**given).logits.numpy()
else:
    model, info = transformers.TFRoFormerForMaskedLM.from_pretrained(folder, output_loading_info=True)
    logits = model(dict(encoded)).logits.numpy()

masked = encoded["input_ids"] == tokenizer.mask_token_id
assert (masked.sum(axis=1) == 1).all()
best = np.argsort(-logits[masked], axis=1)[:, :6]
result = {
    "version": transformers.__version__,
    "dtype": str(logits.dtype),
    "loading": {key: sorted(map(str, value)) for key, value in info.items()},
    "input_ids": [
        row[keep.astype(bool)].tolist()
        for row, keep in zip(encoded["input_ids"], encoded["attention_mask"], strict=True)
    ],
    "ids": best.tolist(),
    "logits": np.take_along_axis(logits[masked], best, axis=1).tolist(),
}
out.write_text(json.dumps(result))
