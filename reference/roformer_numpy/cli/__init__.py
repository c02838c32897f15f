"""The command `roformer`: each command is a module that registers itself with `app`."""

from . import (  # noqa: F401  (each registers its command)
    bench,
    conversion,
    embed,
    fill_mask,
    generate,
    inspection,
    train,
    warm_up,
)
from .app import app

__all__ = ["app"]
