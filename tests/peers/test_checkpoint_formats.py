"""Every format of transformers 4.37 is read here as it is read there, and ours there; so are the originals (LIFE-4).

One run of the library's interpreter writes all folders. Weights must be the same numbers exactly; outputs in double
precision agree in the last bits, those of its TensorFlow models, which compute in float32, to float32's budget.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from roformer_numpy.checkpoints import convert_folder, read_tensors

from ..conftest import PEERS
from ..support import CLASSES, HEADS, MODELS, SIZES, good_call, strong_weights
from ..support import config_of as small

VARIABLE = PEERS["transformers 4.37"]
pytestmark = pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} is not set")

DOUBLE = 1e-11  # float64 through two layers, on values of order 1 to 10
SINGLE = 5e-6  # float32 through two layers, on values of order 1 to 10: some forty units in the last place of 1
ROOT = Path(__file__).parents[2]
PYTORCH_FORMATS = ("bin", "bin-shards")
TENSORFLOW_FORMATS = ("h5", "h5-shards", "keras")
FIELDS = [name for name in SIZES if name != "num_labels"]
ENCODERS = [head for head in HEADS if head != "causal_lm"]  # their TensorFlow causal model sees the future


def config_of(head: str, **changes: Any) -> Any:
    """The small configuration; TensorFlow's question answering takes two labels and no other number."""
    labels = {"num_labels": 2} if head == "question_answering" else {}
    return small(is_decoder=head == "causal_lm", add_pooling_layer=False, **labels, **changes)


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the library wrote and what it said, after one run of its interpreter."""
    root, jobs = tmp_path_factory.mktemp("formats"), {}
    for head in HEADS:
        config = config_of(head)
        write_inputs(root / f"{head}.inputs", head, config)
        ours = MODELS[head].from_weights(config, strong_weights(config, head))
        ours.save_pretrained(root / f"{head}-ours")
        steps = ["save_pytorch", "save_tensorflow", "load_ours"]
        jobs[head] = {"class": CLASSES[head], "config": described(config), "steps": steps}
    square = config_of("masked_lm", embedding_size=SIZES["hidden_size"])
    write_inputs(root / "square.inputs", "masked_lm", square)
    jobs["square"] = {"class": CLASSES["masked_lm"], "config": described(square), "steps": ["save_original"]}
    (root / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    finished = subprocess.run(
        [os.environ[VARIABLE], str(Path(__file__).with_name("checkpoint_peer.py")), str(root)],
        capture_output=True,
        text=True,
        timeout=280,
        env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
             "USE_FLAX": "0", "HOME": str(root)},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    return root


def described(config: Any) -> dict[str, Any]:
    """The fields that the library is told."""
    given = {name: getattr(config, name) for name in FIELDS}
    return {**given, "is_decoder": config.is_decoder, "id2label": config.id2label, "label2id": config.label2id}


def write_inputs(path: Path, head: str, config: Any) -> None:
    """A padded batch without labels."""
    call = {name: value for name, value in good_call(head, config, seed=1).items() if "label" not in name}
    kept = {name: np.ascontiguousarray(value) for name, value in call.items() if "positions" not in name}
    save_file(kept, path)


def ours(head: str, folder: Path, inputs: Path, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Our outputs by name, hidden states by number."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pooler_output will be None")
        model = MODELS[head].from_pretrained(folder, dtype=dtype, components="equations")
    quiet = {"use_cache": False} if head in ("base", "causal_lm") else {}
    out = model(**load_file(inputs), output_hidden_states=True, **quiet)
    flat = {name: value for name, value in out.items() if isinstance(value, np.ndarray)}
    return flat | {f"hidden_states.{number}": part for number, part in enumerate(out.hidden_states)}


def largest_difference(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """Over all outputs, which must have the same names."""
    assert mine.keys() == theirs.keys()
    return max(float(np.abs(mine[name] - theirs[name]).max()) for name in theirs)


def same_weights(tensors: dict[str, np.ndarray], state: dict[str, np.ndarray]) -> bool:
    """Whether every tensor is the same, apart from copies of tied ones; TensorFlow's base models have a prefix too."""
    is_bare = "embeddings.LayerNorm.bias" in state
    kept = {name: array for name, array in tensors.items() if ".decoder." not in name}
    kept = {name.removeprefix("roformer.") if is_bare else name: array for name, array in kept.items()}
    assert kept.keys() == state.keys()
    return all(np.array_equal(kept[name], state[name]) for name in state)


@pytest.mark.parametrize("form", PYTORCH_FORMATS)
@pytest.mark.parametrize("head", HEADS)
def test_their_bin_is_read_here(exchange: Path, head: str, form: str, record_property: Any) -> None:
    """Whole and in shards, with a transposed tensor in it: the same weights, and the same numbers in float64."""
    folder = exchange / f"{head}-{form}"
    assert not list(folder.glob("*.safetensors"))
    assert len(list(folder.glob("pytorch_model*.bin"))) == 1 or form == "bin-shards"
    assert same_weights(read_tensors(folder), load_file(exchange / f"{head}-bin.state"))
    theirs = load_file(exchange / f"{head}-bin.outputs")
    difference = largest_difference(ours(head, folder, exchange / f"{head}.inputs"), theirs)
    record_property("largest difference", ("transformers 4.37", form, head, "", difference))
    assert difference <= DOUBLE


