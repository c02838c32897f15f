"""The library's living line: head_mask is silently ignored and pruning is gone, so neither is claimed."""

from ..transformers_torch import TorchAdapter


def Adapter() -> TorchAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of transformers 5."""
    return TorchAdapter("transformers_pytorch_5", profile="transformers-torch-5")
