"""The command `roformer-conformance`. Exit codes: 0 conforms, 1 fails a claim, 2 usage, 3 the implementation died."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from . import cli_diagnosis, cli_faults, cli_report
from .budget import FAILS_AT
from .clauses import PROFILES, Clause, load_clauses, select
from .expectations import load_expectations
from .failures import Examiner
from .levels import FRESH, LEVELS, UsageError, seed_for
from .peers import commands as peer_commands
from .precision import recorded
from .process import commands as process_commands
from .profiles import commands as profile_commands
from .protocol import Capabilities, find_adapter, name_with_engine
from .records import Record, Result
from .registry import all_checks
from .report import print_failure, print_result, write_json, write_junit
from .runner import check_implementation, environment
from .terminal import bar, exit_code, usage_errors
from .vectors import load_vectors, verify_vector

app = typer.Typer(
    help="Hold a RoFormer implementation against the contract.", no_args_is_help=True, add_completion=False
)
vectors_app = typer.Typer(help="Golden vectors: what other implementations returned.", no_args_is_help=True)
app.add_typer(vectors_app, name="vectors")
app.add_typer(peer_commands.app, name="peers")

Implementation = Annotated[
    str,
    typer.Argument(
        help='numpy, numpy-equations, tensorflow, a peer, module:attribute, or "cmd:COMMAND LINE"; see also --engine',
        metavar="IMPLEMENTATION",
    ),
]
Json = Annotated[Path | None, typer.Option("--json", help="write the whole result to this file")]
Junit = Annotated[Path | None, typer.Option("--junit", help="write JUnit XML for a CI server to this file")]

console = Console()


@app.command(epilog="Example: roformer-conformance check numpy --level smoke --clause MASK")
def check(
    implementation: Implementation,
    level: Annotated[str, typer.Option(help=f"how many examples: {', '.join(LEVELS)}")] = "default",
    clause: Annotated[list[str] | None, typer.Option(help="only this clause, family or check; may be repeated")] = None,
    seed: Annotated[
        str, typer.Option(help=f"draws other examples; left out: 0, at level deep outside CI {FRESH}", metavar="N")
    ] = "",
    expected: Annotated[Path | None, typer.Option(help="TOML file of known failures, each with id and reason")] = None,
    profile: Annotated[
        str, typer.Option(help="whose registered behaviours count as such, see `profiles`", metavar="NAME")
    ] = PROFILES[0],
    budget_k: Annotated[float, typer.Option(help="the grade R at which a result fails", min=0.0)] = FAILS_AT,
    workers: Annotated[int, typer.Option(help="processes that share the work; the result is the same", min=1)] = 1,
    failures: Annotated[
        Path | None, typer.Option(help="save each failure as a file in this folder, for `replay`; left out: none")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="one of several ways in which it computes; of numpy engine, components, bfloat16, equations"),
    ] = "",
    model: Annotated[
        Path | None, typer.Option(help="the checkpoint that an implementation with baked-in weights was made from")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="write result.json, junit.xml, report.html, summary.md, badge.json to this folder"),
    ] = None,
    json: Json = None,
    junit: Junit = None,
) -> None:
    """Check an implementation: golden vectors and properties, with one table at the end."""
    with usage_errors(), bar("checking", console) as advance:
        _make_places(report, json, junit)
        implementation = name_with_engine(implementation, engine) if engine else implementation
        adapter = find_adapter(implementation)
        result = check_implementation(
            adapter,
            level=level,
            clauses=clause or (),
            seed=seed_for(level, seed),
            k=budget_k,
            expected=load_expectations(expected) if expected else (),
            profile=profile,
            progress=_naming(advance),
            replay_name=implementation,
            workers=workers,
            failures=failures,
            model=model,
        )
    print_result(result, console)
    _tell_of_files(result, failures)
    _write(result, json, junit)
    if report is not None:
        cli_report.write(adapter, result, budget_k, report, console, model)
    raise typer.Exit(exit_code(adapter, result.conforms))


def _make_places(report: Path | None, *files: Path | None) -> None:
    """Make the folders that results go to: a long run shall not end in an error of a path."""
    for path in filter(None, (report, *files)):
        folder = path if path is report else path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
        if path is not report and path.is_dir():
            raise UsageError(f"{path} is a folder, expected a file to write")


def _tell_of_files(result: Result, folder: Path | None) -> None:
    saved = [record.saved for record in result.failed if record.saved]
    if saved:
        several = f"{len(saved)} failures, one file each, such as" if len(saved) > 1 else "the failure"
        console.print(f"saved {several} {saved[0]}; roformer-conformance replay FILE tries one alone", soft_wrap=True)
    elif result.failed and folder is None:
        console.print("--failures DIR saves each failure as a file that roformer-conformance replay tries alone")


@app.command(epilog="Example: roformer-conformance clauses MASK-6")
def clauses(clause: Annotated[str, typer.Argument(help="a clause or a family; all when left out")] = "") -> None:
    """Print the contract, or one clause with its sources and its checks."""
    with usage_errors():
        known = load_clauses()
        chosen = select(known, clause) if clause else list(known.values())
        if not chosen:
            raise UsageError(f"no clause is called {clause!r}; `roformer-conformance clauses` lists them")
    if len(chosen) > 5:
        console.print(_clauses_table(chosen))
        return
    for item in chosen:
        console.print(Markdown(_described(item)))


@vectors_app.command("verify", epilog="Example: roformer-conformance vectors verify numpy-equations --dtype float64")
def verify(
    implementation: Implementation = "numpy-equations",
    dtype: Annotated[
        str,
        typer.Option(help="float64 (judged by relative error) or float32 (by the budget); the widest when left out"),
    ] = "",
    case: Annotated[list[str] | None, typer.Option(help="only this vector; may be repeated")] = None,
    json: Json = None,
) -> None:
    """Check the vectors' schema and hashes, then that an implementation returns what they recorded."""
    with usage_errors():
        adapter = find_adapter(implementation)
        dtypes = recorded(Capabilities.of(adapter).dtypes)
        dtype = dtype or max(dtypes, default="")
        vectors = [vector for vector in load_vectors(by_schema=True) if not case or vector.id in case]
        if not vectors:
            raise UsageError(f"no vector is called {', '.join(case or ())}; they are named in fixtures/vectors")
        if dtype not in dtypes:
            raise UsageError(f"{implementation} computes in {', '.join(dtypes) or 'half precision'}, not in {dtype!r}")
    records, examiner = [], Examiner(adapter, FAILS_AT, implementation)
    with bar("verifying", console) as advance:
        for vector in vectors:
            record = verify_vector(adapter, vector, dtype, shlex.quote(implementation))
            records.append(examiner.examined(record))
            _naming(advance)(records[-1], len(vectors))
    result = Result(adapter.name, adapter.version, "vectors", 0, tuple(records), (), environment=environment(adapter))
    for record in result.failed:
        print_failure(record, console)
    console.print(_vectors_table(result, dtype))
    _write(result, json, None)
    raise typer.Exit(exit_code(adapter, result.conforms))


