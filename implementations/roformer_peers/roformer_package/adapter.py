"""The package `roformer` by the author of the transformers library's RoFormer, in PyTorch."""

import roformer

from ..transformers_torch import TorchAdapter


def Adapter() -> TorchAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of roformer 0.4.3, on the last transformers 4 that our other peers use."""
    # generation is written for a transformers of 2022 and works with no newer one; nothing promises it
    claims = {"head_mask": True, "pruning": True, "generation": False, "profile": "transformers-torch-4.37"}
    adapter = TorchAdapter("roformer_package", roformer, **claims)
    adapter.version = f"0.4.3 (transformers {adapter.version.replace(' (', ', ')}"
    return adapter
