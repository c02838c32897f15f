"""The command `roformer`: each command is a module that registers itself with `app`."""

from . import bench, conversion, embed, fill_mask, generate, inspection, warm_up  # noqa: F401  (each registers its command)
from .app import app

__all__ = ["app"]
