"""Implementations that run in a process of their own: any language, any environment, none of our imports.

    child      starts a process, watches its time, memory and prints, ends it with everything that it started
    frames     messages and answers as JSON lines, held to `messages.schema.json`
    arguments  arrays to and from safetensors files
    adapter    the process as an adapter
    rehearsal  whether a process speaks the protocol, before any mathematics

The other side, for adapters written in Python, is `roformer_conformance.kit`.
"""

from .adapter import ProcessAdapter
from .child import Limits

__all__ = ["Limits", "ProcessAdapter"]
