"""A pickle looked through, not run: whether it says no more than the pickle of a state dict does.

The reader behind us resolves nothing but the names below, so that nothing foreign runs; this look goes first because
a pickle can also ask for gigabytes of memory, or set attributes on what it may name.
"""

from __future__ import annotations

import pickletools

# What `torch.save` writes for a mapping of names to tensors, and nothing else.
ALLOWED_GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        *(
            f"torch {kind}Storage"
            for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
        ),
    }
)
_CONTAINERS = frozenset({"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_ALLOWED_OPCODES = _CONTAINERS | {
    *("PROTO", "GLOBAL", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("SETITEM", "SETITEMS", "APPEND", "APPENDS", "REDUCE", "BINPERSID", "BUILD"),
}
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")


def refuse_unusual(content: bytes) -> None:
    """Refuse a pickle with a name, an instruction or a memo slot that no state dict has.

    Raises:
        ValueError: it has one, or is cut short.
    """
    latest, before = "", ""
    containers: set[object] = set()
    for opcode, argument, position in pickletools.genops(content):
        _refuse_instruction(opcode.name, argument, position or 0, len(content))
        if opcode.name in _GETS and argument in containers:
            # containers within containers by reference double at every level: a kilobyte can mean years of work
            raise ValueError(f"its pickle uses one container twice, at byte {position}, as no state dict does")
        if opcode.name in _PUTS:
            # what a call with fewer than three arguments makes is a dictionary, with more a tensor
            is_dictionary = latest == "REDUCE" and before not in ("TUPLE", "TUPLE3")
            (containers.add if latest in _CONTAINERS or is_dictionary else containers.discard)(argument)
        else:
            latest, before = opcode.name, latest


def _refuse_instruction(name: str, argument: object, position: int, size: int) -> None:
    if name not in _ALLOWED_OPCODES:
        raise ValueError(f"its pickle has the instruction {name} at byte {position}, as no state dict has")
    if name == "GLOBAL" and argument not in ALLOWED_GLOBALS:
        raise ValueError(f"its pickle names {str(argument).replace(' ', '.')!r}, as no state dict does")
    if name == "LONG_BINPUT" and int(str(argument)) > size:
        raise ValueError(f"its pickle asks for the memo slot {argument}, more than it has bytes")
