"""What benchmarks/ makes of measurements: verdicts, the lines of the aims, the page and the picture."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roformer_numpy.benchmarking import machine, results
from roformer_numpy.benchmarking.race import Measured

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the page."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("speed_page")


def records(case: str, seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Three equal rounds of each; ratios are to the first."""
    lines = [
        Measured(
            case, name, "v1", [value] * 3, 1e-6, note="NumPy" if "(G)" in name else "", is_limit="(G)" in name,
            float32="default" not in name,
        )
        for name, value in seconds.items()
    ]  # fmt: skip
    return [results.record(line, lines[0]) for line in lines]


G, ONNX = "products alone (G)", "ONNX Runtime"
SHORT = {"engine": 0.02, G: 0.019, ONNX: 0.024, "OpenVINO default": 0.01}
RAGGED = {
    "engine, skip": 1.0, "engine, encode": 0.98, "engine, compute": 1.8, "ONNX Runtime, padded": 2.5,
    "ONNX Runtime, buckets": 1.3, "OpenVINO f32, one by one": 1.1, G: 0.9, f"{G}, with attention's": 1.0,
}  # fmt: skip
HEAD = {"engine": 0.1, ONNX: 0.13, G: 0.09, "engine, every seventh position": 0.08}
CALLS = [  # the second finds in its process what was kept of the first
    {"length": 16, "before": 10**9, "peak": 10**9 + 2 * 10**6, "ever": 9 * 10**8},
    {"length": 128, "before": 10**9 + 2 * 10**6, "peak": 10**9 + 13 * 10**6, "ever": 9 * 10**8},
]
COLD = {
    "engine": {"seconds": [1.2, 1.3, 1.1], "peak": [9e8] * 3, "imported": 1e8},
    ONNX: {"seconds": [1.3] * 3, "peak": [8e8] * 3},
    "OpenVINO f32": {"seconds": [], "peak": [], "reason": "absent"},
}


def found() -> dict[str, Any]:
    """A run of every section."""
    memory = {"engine": {"imported": 10**8, "calls": CALLS}, ONNX: {"reason": "absent"}}
    return {
        "model": "base",
        "rounds": 3,
        "machine": machine.description(2),
        "dense": records("1x16", SHORT) + records("1x128", {"engine": 0.08, G: 0.07}),
        "ragged": records("ragged 55 %, to 128", RAGGED),
        "masked_lm": records("MaskedLM 1x128", HEAD) + records("states", {"engine, states alone": 0.077}),
        "tiny": records("tiny 1x16", {"engine": 1e-4, ONNX: 1.5e-4}),
        "cold": COLD,
        "first_start": {"engine": {"seconds": [16.0, 15.0, 17.0], "peak": [9e8] * 3}},
        "memory": {"weights": 5 * 10**8, "competitors": memory},
        "accuracy": [
            {"case": "1x128", "name": "engine", "version": "", "max": 4e-6, "rms": 6e-7},
            {"case": "1x128", "name": "PyTorch eager", "version": "", "max": 2e-6, "rms": 6e-7},
            {"case": "1x128", "name": "ONNX Runtime", "reason": "absent"},
        ],
        "peaked": records("1x1024", {"flat": 1.0, "peaked": 1.05}),
        "avx2": records("1x16 AVX2", {"engine, AVX2": 1.0, "components, OpenBLAS": 1.2}),
        "bfloat16": records("1x16 bfloat16", {"engine": 1.8, "engine bfloat16": 1.0, "OpenVINO default": 1.4}),
        "real_tokens": [{**one, "tokens": 100} for one in records("20 % real", RAGGED)],
        "cost": {case: records(case, SHORT) for case in ("1x16", "1x32", "2x16")},
    }


@pytest.mark.parametrize(
    ("value", "more_is_better", "said"),
    [(1.3, True, "stretch"), (1.15, True, "must"), (0.99, True, "missed by 10 %"), (1.0, False, "stretch"),
     (1.15, False, "stretch"), (1.21, False, "missed by 10 %")],
)  # fmt: skip
def test_a_verdict_knows_which_way_is_better(page: Any, value: float, more_is_better: bool, said: str) -> None:
    """Must 1.1 and stretch 1.2 (or as much, where less is better)."""
    must, stretch = (1.1, 1.2) if more_is_better else (1.1, 1.15)
    assert page.verdict(value, must, stretch, more_is_better) == said


