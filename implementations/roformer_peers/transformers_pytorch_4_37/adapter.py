"""The version that still had TensorFlow beside it; head_mask and pruning work."""

from ..transformers_torch import TorchAdapter


def Adapter() -> TorchAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of transformers 4.37."""
    return TorchAdapter("transformers_pytorch_4_37", head_mask=True, pruning=True, profile="transformers-torch-4.37")
