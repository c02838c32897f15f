"""Runs in an interpreter that has transformers and PyTorch, and nothing of ours: python peer_writes.py MODEL LINES OUT.

For every line its own tokens without the last, which is [SEP]; the six highest logits of each position, ids and logits
(positions, 6); and what greedy `generate` adds to the line's first clause, cache on and off.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

folder, lines, out = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
model, info = transformers.RoFormerForCausalLM.from_pretrained(folder, output_loading_info=True)
model, tokenizer = model.eval(), transformers.AutoTokenizer.from_pretrained(folder)
found = []
for line in lines.read_text(encoding="utf-8").splitlines():
    ids = tokenizer(line)["input_ids"][:-1]
    beginning = tokenizer(re.match(r".*?[，？！；]", line)[0])["input_ids"][:-1]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()
        written = [
            model.generate(
                torch.tensor([beginning]),
                attention_mask=torch.ones(1, len(beginning), dtype=torch.long),
                do_sample=False,
                max_new_tokens=12,
                use_cache=use_cache,
            )[0].tolist()
            for use_cache in (True, False)
        ]
    best = np.argsort(-logits, axis=1)[:, :6]
    found.append(
        {
            "input_ids": ids,
            "best": best.tolist(),
            "logits": np.take_along_axis(logits, best, axis=1).tolist(),
            "written": written,
        }
    )
result = {
    "version": transformers.__version__,
    "dtype": str(logits.dtype),
    "loading": {key: sorted(map(str, value)) for key, value in info.items()},
    "lines": found,
}
out.write_text(json.dumps(result))
