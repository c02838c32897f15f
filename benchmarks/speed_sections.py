"""What `speed.py` measures, section by section; each returns plain values for the JSON file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from roformer_numpy import packed_files
from roformer_numpy.benchmarking import inputs, results
from roformer_numpy.benchmarking.competitors import (
    COMPILE,
    COMPONENTS,
    EAGER,
    ENGINE,
    ENGINE_BFLOAT16,
    EQUATIONS,
    FREEZING,
    ONNX,
    OPENVINO,
    OPENVINO_F32,
    PRODUCTS,
    TF_GRAPH,
    TF_XLA,
    Competitor,
    Python,
)
from roformer_numpy.benchmarking.process import CompetitorError
from roformer_numpy.benchmarking.race import Entry, Measured, outputs_path, race, real_rows
from roformer_numpy.benchmarking.session import Session
from roformer_numpy.config import RoFormerConfig
from roformer_numpy.kernels.cache import VARIABLE as CACHE_VARIABLE

# Who is a third slower in each of three rounds cannot be the best: three rounds say so well enough.
PATIENCE = 1.33
CONTENDERS = (ENGINE, PRODUCTS, FREEZING, ONNX, OPENVINO_F32)
FIELD = (*CONTENDERS, OPENVINO, COMPONENTS, EQUATIONS, EAGER, COMPILE, TF_GRAPH, TF_XLA)
# Where everybody is asked; at the other shapes those who could be the best, or the run would take an hour.
FIELD_SHAPES = ("1x128",)
SHAPES = ("1x16", "1x128", "8x128", "1x512", "4x512", "1x1536")
# How many, the longest, and how much of their padded batch they fill.
RAGGED = {
    "ragged 55 %, to 128": (16, 128, 0.55),
    "ragged 55 %, to 192": (16, 192, 0.55),
    "ragged 28 %, to 256": (16, 256, 0.28),
    "ragged 28 %, to 512": (16, 512, 0.28),
}
BUCKET = 4
LENGTHS = (16, 24, 32, 40, 41, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
BATCH_LENGTH = 16
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass
class Plan:
    """What all sections share."""

    model: str
    peers: Sequence[Python]
    threads: int
    rounds: int
    quick: bool  # short shapes alone, to try the program
    say: Callable[[str], None]  # what is being done
    session: Session | None = None

    def base(self) -> Session:
        """The session of the model that most sections use; begun when it is first asked for."""
        if self.session is None:
            self.say(f"writing the model {self.model}")
            self.session = Session(self.model, self.peers, self.threads, "masked_lm")
        return self.session

    def close(self) -> None:
        """End the session, if there is one."""
        if self.session is not None:
            self.session.close()

    def shapes(self) -> list[tuple[int, int]]:
        """Batch and length of the dense section."""
        return inputs.shapes_named(",".join(SHAPES[:2] if self.quick else SHAPES))


def raced(
    plan: Plan, session: Session, case: str, entries: Sequence[Entry], unable: Sequence[Measured] = ()
) -> list[Any]:
    """The records of one race, and of who could not take part."""
    return recorded(lines_of_race(plan, session, case, entries, unable))


def lines_of_race(
    plan: Plan, session: Session, case: str, entries: Sequence[Entry], unable: Sequence[Measured]
) -> list[Measured]:
    """The same before they become plain values."""
    lines = race(case, entries, session.folder, plan.rounds, PATIENCE, lambda name: plan.say(f"{case}: {name}"))
    return lines + [replace(line, case=case) for line in unable]


def recorded(lines: Sequence[Measured]) -> list[Any]:
    """Plain values, ratios to the first."""
    return [results.record(line, lines[0]) for line in lines]


def dense(plan: Plan) -> list[Any]:
    """Batches without padding: everybody."""
    session, found = plan.base(), []
    for batch, length in plan.shapes():
        work = inputs.dense(batch, length, session.config.vocab_size)
        everybody = FIELD if work.name in FIELD_SHAPES else CONTENDERS
        found += raced(plan, session, work.name, *session.entries(everybody, work, "base"))
        session.release(*FIELD[len(CONTENDERS) :])
    return found


def ragged(plan: Plan) -> list[Any]:
    """Sequences of unequal lengths: the engine in its three ways, the others padded, in buckets, and one by one."""
    session, found = plan.base(), []
    for case, (count, longest, share) in RAGGED.items():
        lengths = inputs.drawn_lengths(count, longest // (4 if plan.quick else 1), share)
        vocabulary = session.config.vocab_size
        padded = inputs.padded(case, lengths, vocabulary)
        buckets = inputs.bucketed(f"{case} buckets", lengths, vocabulary, BUCKET)
        single = inputs.bucketed(f"{case} single", lengths, vocabulary, 1)
        entries, unable = [], []
        for name, competitor, work, mode in (
            ("engine, skip", ENGINE, padded, "skip"),
            ("engine, encode", ENGINE, padded, "encode"),
            ("engine, compute", ENGINE, padded, ""),
            ("products alone (G), real tokens", PRODUCTS, padded, "skip"),
            ("torch.compile, freezing, padded", FREEZING, padded, ""),
            ("ONNX Runtime, padded", ONNX, padded, ""),
            ("ONNX Runtime, buckets", ONNX, buckets, ""),
            ("ONNX Runtime, one by one", ONNX, single, ""),
            ("OpenVINO f32, buckets", OPENVINO_F32, buckets, ""),
            ("OpenVINO f32, one by one", OPENVINO_F32, single, ""),
        ):
            try:
                # an aim is held against whom this software computes padded batches best
                stays = (competitor, work) == (ONNX, padded)
                entries.append(Entry(name, session.process(competitor, "base"), work, mode, stays))
            except CompetitorError as error:
                unable.append(Measured(case, name, reason=str(error)))
        lines = lines_of_race(plan, session, case, entries, unable)
        found += recorded(lines + [with_attention(line, lengths, session.config) for line in lines if line.is_limit])
    return found


def with_attention(limit: Measured, lengths: Sequence[int], config: RoFormerConfig) -> Measured:
    """G and the products of attention at the same rate: nobody who computes the real tokens alone takes less.

    A token of a sequence of n needs 4·n·H of them a layer, beside the 8·H² + 4·H·F of the dense products.
    """
    dense_length = 2 * config.hidden_size + config.intermediate_size
    share = 1 + sum(length**2 for length in lengths) / sum(lengths) / dense_length
    seconds = [share * value for value in limit.seconds]
    return replace(limit, name=f"{limit.name}, with attention's", seconds=seconds, note=f"that times {share:.3f}")


def masked_lm(plan: Plan) -> list[Any]:
    """Logits at all positions, and at every seventh; G holds the products of the head too."""
    session = plan.base()
    session.release(ENGINE, PRODUCTS, FREEZING, ONNX, OPENVINO_F32)
    work = inputs.dense(1, 128, session.config.vocab_size)
    entries, unable = session.entries((ENGINE, PRODUCTS, FREEZING, ONNX, OPENVINO_F32), work, "masked_lm")
    asked = Entry("engine, every seventh position", session.process(ENGINE, "masked_lm"), work, "logits_at")
    states = Entry("engine, states alone", session.process(ENGINE, "base"), work)
    found = raced(plan, session, "MaskedLM 1x128", entries, unable)
    # apart from the others, whose threads look for work a while after a call and slow whoever comes next
    found += raced(plan, session, "MaskedLM 1x128, asked for", [entries[0], asked])
    found += raced(plan, session, "MaskedLM 1x128, states", [states])
    session.release(ENGINE, PRODUCTS, FREEZING, ONNX, OPENVINO_F32)
    return found


def bfloat16(plan: Plan) -> list[Any]:
    """Products of fewer digits: the engine's, and what OpenVINO computes by default on such a processor."""
    session, found = plan.base(), []
    for batch, length in plan.shapes():
        work = inputs.dense(batch, length, session.config.vocab_size)
        who = (ENGINE, ENGINE_BFLOAT16, OPENVINO)
        found += raced(plan, session, f"{work.name} bfloat16", *session.entries(who, work, "base"))
    session.release(ENGINE_BFLOAT16, OPENVINO)
    return found


