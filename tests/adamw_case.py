"""Three updates of AdamW, and what PyTorch made of them."""

from __future__ import annotations

from typing import Any

CASE: dict[str, Any] = {
    "start": [1.0, -2.0, 0.5],
    "gradients": [[0.1, -0.3, 0.0], [0.2, 0.1, 1e-4], [-0.4, 0.0, 2.0]],
    "rates": [0.01, 0.02, 0.005],
    "betas": [0.8, 0.95],
    "eps": 1e-3,
    "weight_decay": 0.1,
}

# The parameter after each update, by torch.optim.AdamW of PyTorch 2.13 in float64 (tests/peers/adamw_peer.py).
PYTORCH = [
    [0.9890990099009901, -1.9880332225913622, 0.4995],
    [0.9677158445824149, -1.9770596528663271, 0.4974641399773411],
    [0.9685657696776486, -1.9747913906965124, 0.49375725826147226],
]
