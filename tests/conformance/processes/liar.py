"""Breaks the protocol in the way that its argument names, without the kit: python liar.py FAULT."""

import json
import os
import sys
from pathlib import Path

fault = sys.argv[1]
incoming, outgoing = (int(number) for number in os.environ["ROFORMER_CONFORMANCE_DESCRIPTORS"].split(","))
ANSWERS = {
    "garbage": b"this is no JSON\n",
    "array": b"[1, 2]\n",
    "neither": b'{"id": 1}\n',
    "both": b'{"id": 1, "done": true, "unsupported": "that"}\n',
    "wrong-id": b'{"id": 99, "done": true}\n',
    "endless": b"x" * 2**21,
    "deep": b"[" * 100_000 + b"\n",
}
HELLO = {"name": "liar", "version": "1", "capabilities": {"heads": ["base"]}}
if fault == "claims":
    HELLO["capabilities"]["output_objects"] = True
with os.fdopen(incoming, "rb") as messages, os.fdopen(outgoing, "wb", buffering=0) as answers:
    for line in messages:
        message = json.loads(line)
        if message["command"] == "start":
            folder = Path(message["folder"])
            hello = b"hello\n" if fault == "hello" else json.dumps({"protocol": 1, "implementation": HELLO}).encode()
            answers.write(hello.strip() + b"\n")
        elif message["command"] == "stop":
            sys.exit(5)
        elif fault in ANSWERS:
            answers.write(ANSWERS[fault])
        elif message["command"] != "call":
            answers.write(json.dumps({"id": message["id"], "done": True}).encode() + b"\n")
        else:
            name = {"escapes": "../secret.safetensors", "link": "link", "no-file": "none", "no-tensors": "text"}[fault]
            (folder / "text").write_bytes(b"no tensors")
            if not (folder / "link").is_symlink():
                (folder / "link").symlink_to(__file__)
            answers.write(json.dumps({"id": message["id"], "outputs": name}).encode() + b"\n")
