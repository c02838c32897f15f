"""What is looked at where implementations are known to differ: one function for each contested point."""

from . import attention, losses, outputs

__all__ = ["attention", "losses", "outputs"]
