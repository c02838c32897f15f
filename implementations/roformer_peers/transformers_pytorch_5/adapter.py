"""The library's living line: head_mask is silently ignored and pruning is gone, so neither is claimed."""

from ..transformers_torch import TorchAdapter


def Adapter() -> TorchAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of transformers 5."""
    return TorchAdapter("transformers_pytorch_5", profile="transformers-torch-5")


def ClaimingHeadMask() -> TorchAdapter:  # noqa: N802 # asked for as adapter.py:ClaimingHeadMask
    """The same for users of version 4, who pass head_mask: it is no argument any more, and no error either."""
    return TorchAdapter("transformers_pytorch_5", head_mask=True, profile="transformers-torch-5")


def InBfloat16() -> TorchAdapter:  # noqa: N802 # asked for as adapter.py:InBfloat16
    """The same in bfloat16, loaded as that type."""
    return TorchAdapter("transformers_pytorch_5", dtypes=("bfloat16",), profile="transformers-torch-5")


def InFloat16() -> TorchAdapter:  # noqa: N802 # asked for as adapter.py:InFloat16
    """The same in float16, loaded as that type."""
    return TorchAdapter("transformers_pytorch_5", dtypes=("float16",), profile="transformers-torch-5")
