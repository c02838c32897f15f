"""The command `roformer`: each command is a module that registers itself with `app`."""

from .app import app

__all__ = ["app"]
