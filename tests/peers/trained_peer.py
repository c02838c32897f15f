"""Runs in an interpreter that has transformers and PyTorch, and nothing of ours.

python trained_peer.py FOLDER CLASS OUT

Loads a folder that `roformer train` wrote and says what it found: loading, labels, tokens of a text, logits.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

folder, name, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
encoded = transformers.AutoTokenizer.from_pretrained(folder)("床前明月光", return_tensors="pt")
with torch.no_grad():
    logits = model.eval()(**encoded).logits
found = {
    "loading": {key: sorted(map(str, value)) for key, value in info.items() if value},
    "labels": {str(number): label for number, label in model.config.id2label.items()},
    "input_ids": encoded["input_ids"].tolist(),
    "logits": logits.tolist(),
}
out.write_text(json.dumps(found))