def _vectors_table(result: Result, dtype: str) -> Table:
    measure = "largest relative error" if dtype == "float64" else "largest grade R"
    title = f"{result.implementation} {result.version} in {dtype}: golden vectors"
    table = Table(title=title, title_justify="left")
    table.add_column("head", no_wrap=True)
    for name in ("passed", "failed", "not claimed", measure):
        table.add_column(name, justify="right")
    for head in dict.fromkeys(record.head for record in result.records):
        records = [record for record in result.records if record.head == head]
        counts = [sum(record.status == status for record in records) for status in ("passed", "failed", "not_claimed")]
        grades = [record.grade for record in records if record.grade is not None]
        table.add_row(head, *map(str, counts), f"{max(grades):.2g}" if grades else "")
    return table


def _clauses_table(chosen: list[Clause]) -> Table:
    checks = Counter(clause for item in all_checks().values() for clause in item.clauses)
    vectors = Counter(clause for vector in load_vectors() for clause in vector.clauses)
    table = Table("clause", "claim", "checks", "golden vectors")
    for item in chosen:
        tried = str(checks[item.id]) if checks[item.id] or vectors[item.id] else "[yellow]none yet[/]"
        table.add_row(item.id, item.title, tried, str(vectors[item.id] or ""))
    return table


def _described(clause: Clause) -> str:
    checks = [f"- `{item.id}`: {item.claim}" for item in all_checks().values() if clause.id in item.clauses]
    vectors = [item.id for item in load_vectors() if clause.id in item.clauses]
    lines = [f"## {clause.id} {clause.title}", clause.text, f"Source: {clause.source}"]
    lines += [f"Decided because: {clause.reason}"] if clause.reason else []
    lines += [f"Heads: {', '.join(clause.heads)}", f"Catches: {clause.catches}"]
    lines += [f"Differs from the documentation: {clause.differs}"] if clause.differs else []
    lines += [f"In transformers 4.37, TensorFlow: {clause.broken}"] if clause.broken else []
    if clause.contested:
        lines += ["Contested:", *(f"- {profile}: {behaviour}" for profile, behaviour in clause.contested.items())]
    lines += ["Checks:", *checks] if checks else ["Checks: none yet"]
    return "\n\n".join([*lines, f"Golden vectors: {', '.join(vectors) or 'none'}"])


def _naming(advance: Callable[[str, int], None]) -> Callable[[Record, int], None]:
    """Progress by the names of records."""
    return lambda record, total: advance(f"{record.id} {record.head}", total)


def _write(result: Result, json: Path | None, junit: Path | None) -> None:
    for path, write in ((json, write_json), (junit, write_junit)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(result, path)
            console.print(f"wrote {path}")


# Last, so that the list of commands begins with what most people want.
app.command("protocol", epilog='Example: roformer-conformance protocol "cmd:python kit.py my_adapter.py"')(
    process_commands.protocol
)
app.command("replay", epilog="Example: roformer-conformance replay failures/NUM-1.1-parity-base-float32.json numpy")(
    cli_diagnosis.replay
)
app.command("profiles", epilog="Example: roformer-conformance profiles transformers_pytorch_5")(
    profile_commands.profiles
)
app.command("faults", epilog="Example: roformer-conformance faults --json")(cli_faults.faults)
app.command("report", epilog="Example: roformer-conformance report numpy.json tensorflow.json --output report")(
    cli_report.report
)
app.command("record", epilog="Example: roformer-conformance record model-dir --output golden.safetensors")(
    cli_diagnosis.record
)
app.command("compare", epilog="Example: roformer-conformance compare golden.safetensors model-dir")(
    cli_diagnosis.compare
)
