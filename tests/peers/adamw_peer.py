"""Runs in an interpreter that has torch, and nothing of ours: prints what torch.optim.AdamW makes of a parameter.

python adamw_peer.py < JSON of {"start", "gradients", "rates", "betas", "eps", "weight_decay"}
"""

import json
import sys

import torch

given = json.load(sys.stdin)
parameter = torch.nn.Parameter(torch.tensor(given["start"], dtype=torch.float64))
optimizer = torch.optim.AdamW(
    [parameter], betas=given["betas"], eps=given["eps"], weight_decay=given["weight_decay"], foreach=False
)
after = []
for gradient, rate in zip(given["gradients"], given["rates"], strict=True):
    optimizer.param_groups[0]["lr"] = rate
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
    after.append(parameter.tolist())
print(json.dumps(after))
