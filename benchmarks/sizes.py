"""Looks for cliffs: what a multiply-add costs in models of many sizes and calls of many shapes.

    python benchmarks/sizes.py [--groups widths,lengths,…] [--rounds 5] [--threads 2] [--compute bfloat16]
        [--against components] [--peers PYTHON --most 20] [--results sizes.json] [--picture sizes.png]

The cases of a group take turns, once a round, so that a machine that is slow for a while is so for all of them. Times
are the least of the rounds, and with --threads 1 they are the processor's: on a machine that others use, too, these say
most. `ps` is picoseconds a multiply-add of dense products and attention; `× neighbours` is that against the
geometric mean of the cases before and after in the group; `× products` is the time against that of the model's dense
products alone by NumPy's `@`, in the same rounds. With --against components every case is also computed without the
engine; with --peers those with the worst figures are raced against PyTorch eager and ONNX Runtime, in processes of
their own. What costs more than 1.15 of its neighbours, or more than somebody else, is marked.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sizes_cases import ASKED, COMPONENTS_ALONE, GROUPS, NEW_TOKENS, Case

from roformer_numpy.benchmarking import figures, inputs, machine, results
from roformer_numpy.benchmarking.competitors import EAGER, ENGINE, ONNX, PRODUCTS, Python, probed
from roformer_numpy.benchmarking.process import THREAD_VARIABLES, CompetitorError
from roformer_numpy.benchmarking.race import race
from roformer_numpy.benchmarking.session import Session
from roformer_numpy.kernels.engine.factors import KINDS
from roformer_numpy.models import MODELS
from roformer_numpy.threads import usable_cores

MARK = 1.15
TURN = 0.02  # seconds that the calls of a turn fill, where one does not
PAUSE = 0.03  # threads that a library leaves looking for work have gone to sleep by then
COLUMNS = ("group", "case", "ms", "first ms", "ps", "× neighbours", "× products", "× components")

Record = dict[str, Any]
Run = Callable[[], Any]


def main() -> None:
    arguments = parse_arguments()
    with_threads(arguments.threads)
    cases = in_groups(case for group in arguments.groups for case in GROUPS[group]())
    about = machine.description(arguments.threads)
    print(f"{', '.join(f'{name} {value}' for name, value in about.items())}; least of {arguments.rounds} rounds")
    found = list(measured(cases, arguments))
    compare(found)
    if arguments.peers:
        race_worst(found, cases, [probed(path) for path in arguments.peers], arguments)
    print(results.markdown(COLUMNS, [row(record) for record in found]))
    for record in found:
        for name, ratio in record.get("peers", {}).items():
            print(
                f"{record['group']}: {record['case']}: {name} takes {ratio:.2f} of the engine's time{mark(1 / ratio)}"
            )
    if arguments.results:
        arguments.results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.picture:
        draw(found, arguments.picture)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--compute", choices=sorted(KINDS), default="float32", help="what the engine multiplies")
    parser.add_argument("--against", choices=["components"])
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--most", type=int, default=20, help="cases that are raced against peers")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    arguments.groups = arguments.groups.split(",")
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"--groups: {', '.join(sorted(unknown))} not among {', '.join(GROUPS)}")
    return arguments


def with_threads(threads: int) -> None:
    """Begin again where NumPy was loaded with another number of threads."""
    wanted = dict.fromkeys(THREAD_VARIABLES, str(threads))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def measured(cases: Sequence[Case], arguments: argparse.Namespace) -> Iterator[Record]:
    """A record of each case, group after group."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(cases) * arguments.rounds)

        def say(case: Case) -> None:
            bar.update(task, description=f"{case.group}: {case.name}", advance=1)

        for _, group in itertools.groupby(cases, key=lambda case: case.group):
            shared = Shared(arguments.compute, arguments.against is not None)
            yield from measure(list(group), arguments.rounds, shared, say)


