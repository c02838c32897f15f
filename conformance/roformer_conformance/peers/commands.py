"""The commands `roformer-conformance peers …`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..expectations import load_expectations
from ..report import print_result, write_json
from ..runner import check_implementation
from ..terminal import bar, exit_code, usage_errors
from .environments import is_set_up, set_up, start_peer
from .manifests import Peer, all_peers, peer_named

app = typer.Typer(help="Other people's implementations, each in an environment of its own.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="of a peer, see `peers list`", metavar="NAME")]


@app.command("list", epilog="Example: roformer-conformance peers list")
def list_peers() -> None:
    """Name the peers, what they are, and whether their environments are there."""
    with usage_errors():
        table = Table(
            "name", "what", "version", "Python", "environment", title="peers", title_justify="left", show_edge=False
        )
        table.columns[0].no_wrap = True  # the name is what the other commands ask for
        table.columns[1].min_width = table.columns[4].min_width = 12  # the longest word, "not set up"
        for peer in all_peers().values():
            table.add_row(peer.name, peer.title, peer.version, ", ".join(peer.python), _state(peer))
    Console().print(table)


@app.command("setup", epilog="Example: roformer-conformance peers setup transformers_pytorch_5")
def setup(name: Name) -> None:
    """Make the environment of a peer in the user's cache, with its pinned packages; this downloads them."""
    console = Console()
    with usage_errors():
        peer = peer_named(name)
        if not console.is_terminal:
            python = set_up(peer)
        else:
            with console.status(f"setting up {name}") as status:
                python = set_up(peer, lambda line: status.update(Text(line[: console.width - 4])))
    console.print(f"{name} is set up: {python}", soft_wrap=True)


@app.command("check", epilog="Example: roformer-conformance peers check transformers_pytorch_5 --level smoke")
def check(
    name: Name,
    level: Annotated[str, typer.Option(help="how many examples: smoke, default, deep")] = "smoke",
    clause: Annotated[list[str] | None, typer.Option(help="only this clause, family or check; may be repeated")] = None,
    strict: Annotated[bool, typer.Option(help="hold it to the differences that are known of it")] = True,
    json: Annotated[Path | None, typer.Option("--json", help="write the whole result to this file")] = None,
) -> None:
    """Check a peer; the differences that are known of it have to be there, and no others."""
    console = Console()
    with usage_errors(), bar("checking", console) as advance:
        peer = peer_named(name)
        known = load_expectations(peer.expected) if peer.expected and strict else ()
        if clause:  # what is expected of the others is not tried
            known = tuple(item for item in known if item.id.startswith(tuple(clause)))
        adapter = start_peer(peer)
        result = check_implementation(
            adapter,
            level=level,
            clauses=clause or (),
            expected=known,
            progress=lambda record, total: advance(f"{record.id} {record.head}", total),
            replay_name=name,
        )
    print_result(result, console)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        write_json(result, json)
    raise typer.Exit(exit_code(adapter, result.conforms))


def _state(peer: Peer) -> str:
    if os.environ.get(peer.variable):
        return f"{peer.variable}={os.environ[peer.variable]}"
    return "set up" if is_set_up(peer) else "not set up"
