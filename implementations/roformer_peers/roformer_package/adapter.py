"""The package `roformer` by the author of the transformers library's RoFormer, in PyTorch."""

from __future__ import annotations

from typing import Any

import roformer

from ..transformers_torch import TorchAdapter


class Adapter(TorchAdapter):
    """The adapter of roformer 0.4.3, on the last transformers 4 that our other peers use."""

    def __init__(self) -> None:
        # generation is written for a transformers of 2022 and works with no newer one; nothing promises it
        claims = {"head_mask": True, "pruning": True, "generation": False}
        super().__init__("roformer_package", roformer, **claims)
        self.version = f"0.4.3 (transformers {TorchAdapter.version.replace(' (', ', ')}"

    def switches(self, head: str, path: Any) -> dict[str, Any]:
        """The pooler of the base model is there, and off unless the model is made with it."""
        if head != "base":
            return {}
        config = roformer.RoFormerConfig.from_pretrained(path)
        return {"config": config, "add_pooling_layer": getattr(config, "add_pooling_layer", True)}
