"""Who can be asked, what each needs, and which of the Pythons given has it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import InputError

PACKAGES = ("numpy", "torch", "transformers", "onnxruntime", "openvino", "tensorflow")
PROBE = f"""
import importlib.metadata as m, json
found = {{}}
for name in {PACKAGES}:
    for package in (name, name + "-cpu"):
        try:
            found.setdefault(name, m.version(package))
        except m.PackageNotFoundError:
            pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Competitor:
    """Somebody who computes the same."""

    name: str
    module: str  # in peer_side
    kind: str
    needs: tuple[str, ...] = ()  # packages; none: our own Python
    float32: bool = True  # whether it must agree to float32's accuracy
    is_limit: bool = False  # computes less than the model: nobody's result
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


ENGINE = Competitor("engine", "with_engine", "kernels")
ENGINE_BFLOAT16 = Competitor("engine bfloat16", "with_engine", "bfloat16", float32=False)
COMPONENTS = Competitor("components", "with_engine", "kernels", environment={"ROFORMER_INSTRUCTION_SET": "none"})
EQUATIONS = Competitor("NumPy equations", "with_engine", "equations")
PRODUCTS = Competitor("products alone (G)", "products", "", ("numpy",), is_limit=True)
TORCH = ("torch", "transformers")
EAGER = Competitor("PyTorch eager", "with_pytorch", "eager", TORCH)
COMPILE = Competitor("torch.compile", "with_pytorch", "compile", TORCH)
FREEZING = Competitor("torch.compile, freezing", "with_pytorch", "compile freezing", TORCH)
AUTOTUNE = Competitor("torch.compile, freezing, autotune", "with_pytorch", "compile freezing autotune", TORCH)
ONNX = Competitor("ONNX Runtime", "with_onnx_runtime", "", ("onnxruntime",))
OPENVINO_F32 = Competitor("OpenVINO f32", "with_openvino", "f32", ("openvino",))
OPENVINO = Competitor("OpenVINO default", "with_openvino", "default", ("openvino",), float32=False)
TF_GRAPH = Competitor("TensorFlow graph", "with_tensorflow", "graph", ("tensorflow", "transformers"))
TF_XLA = Competitor("TensorFlow XLA", "with_tensorflow", "xla", ("tensorflow", "transformers"))

OURS = (ENGINE, ENGINE_BFLOAT16, COMPONENTS, EQUATIONS)
PEERS = (PRODUCTS, EAGER, COMPILE, FREEZING, ONNX, OPENVINO_F32, OPENVINO, TF_GRAPH, TF_XLA)
EVERYBODY = (*OURS, *PEERS, AUTOTUNE)


@dataclass(frozen=True)
class Python:
    """An interpreter and the versions of what it has of PACKAGES."""

    path: str
    versions: Mapping[str, str]

    def serves(self, competitor: Competitor) -> bool:
        """Whether everything is there; TensorFlow's RoFormer left transformers with version 5."""
        has_all = all(package in self.versions for package in competitor.needs)
        tensorflow = competitor.module == "with_tensorflow"
        return has_all and not (tensorflow and int(self.versions["transformers"].split(".")[0]) >= 5)


def probed(path: str) -> Python:
    """What an interpreter has.

    Raises:
        InputError: it is none, or does not answer.
    """
    try:
        answer = subprocess.run([path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60, check=True)
        return Python(path, json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"peers: {path!r} is no Python that answers: {error}") from error


def python_for(competitor: Competitor, peers: Sequence[Python]) -> str | None:
    """The first interpreter that has what the competitor needs; None where none has."""
    if not competitor.needs:
        return sys.executable
    fallback = sys.executable if competitor.needs == ("numpy",) else None
    return next((python.path for python in peers if python.serves(competitor)), fallback)


def reason_for(competitor: Competitor, peers: Sequence[Python]) -> str:
    """Why nobody can run it, for the account."""
    needed = " and ".join(competitor.needs) + (" before 5" if competitor.module == "with_tensorflow" else "")
    return f"none of the Pythons given has {needed}" if peers else "no Python was given for it (--peers)"


def named(names: str) -> list[Competitor]:
    """The competitors that a list such as `engine; ONNX` names: by name, or by a part of it that nobody else has.

    Raises:
        InputError: a name that is nobody's, or several's.
    """
    return [_one(name.strip()) for name in names.split(";")]


def _one(name: str) -> Competitor:
    exact = [one for one in EVERYBODY if one.name.lower() == name.lower()]
    alike = exact or [one for one in EVERYBODY if name and name.lower() in one.name.lower()]
    if len(alike) != 1:
        allowed = "; ".join(one.name for one in EVERYBODY)
        raise InputError(f"competitors: {name!r} names {len(alike)} of them, expected one of: {allowed}")
    return alike[0]