def in_groups(cases: Iterable[Case]) -> list[Case]:
    """Those of a group one after the other, groups in the order in which they begin."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    return [case for group in groups.values() for case in group]


def clock() -> float:
    """Seconds: of the processor where there is one thread, of the wall otherwise."""
    return time.process_time() if os.environ[THREAD_VARIABLES[0]] == "1" else time.perf_counter()


def measure(group: Sequence[Case], rounds: int, shared: Shared, say: Callable[[Case], None]) -> list[Record]:
    """Least seconds of the engine, of the products alone and, where asked for, of the components."""
    sides = [shared.sides_of(case) for case in group]
    records = [
        {"group": case.group, "case": case.name, "multiply_adds": case.multiply_adds(), "first": seconds(own["engine"]),
         "seconds": dict.fromkeys(own, math.inf)}
        for case, own in zip(group, sides, strict=True)
    ]  # fmt: skip
    calls: list[dict[str, int]] = [{} for _ in group]
    for number in range(rounds):
        # there and back, so that nobody always comes behind the same one
        for case, own, record, counts in list(zip(group, sides, records, calls, strict=True))[:: (-1) ** number]:
            for name, run in own.items():
                record["seconds"][name] = min(record["seconds"][name], turn(name, run, counts))
            say(case)
    for record in records:
        record["picoseconds"] = 1e12 * record["seconds"]["engine"] / record["multiply_adds"]
    return records


class Shared:
    """Models, and weights of products alone, of which several cases of a group have the same."""

    def __init__(self, compute: str = "float32", with_components: bool = False) -> None:
        self._compute, self._with_components = compute, with_components
        self._models: dict[str, Any] = {}
        self._weights: dict[tuple[int, ...], np.ndarray] = {}

    def sides_of(self, case: Case) -> dict[str, Run]:
        """What is timed of a case."""
        sides: dict[str, Run] = {"engine": run_of(case, self._model(case))}
        sides["products"] = products_of(case, self._weights)
        if self._with_components and case.way not in COMPONENTS_ALONE:
            sides["components"] = run_of(case, self._model(case, plain=True))
        return sides

    def _model(self, case: Case, plain: bool = False) -> Any:
        key = json.dumps([case.head, case.dtype, plain, case.config.to_dict()])
        if key not in self._models:
            compute = "float32" if plain or case.dtype == "float64" else self._compute
            self._models[key] = MODELS[case.head](case.config, dtype=case.dtype, compute=compute)
            if plain:
                self._models[key]._engine = lambda: None
        return self._models[key]


def turn(name: str, run: Run, counts: dict[str, int]) -> float:
    """Seconds of a call, in the mean of the calls of a turn."""
    time.sleep(PAUSE)
    first = seconds(run)
    calls = counts.setdefault(name, figures.calls_in_a_turn(first, TURN))
    return first if calls == 1 else seconds(lambda: [run() for _ in range(calls)]) / calls


def seconds(run: Run) -> float:
    started = clock()
    run()
    return clock() - started


def run_of(case: Case, model: Any) -> Run:
    """The call that a case asks for."""
    ids, mask = case.arguments()
    sequences = [row[real > 0] for row, real in zip(ids, mask, strict=True)]
    if case.way == "encode":
        return lambda: model.encode(sequences)
    if case.way == "generate":
        return lambda: model.generate(ids, max_new_tokens=NEW_TOKENS)
    options = {"attention_mask": mask, **options_of(case, model, ids)}
    return lambda: model(ids, **options)


def options_of(case: Case, model: Any, ids: np.ndarray) -> dict[str, Any]:
    """The arguments of a call beside ids and mask."""
    config, batch, length = case.config, *ids.shape
    if case.way == "cache":
        past = np.random.default_rng(0).integers(0, config.vocab_size, (batch, case.past))
        kept = model(past, use_cache=True)["past_key_values"]
        return {"attention_mask": None, "past_key_values": kept, "use_cache": True}
    heads = np.ones((config.num_hidden_layers, config.num_attention_heads), np.float32)
    states = np.random.default_rng(0).standard_normal((batch, length, config.hidden_size), np.float32)
    named: dict[str, dict[str, Any]] = {
        "skip": {"padding": "skip"},
        "logits_at": {"logits_at": np.tile(np.arange(0, length, ASKED), (batch, 1))},
        "head_mask": {"head_mask": heads},
        "attentions": {"output_attentions": True},
        "hidden_states": {"output_hidden_states": True},
        "cross": {"encoder_hidden_states": states},
    }
    return named.get(case.way, {})


def products_of(case: Case, weights: dict[tuple[int, ...], np.ndarray]) -> Run:
    """NumPy's dense products of the case's type, every layer with weights of its own, which may be there already."""
    generator, kind = np.random.default_rng(0), np.dtype(case.dtype)
    inputs_of: dict[Any, Any] = {}
    outputs: dict[Any, Any] = {}
    products = []
    for number, (rows, depth, width) in enumerate(case.products()):
        if (rows, depth) not in inputs_of:
            inputs_of[rows, depth] = generator.standard_normal((rows, depth)).astype(kind)
        out = outputs.setdefault((rows, width), np.empty((rows, width), kind))
        key = (number, depth, width, kind.itemsize)
        if key not in weights:
            weights[key] = np.full((depth, width), 0.5, kind)
        products.append((inputs_of[rows, depth], weights[key], out))

    def run() -> None:
        for a, b, out in products:
            np.matmul(a, b, out=out)

    return run


def compare(found: list[Record]) -> None:
    """Put each record's ratios into it."""
    for number, record in enumerate(found):
        near = [found[n] for n in (number - 1, number + 1) if 0 <= n < len(found)]
        costs = [other["picoseconds"] for other in near if other["group"] == record["group"]]
        if len(costs) == 2:
            record["neighbours"] = record["picoseconds"] / math.sqrt(math.prod(costs))
        times = record["seconds"]
        record["products"] = times["engine"] / times["products"]
        if "components" in times:
            record["components"] = times["engine"] / times["components"]