def tiny(plan: Plan) -> list[Any]:
    """What a call costs beside arithmetic."""
    with Session("tiny", plan.peers, plan.threads) as session:
        work = inputs.dense(1, 16, session.config.vocab_size)
        return raced(plan, session, "tiny 1x16", *session.entries((ENGINE, FREEZING, EAGER, ONNX, OPENVINO_F32), work))


def cost(plan: Plan) -> dict[str, Any]:
    """Seconds against length and batch, the engine's and ONNX Runtime's, in a third of the rounds."""
    session, found = plan.base(), {}
    lengths = LENGTHS[:6] if plan.quick else LENGTHS
    shapes = [(1, n) for n in lengths] + [(n, BATCH_LENGTH) for n in (BATCHES[:3] if plan.quick else BATCHES)]
    fewer = replace(plan, rounds=max(1, plan.rounds // 3))
    for batch, length in dict.fromkeys(shapes):
        work = inputs.dense(batch, length, session.config.vocab_size)
        entries, _ = session.entries((ENGINE, ONNX), work, "base")
        found[work.name] = raced(fewer, session, work.name, entries)
    return found


def real_tokens(plan: Plan) -> list[Any]:
    """The engine's ways with eight sequences of up to 128 tokens, of which fewer and fewer are padding."""
    session, found = plan.base(), []
    fewer = replace(plan, rounds=max(1, plan.rounds // 2))
    for share in SHARES[-2:] if plan.quick else SHARES:
        lengths = inputs.drawn_lengths(8, 32 if plan.quick else 128, share)
        case = f"{100 * share:.0f} % real"
        work = inputs.padded(case, lengths, session.config.vocab_size)
        ways = {"engine, skip": "skip", "engine, encode": "encode", "engine, compute": ""}
        entries = [Entry(name, session.process(ENGINE, "base"), work, mode) for name, mode in ways.items()]
        found += [{**record, "tokens": work.real_tokens} for record in raced(fewer, session, case, entries)]
    return found


def memory(plan: Plan) -> dict[str, Any]:
    """Bytes that a call adds, in a fresh process, against length; and the peak since its start."""
    session, found = plan.base(), {}
    lengths = (16, 64) if plan.quick else (16, 128, 256, 512, 1024, 1536)
    for competitor in (ENGINE, ONNX):
        try:
            with session.fresh(competitor, "base") as process:
                calls = []
                for length in lengths:
                    plan.say(f"memory: {competitor.name}, 1x{length}")
                    work = str(inputs.dense(1, length, session.config.vocab_size).save(session.folder))
                    process.ask("time", work=work, mode="", calls=1, before=0)
                    calls.append({"length": length, **process.ask("memory", work=work, mode="")})
                found[competitor.name] = {"imported": process.imported, "calls": calls}
        except CompetitorError as error:
            found[competitor.name] = {"reason": str(error)}
    model = session.folder / "model" / "model.safetensors"
    return {"weights": model.stat().st_size, "competitors": found}


PACKED_AHEAD = replace(ENGINE, name="engine, packed ahead")
PACKING = replace(ENGINE, environment={packed_files.VARIABLE: packed_files.OFF})


def cold(plan: Plan) -> dict[str, Any]:
    """Seconds from the start of a process to its first result, in turn, and its peak of memory by then."""
    session = plan.base()
    work = str(inputs.dense(1, 16, session.config.vocab_size).save(session.folder))
    found: dict[str, Any] = {}
    with _packed_ahead(session.folder / "model"):
        for _ in range(2 if plan.quick else plan.rounds):
            for competitor in (PACKED_AHEAD, PACKING, ONNX, OPENVINO_F32):
                plan.say(f"cold start: {competitor.name}")
                line = found.setdefault(competitor.name, {"seconds": [], "peak": []})
                try:
                    line["seconds"].append(_first_result(session, competitor, work, line))
                except CompetitorError as error:
                    line["reason"] = str(error)
    return found


def first_start(plan: Plan) -> dict[str, Any]:
    """The same on a machine where nothing was compiled before, in a third of the rounds."""
    session = plan.base()
    work = str(inputs.dense(1, 16, session.config.vocab_size).save(session.folder))
    line: dict[str, Any] = {"seconds": [], "peak": []}
    for _ in range(1 if plan.quick else max(1, plan.rounds // 3)):
        plan.say("first start: engine")
        with tempfile.TemporaryDirectory(prefix="roformer-bench-") as empty:
            competitor = replace(PACKING, environment={**PACKING.environment, CACHE_VARIABLE: empty})
            line["seconds"].append(_first_result(session, competitor, work, line))
    return {"engine": line}


@contextmanager
def _packed_ahead(model: Path) -> Iterator[None]:
    """What `roformer warm-up MODEL` keeps is there inside, and deleted afterwards: the folder's model is nobody's."""
    home = packed_files.folder()
    before = set(home.iterdir()) if home else set()
    warm_up = [sys.executable, "-c", "from roformer_numpy.command import main; main()", "warm-up", str(model)]
    subprocess.run(warm_up, check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        for path in set(home.iterdir()) - before if home else ():
            path.unlink(missing_ok=True)


def _first_result(session: Session, competitor: Competitor, work: str, line: dict[str, Any]) -> float:
    with session.fresh(competitor, "base") as process:
        process.ask("time", work=work, mode="", calls=1, before=0)
        seconds = time.perf_counter() - process.started
        answer = process.ask("memory", work=work, mode="")
        line["peak"].append(answer["ever"])
        line["imported"] = process.imported
    return seconds


def peaked(plan: Plan) -> list[Any]:
    """Scores that all are alike beside scores of which one outweighs all others: the same work, so the same time."""
    length = 64 if plan.quick else 1024
    with (
        Session(_few_layers(plan), (), plan.threads, query_scale=0.0) as flat,
        Session(_few_layers(plan), (), plan.threads, query_scale=30.0) as sharp,
    ):
        work = inputs.dense(1, length, flat.config.vocab_size)
        entries = [Entry("flat scores", flat.process(), work)]
        entries.append(Entry("peaked scores", sharp.process(replace(ENGINE, float32=False)), work))
        return raced(plan, flat, f"1x{length}, 4 layers", entries)


def _few_layers(plan: Plan) -> str:
    """A configuration of base width and four layers."""
    path = plan.base().folder / "few" / "config.json"
    path.parent.mkdir(exist_ok=True)
    config = json.loads((plan.base().folder / "model" / "config.json").read_text())
    path.write_text(
        json.dumps({**config, "num_hidden_layers": min(4, config["num_hidden_layers"]), "vocab_size": 1000})
    )
    return str(path)


AVX2 = (
    replace(ENGINE, name="engine, AVX2", environment={"ROFORMER_INSTRUCTION_SET": "avx2"}),
    replace(COMPONENTS, name="components, OpenBLAS for AVX2",
            environment={"ROFORMER_INSTRUCTION_SET": "none", "OPENBLAS_CORETYPE": "Haswell"}),
    replace(EAGER, name="PyTorch eager, AVX2", environment={
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
)  # fmt: skip


def avx2(plan: Plan) -> list[Any]:
    """Everybody held to AVX2 who can be."""
    session, found = plan.base(), []
    for batch, length in [(1, 16), (1, 128)] if plan.quick else [(1, 16), (1, 128), (1, 512)]:
        work = inputs.dense(batch, length, session.config.vocab_size)
        found += raced(plan, session, f"{work.name} AVX2", *session.entries(AVX2, work, "base"))
    session.release(*AVX2)
    return found


EXACT = Competitor("float64 by the equations", "with_engine", "exact")


def accuracy(plan: Plan) -> list[Any]:
    """Greatest and root mean square error of the last hidden states against float64 by the equations."""
    session, found = plan.base(), []
    vocabulary = session.config.vocab_size
    works = [
        inputs.dense(1, 128, vocabulary),
        inputs.padded("ragged 2x512", inputs.drawn_lengths(2, 512, 0.75), vocabulary),
        inputs.dense(1, 1536, vocabulary),
    ]
    for work in works[:1] if plan.quick else works:
        entries, unable = session.entries(
            (EXACT, ENGINE, EAGER, ONNX, OPENVINO_F32, ENGINE_BFLOAT16, OPENVINO), work, "base"
        )
        exact: np.ndarray | None = None
        for entry in entries:
            plan.say(f"error at {work.name}: {entry.name}")
            path, saved = outputs_path(session.folder, entry), work.save(session.folder)
            try:
                entry.process.ask("outputs", work=str(saved), mode="", to=str(path))
            except CompetitorError as error:
                found.append({"case": work.name, "name": entry.name, "reason": str(error)})
                continue
            rows = real_rows(session.folder, entry)
            exact = rows if exact is None else exact
            off = np.abs(rows - exact)
            figures = {"max": float(off.max()), "rms": float(np.sqrt(np.mean(off**2)))}
            found.append({"case": work.name, "name": entry.name, "version": entry.process.version, **figures})
        found += [{"case": work.name, "name": line.name, "reason": line.reason} for line in unable]
    session.release(EXACT, EAGER, ENGINE_BFLOAT16, OPENVINO)
    return found


# In the order that they are measured in: what a limit of time cuts off first stands last.
SECTIONS: dict[str, Callable[[Plan], Any]] = {
    "dense": dense, "tiny": tiny, "ragged": ragged, "masked_lm": masked_lm, "cold": cold, "first_start": first_start,
    "accuracy": accuracy, "cost": cost, "real_tokens": real_tokens, "memory": memory, "peaked": peaked, "avx2": avx2,
    "bfloat16": bfloat16,
}  # fmt: skip
