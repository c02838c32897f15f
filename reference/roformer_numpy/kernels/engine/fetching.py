"""Memory that is asked for before it is needed, where a processor does not see by itself what comes next."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .intrinsics import BYTE, INT32, POINTER, external
from .sums import place_of

FIRST_LEVEL, DATA = 3, 1


def fetch(builder: Any, address: Any, step: Any, writing: bool = False) -> None:
    """Ask for the cache line `step` numbers from `address` on; none need be there."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER, INT32, INT32, INT32])
    options = [ir.Constant(INT32, number) for number in (int(writing), FIRST_LEVEL, DATA)]
    builder.call(external(builder.module, kind, "llvm.prefetch.p0"), [place_of(builder, address, step, BYTE), *options])