def race_worst(found: list[Record], cases: Sequence[Case], peers: list[Python], arguments: argparse.Namespace) -> None:
    """Race the cases with the worst figures that others can be asked about."""
    pairs = [(record, case) for record, case in zip(found, cases, strict=True) if case.is_plain]
    pairs.sort(key=lambda pair: -max(pair[0].get("neighbours", 0.0), pair[0]["products"] / 2))
    for record, case in pairs[: arguments.most]:
        try:
            record["peers"] = raced(case, peers, arguments)
        except CompetitorError as error:
            record["peers_reason"] = str(error)


def raced(case: Case, peers: list[Python], arguments: argparse.Namespace) -> dict[str, float]:
    """How many times the engine's time each of the others takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(case.config.to_dict()), encoding="utf-8")
        with Session(str(path), peers, arguments.threads, case.head) as session:
            work = inputs.Work(f"{case.group} {case.name}", (case.arguments(),))
            entries, _ = session.entries((ENGINE, PRODUCTS, ONNX, EAGER), work)
            lines = race(work.name, entries, session.folder, arguments.rounds)
    ours = min(lines[0].seconds)
    return {line.name: min(line.seconds) / ours for line in lines[1:] if line.seconds and not line.reason}


def row(record: Record) -> tuple[str, ...]:
    """The cells of a record."""
    ratios = (record.get(name) for name in ("neighbours", "products", "components"))
    cells = [
        f"{ratio:.2f}{mark(ratio, limit)}" if ratio else ""
        for ratio, limit in zip(ratios, (MARK, math.inf, 1.0), strict=True)
    ]
    times = record["seconds"]
    return (
        record["group"], record["case"], f"{1e3 * times['engine']:.3g}", f"{1e3 * record['first']:.3g}",
        f"{record['picoseconds']:.3g}", *cells,
    )  # fmt: skip


def mark(ratio: float, limit: float = 1.0) -> str:
    """What makes an outlier stand out."""
    return " ◀" if ratio > limit else ""


def draw(found: Sequence[Record], path: Path) -> None:
    """Cost of a multiply-add along each group."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = list(dict.fromkeys(record["group"] for record in found))
    columns = 4
    lines = -(-len(groups) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(5 * columns, 3 * lines), layout="constrained", squeeze=False
    )
    for axis, group in zip(axes.flat, groups, strict=False):
        records = [record for record in found if record["group"] == group]
        axis.plot([record["picoseconds"] for record in records], "o-", color="#c0392b")
        axis.set_title(group, loc="left", fontsize=9)
        axis.set_xticks(range(len(records)), [record["case"] for record in records], rotation=90, fontsize=6)
        axis.set_ylabel("ps a multiply-add")
        axis.set_ylim(bottom=0)
    for axis in axes.flat[len(groups) :]:
        axis.remove()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