@pytest.mark.parametrize("head", HEADS)
def test_their_bfloat16_is_read_here(exchange: Path, head: str) -> None:
    """Every tensor has the two bytes a number that were stored."""
    tensors = read_tensors(exchange / f"{head}-bfloat16")
    assert {array.dtype for array in tensors.values()} == {np.dtype(ml_dtypes.bfloat16)}
    widened = {name: array.astype(np.float32) for name, array in tensors.items()}
    assert same_weights(widened, load_file(exchange / f"{head}-bfloat16.state"))


@pytest.mark.parametrize("form", TENSORFLOW_FORMATS)
@pytest.mark.parametrize("head", HEADS)
def test_their_tensorflow_files_hold_what_their_pytorch_makes_of_them(exchange: Path, head: str, form: str) -> None:
    """h5, h5 in shards and safetensors: tensor by tensor the weights of the library's own crossing to PyTorch."""
    tensors = read_tensors(exchange / f"{head}-{form}")
    state = load_file(exchange / f"{head}-h5.state")
    assert same_weights(tensors, state)


@pytest.mark.parametrize("head", ENCODERS)
def test_their_tensorflow_model_means_the_same_numbers_here(exchange: Path, head: str, record_property: Any) -> None:
    """What their model computed before it was saved, to float32's budget."""
    theirs = load_file(exchange / f"{head}-h5.outputs")
    difference = largest_difference(ours(head, exchange / f"{head}-h5", exchange / f"{head}.inputs"), theirs)
    record_property("largest difference", ("transformers 4.37 TensorFlow", "theirs here", head, "", difference))
    assert difference <= SINGLE


@pytest.mark.parametrize("head", ENCODERS)
def test_our_folder_means_the_same_numbers_in_their_tensorflow(exchange: Path, head: str, record_property: Any) -> None:
    """Our safetensors in their TensorFlow model: no key missing, the same numbers to float32's budget."""
    loading = json.loads((exchange / f"{head}-ours.json").read_text(encoding="utf-8"))
    assert {key: value for key, value in loading.items() if value} == {}
    theirs = load_file(exchange / f"{head}-ours.outputs")
    difference = largest_difference(ours(head, exchange / f"{head}-ours", exchange / f"{head}.inputs"), theirs)
    record_property("largest difference", ("transformers 4.37 TensorFlow", "ours there", head, "", difference))
    assert difference <= SINGLE


def test_an_original_checkpoint_means_what_their_own_conversion_makes_of_it(
    exchange: Path, tmp_path: Path, record_property: Any
) -> None:
    """Read directly and converted to a folder, logits and hidden states are those of load_tf_weights_in_roformer."""
    folder, theirs = exchange / "square-original", load_file(exchange / "square-original.outputs")
    written = convert_folder(folder, tmp_path / "converted")
    assert (written.format, written.head, written.left_out) == ("tensorflow1", "masked_lm", [])
    for path in (folder, tmp_path / "converted"):
        difference = largest_difference(ours("masked_lm", path, exchange / "square.inputs"), theirs)
        record_property("largest difference", ("transformers 4.37", "original", "masked_lm", "", difference))
        assert difference <= DOUBLE


READ_WITH_TORCH = """
import sys, numpy, torch
sys.path += {paths!r}
sys.modules["ptloader"] = None
from pathlib import Path
from safetensors.numpy import save_file
from roformer_numpy.checkpoints import read_tensors
found = read_tensors({folder!r})
save_file({{name: numpy.ascontiguousarray(array) for name, array in found.items()}}, {target!r})
"""


@pytest.mark.parametrize("form", ["bin", "legacy"])
@pytest.mark.skipif(not os.environ.get(PEERS["transformers 5"]), reason="no interpreter with PyTorch and NumPy 2")
def test_pytorch_itself_reads_where_ptloader_cannot(exchange: Path, tmp_path: Path, form: str) -> None:
    """Without ptloader, and for the format of before 2020, torch.load with weights_only gives the same weights."""
    target = tmp_path / "found.safetensors"
    finished = read_with_torch(exchange / f"masked_lm-{form}", target)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert same_weights(load_file(target), load_file(exchange / "masked_lm-bin.state"))


@pytest.mark.skipif(not os.environ.get(PEERS["transformers 5"]), reason="no interpreter with PyTorch and NumPy 2")
def test_pytorch_itself_never_runs_what_a_file_says(tmp_path: Path) -> None:
    """A pickle of the older format that calls os.system is refused in our words, and nothing is called."""
    witness = tmp_path / "witness"
    argument = f"touch {witness}".encode()
    content = b"\x80\x02cos\nsystem\n(X" + len(argument).to_bytes(4, "little") + argument + b"tR."
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    finished = read_with_torch(tmp_path, tmp_path / "found.safetensors")
    assert finished.returncode == 1
    assert "CheckpointError: pytorch_model.bin cannot be read as weights of PyTorch" in finished.stderr
    assert not witness.exists()


def read_with_torch(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Our reader in an interpreter that has PyTorch and not ptloader."""
    paths = [str(ROOT / "reference"), next(path for path in sys.path if path.endswith("site-packages"))]
    code = READ_WITH_TORCH.format(paths=paths, folder=str(folder), target=str(target))
    command = [os.environ[PEERS["transformers 5"]], "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