def test_the_aims_are_read_off_the_measurements(page: Any) -> None:
    """Figures that a hand can check, each in its line with its verdict."""
    rows = {row[0]: row[1:] for row in page.aims(found())}
    assert rows["1x16: × G (NumPy)"] == ("1.05 [1.05, 1.05]", "≤ 1.00", "≤ 0.90", "missed by 5 %")
    assert rows["1x16: best peer"] == ("1.20 [1.20, 1.20], ONNX Runtime", "≥ 1.15", "≥ 1.20", "stretch")
    assert rows["1x128: best peer"][0] == "no peer ran"
    assert rows["tiny 1x16: best peer"][3] == "missed by 17 %"
    assert rows["ragged 55 %, to 128: best padded peer"][0].startswith("2.50")
    assert rows["ragged 55 %, to 128: best peer in buckets or one by one"] == (
        "1.10 [1.10, 1.10], OpenVINO f32, one by one", "≥ 1.00", "≥ 1.20", "must",
    )  # fmt: skip
    assert rows["ragged 55 %, to 128: × G on real tokens"][3] == "must"
    assert rows["ragged 55 %, to 128: the same over G with attention's products"][0] == "2.50"
    assert rows["ragged 55 %, to 128: engine, compute / skip"][0] == "1.80"
    assert rows["MaskedLM 1x128: every seventh position"][0].startswith("head costs 0.13 of all positions'")
    assert rows["cold start, engine"] == ("1.20 s", "≤ 1.50 s", "< 1.00 s", "must")
    assert rows["first start of all, 1x16"] == ("16.0 s", "< 30 s, with a message", "< 10 s", "must")
    assert rows["memory, peak less imports: engine"][0] == "300 MB over the 500 MB file, at 1x128"
    assert rows["error, 1x128"] == ("max 4.0e-06, rms 6.0e-07", "max ≤ 1e-5, rms ≤ 1e-6", "–", "must")
    assert rows["error, 1x128: engine / PyTorch"] == ("max 2.00, rms 1.00", "≤ 1.00", "–", "missed by 100 %")
    assert rows["peaked / flat scores, 1x1024"][3] == "must"
    assert rows["1x16 AVX2: NumPy's BLAS"][0].startswith("1.20")


def test_fewer_digits_are_never_shown_without_their_error(page: Any) -> None:
    """Beside float32, and beside who else computes so."""
    exact, other = [row for row in page.aims(found()) if "bfloat16" in row[0]]
    assert exact[:2] == ("1x16 bfloat16: engine in float32", "1.80")
    assert other[1].startswith("1.40")
    assert other[1].endswith("off by 1.0e-06, OpenVINO by 1.0e-06")
    assert other[4] == "must"


def test_a_section_that_was_not_measured_has_no_lines(page: Any) -> None:
    """A page of one section is a page."""
    only = {name: value for name, value in found().items() if name in ("model", "rounds", "machine", "tiny")}
    assert [row[0] for row in page.aims(only)] == ["tiny 1x16: best peer"]
    assert "## Unequal lengths" not in page.page(only, "command", "picture.png")


def test_the_page_names_machine_reasons_and_picture(page: Any) -> None:
    """Also of who was not measured."""
    text = page.page(found(), "python benchmarks/speed.py", "speed.png")
    for part in (
        "MKL is slow on processors that are not Intel's",
        "(speed.png)",
        "| ONNX Runtime | – | absent |",
        "load before",
    ):
        assert part in text


def test_memory_that_was_kept_of_a_shorter_call_counts_for_a_longer_one(page: Any) -> None:
    """Else the longer one would seem to need less than it does: 13 MB, not 11."""
    assert "| engine | 2 | 13 |" in page.page(found(), "python benchmarks/speed.py", "speed.png")


@pytest.mark.parametrize("missing", [(), ("dense", "ragged", "cost", "memory")])
def test_the_picture_is_drawn_of_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: tuple[str, ...]
) -> None:
    """All panels, or none of them."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    plots = importlib.import_module("speed_plots")
    plots.draw({name: value for name, value in found().items() if name not in missing}, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_the_benchmarks_of_the_kernels_run() -> None:
    """Once each, without timing: what they time is right."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--benchmark-disable",
        "-p",
        "no:cacheprovider",
        "kernels_benchmark.py",
    ]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "28 passed" in done.stdout
