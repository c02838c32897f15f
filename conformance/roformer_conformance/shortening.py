"""Long messages of frameworks, cut to what a person reads; the JSON file and saved failures hold them whole.

TensorFlow and Keras put stack traces, the arguments of every layer and the names of compiled functions into the message
itself, so that the sentence which matters stands somewhere in fifty lines.
"""

from __future__ import annotations

import re

SHOWN_LINES, SHOWN_CHARACTERS = 12, 400

# Lines that tell where a framework was when it failed, and what it was called with.
_PLACE = re.compile(
    r"""\s*(File\ ".*",\ line\ \d+            # a frame; its source stands below, further in
        |Traceback\ \(most\ recent\ call\ last\)
        |in\ user\ code:
        |Detected\ at\ node
        |Stack\ trace\ for\ op\ definition
        |Call\ arguments\ received\ by\ (layer|TF)
        |•\ \S+=                              # one of these arguments
        |\[\[\{\{                             # the name of a node
        |\S*roformer_conformance/process/\S+:\d+\ in\   # where the suite waited for another process
        |[~^\s]*[~^][~^\s]*$)                # what underlines a part of the source""",
    re.VERBOSE,
)
_FRAME = re.compile(r'(\s*)File ".*", line \d+')
# Lines that only say that something follows.
_ANNOUNCES = re.compile(r"(Graph execution error|in user code|Exception encountered when calling .*)[:.]$")


def shortened(message: str) -> str:
    """The message without lines of foreign stack traces; of many lines the first and the last, and none too long."""
    kept = _useful(message)
    left_out = message.count("\n") + 1 - len(kept)
    if len(kept) > SHOWN_LINES:
        left_out += len(kept) - SHOWN_LINES
        kept = kept[: SHOWN_LINES - 3] + kept[-3:]
    told = [_cut(line) for line in kept]
    if left_out:
        told.append(f"[{left_out} lines are left out here; --json and --failures keep the whole message]")
    return "\n".join(told)


def headline(message: str) -> str:
    """The first line of a message; with the one below it where it only announces that."""
    lines = [_cut(line.strip()) for line in _useful(message) if line.strip()]
    told = lines[:2] if lines and _ANNOUNCES.search(lines[0]) else lines[:1]
    return " ".join(told)


def values(got: float, expected: float) -> str:
    """Two numbers in nine digits, all that float32 has; in all digits where nine do not tell them apart."""
    told = (f"{got:.9g}", f"{expected:.9g}")
    one, other = told if told[0] != told[1] else (repr(got), repr(expected))
    return f"got {one}, expected {other}"


def _useful(message: str) -> list[str]:
    lines = message.split("\n")
    return [line for line, is_place in zip(lines, _places(lines), strict=True) if not is_place]


def _places(lines: list[str]) -> list[bool]:
    """Which lines are part of a trace: the frames, the source below each, and empty lines among them."""
    found: list[bool] = []
    indent: int | None = None  # of the frame above, as long as its source goes on
    for line in lines:
        frame = _FRAME.match(line)
        source = indent is not None and line.strip() != "" and len(line) - len(line.lstrip()) > indent
        found.append(bool(frame or source or _PLACE.match(line)) or (not line.strip() and any(found[-1:])))
        indent = len(frame[1]) if frame else indent if source else None
    return found


def _cut(line: str) -> str:
    """A line of at most so many characters: its beginning, and its end where values often stand."""
    if len(line) <= SHOWN_CHARACTERS:
        return line
    return f"{line[: SHOWN_CHARACTERS * 3 // 4]} … {line[-SHOWN_CHARACTERS // 4 :]}"
