"""The commands `roformer-conformance peers …`."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..clauses import PROFILES
from ..levels import UsageError
from ..report import print_result, write_json
from ..report.documents import read_documents
from ..runner import check_implementation
from ..terminal import bar, exit_code, usage_errors
from .environments import is_set_up, set_up, silent, start_peer
from .exports import checkpoint_of, exported
from .known import known_differences
from .manifests import Peer, all_peers, peer_named
from .summaries import read_summaries, summary_of, write_summary
from .tables import page, put, table

app = typer.Typer(help="Other people's implementations, each in an environment of its own.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="of a peer, see `peers list`", metavar="NAME")]


@app.command("list", epilog="Example: roformer-conformance peers list")
def list_peers() -> None:
    """Name the peers, what they are, and whether their environments are there."""
    with usage_errors():
        table = Table(
            "name", "state", "version", "runs on", "what", title="peers", title_justify="left", show_edge=False
        )
        table.columns[0].no_wrap = True  # the name is what the other commands ask for
        table.columns[1].min_width = 10  # "not set up"
        for peer in all_peers().values():
            table.add_row(peer.name, _state(peer), peer.version, peer.interpreter, peer.title)
    Console().print(table)


@app.command("setup", epilog="Example: roformer-conformance peers setup transformers_pytorch_5")
def setup(name: Name) -> None:
    """Make the environment of a peer in the user's cache, with its pinned packages; this downloads them."""
    console = Console()
    with usage_errors():
        peer = peer_named(name)
        with _telling(console, f"setting up {name}") as tell:
            place = set_up(peer, tell)
    console.print(f"{name} is set up: {place}", soft_wrap=True)


@app.command("check", epilog="Example: roformer-conformance peers check transformers_pytorch_5 --level smoke")
def check(
    name: Name,
    level: Annotated[str, typer.Option(help="how many examples: smoke, default, deep")] = "smoke",
    clause: Annotated[list[str] | None, typer.Option(help="only this clause, family or check; may be repeated")] = None,
    strict: Annotated[bool, typer.Option(help="hold it to the differences that are known of it")] = True,
    model: Annotated[
        Path | None, typer.Option(help="for a peer that runs exported files: export this checkpoint, not a drawn one")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write the whole result to this file")] = None,
) -> None:
    """Check a peer; what is known of it, or registered for its profile, has to be there, and no other difference."""
    console = Console()
    with usage_errors():
        peer = peer_named(name)
        known = known_differences(peer, clause or ()) if strict else ()
        export = _export(peer, model, console)
    with usage_errors(), bar("checking", console) as advance:
        adapter = start_peer(peer, export)
        result = check_implementation(
            adapter,
            level=level,
            clauses=clause or (),
            expected=known,
            profile=peer.profile if strict else PROFILES[0],
            progress=lambda record, total: advance(f"{record.id} {record.head}", total),
            replay_name=name,
            model=checkpoint_of(export) if export else None,
        )
    print_result(result, console)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        write_json(result, json)
    raise typer.Exit(exit_code(adapter, result.conforms))


@app.command("table", epilog="Example: roformer-conformance peers table --add result.json")
def write_table(
    add: Annotated[
        list[Path] | None, typer.Option(help="a result that --json wrote, to be kept; may be repeated")
    ] = None,
    docs: Annotated[Path, typer.Option(help="the folder of pages, whose folder data keeps the data")] = Path(
        "docs/peers"
    ),
    readme: Annotated[Path, typer.Option(help="a document that gets the table, if it has the markers")] = Path(
        "README.md"
    ),
) -> None:
    """Write the table of the world's RoFormers, and a page for each, from the results that are kept."""
    console = Console()
    with usage_errors():
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        for document in read_documents(add or []):
            write_summary(summary_of(document, today), docs / "data")
        summaries = read_summaries(docs / "data")
        if not summaries:
            raise UsageError(f"{docs / 'data'} holds no result; --add RESULT.json keeps one")
        for summary in summaries:
            (docs / f"{summary['implementation']}.md").write_text(page(summary), encoding="utf-8")
        block = table(summaries, f"{docs.as_posix()}/")
        places = [docs / "README.md"] if put(docs / "README.md", table(summaries, "")) else []
        places += [readme] if put(readme, block) else []
    console.print(block, markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {len(summaries)} pages, and the table to {', '.join(map(str, places)) or 'no document'}")


def _export(peer: Peer, checkpoint: Path | None, console: Console) -> Path | None:
    """The folder of the files that a peer runs, made if need be; None for one that loads weights."""
    if not peer.exported_by:
        if checkpoint is not None:
            raise UsageError(f"--model is for a peer that runs exported files, and {peer.name} loads weights")
        return None
    with _telling(console, f"exporting with {peer.exported_by}") as tell:
        return exported(peer, checkpoint, tell)


@contextmanager
def _telling(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Where lines of a program that takes long are shown, one at a time; nowhere unless this is a terminal."""
    if not console.is_terminal:
        yield silent
        return
    with console.status(what) as status:
        yield lambda line: status.update(Text(line[: console.width - 4]))


def _state(peer: Peer) -> str:
    if os.environ.get(peer.variable):
        return f"{peer.variable}={os.environ[peer.variable]}"
    return "set up" if is_set_up(peer) else "not set up"
