"""What a call needs while it lasts: a fixed number of arrays as long as its tokens are many, and blocks of rows."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerModel
from roformer_numpy.kernels.engine.attention import KEYS, QUERIES
from roformer_numpy.kernels.engine.call import ARRAYS
from roformer_numpy.kernels.engine.factors import KINDS, is_narrow
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET, LANES, LINE, PANEL
from roformer_numpy.kernels.engine.model import BLOCK_ROWS, COLUMN_TOKENS, _size, _widths
from roformer_numpy.kernels.engine.panels import panels_for

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

# A layer's query, and keys and values of it and of the next one; they are as wide as the states.
COPIES = 5
LENGTHS = (*range(COLUMN_TOKENS + 1, 600), *range(600, 20000, 371))


CONFIG = RoFormerConfig(
    vocab_size=9, hidden_size=192, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=3072
)
ARRAY_BYTES = 4 * CONFIG.hidden_size


@pytest.fixture
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call asks for memory of its own, which is what is measured here."""
    monkeypatch.setattr("roformer_numpy.kernels.engine.scratch.MOST_BYTES", 0)


def peak_of_a_call(batch: int, length: int) -> int:
    """Bytes that Python and NumPy hold at most during a call, its result among them, beyond what they held before."""
    model, ids = RoFormerModel(CONFIG, seed=0), np.ones((batch, length), np.int64)
    model(ids)  # packs weights, and keeps where tokens stand
    tracemalloc.start()
    try:
        model(ids)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def block_of(hidden: int, inner: int, rows: int) -> int:
    """Numbers of the scratch of a block of rows: query, key and value, context, feed-forward and output."""
    return rows * (3 * hidden + hidden + inner + hidden)


@pytest.mark.parametrize("compute", KINDS)
@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(("hidden", "head_dim", "inner"), [(768, 64, 3072), (192, 48, 768), (384, 16, 100)])
def test_memory_of_a_call_is_linear_in_its_tokens(
    hidden: int, head_dim: int, inner: int, threads: int, compute: str
) -> None:
    """Three or five numbers for each feature of a token, blocks that stop growing, and what fills up panels and lines.

    In bfloat16 each thread also has whatever is multiplied, two numbers in the place of one.
    """
    kind = KINDS[compute]
    widths = _widths(hidden, head_dim, hidden, inner, kind)
    tile = QUERIES * (KEYS + head_dim + 2) + head_dim
    for length in LENGTHS:
        size = _size(widths, 12, hidden, length, length, panels_for(length), threads, True)
        assert size.block_rows <= BLOCK_ROWS
        needed = size.zeros + size.scratch - (1 + 2 * size.copies) * length * hidden
        pairs = size.block_rows * (max(hidden, inner) // 2) if is_narrow(kind) else 0
        blocks = size.blocks * block_of(hidden, inner, size.block_rows) + size.threads * (tile + pairs)
        rounded = 2 * PANEL * hidden + (ARRAYS + 2) * LINE + size.threads * size.block_rows * 6 * PANEL
        assert 0 <= needed - blocks <= rounded


@pytest.mark.usefixtures("_nothing_is_kept")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_further_token_takes_six_arrays_more_at_any_length(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its states, and a query, two copies of key and value; tables of integers take a fourteenth of that here."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
    peaks = [peak_of_a_call(1, length) for length in (768, 1536, 2304, 3072)]  # whole blocks and panels
    for arrays in np.diff(peaks) / (768 * ARRAY_BYTES):
        assert COPIES + 1 <= arrays <= COPIES + 1.5


@pytest.mark.usefixtures("_nothing_is_kept")
@pytest.mark.parametrize(
    ("batch", "length", "columns"),
    [(8, 96, 96), (96, LANES, LANES), (96, LANES + 1, -(-(LANES + 1) // PANEL) * PANEL), (768, 1, 1)],
)
def test_keys_of_short_sequences_take_whole_panels_or_share_one(
    batch: int, length: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More keys than a vector has begin a panel; the other four arrays are as long as the tokens are many."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "1")  # a helper may hold a call's arrays while the pooler has begun
    arrays = (peak_of_a_call(2 * batch, length) - peak_of_a_call(batch, length)) / (batch * length * ARRAY_BYTES)
    whole = COPIES - 1 + 2 * columns / length
    assert whole <= arrays <= whole + 0.5


FAULTS = """
import resource, sys
import numpy as np
from roformer_numpy import RoFormerModel
model = RoFormerModel.from_pretrained(sys.argv[1])
def faults(tokens):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model(np.ones((-(-tokens // 768), min(tokens, 768)), np.int64))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for tokens in map(int, sys.argv[2:]):
    print(max([faults(tokens) for _ in range(6)][3:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator has its own ways")
@pytest.mark.parametrize("lengths", [("600",), ("256", "512", "768"), ("7680",), ("7680", "768", "7680")], ids=" ".join)
def test_a_call_like_the_one_before_asks_the_system_for_no_memory(
    lengths: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the allocator gives back has to be filled with zeros page by page: more than a thousand of them here."""
    monkeypatch.setenv("ROFORMER_NUM_THREADS", "1")
    config = RoFormerConfig(vocab_size=9, hidden_size=256, num_hidden_layers=2, num_attention_heads=4)
    RoFormerModel(config.replace(intermediate_size=1024, max_position_embeddings=768), seed=0).save_pretrained(tmp_path)
    command = [sys.executable, "-c", FAULTS, str(tmp_path), *lengths]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(found) == len(lengths)
    assert max(map(int, found)) < 100
