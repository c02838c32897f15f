"""`roformer inspect`: what a model folder holds."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..checkpoints import inspect_folder
from ..checkpoints.inspection import Inspection
from ..models_in_the_box import names, resolve
from .app import app, console, usage_errors
from .reading import reading_bar
from .sizes import shown_bytes

SINUSOIDS = {
    "equal": "equal to the computed one",
    "different": "differs from the computed one, which is used",
    "absent": "not stored; it is computed",
}
LANGUAGE_MODEL = {
    "tied": "tied to the word embeddings",
    "untied": "its own weights",
    "absent": "no language model head",
}


Model = Annotated[
    str,
    typer.Argument(
        help=f"a model folder of any format, or a model in the box: {', '.join(names())}",
        metavar="MODEL",
        show_default=False,
    ),
]


@app.command(epilog="Example: roformer inspect roformer_chinese_base")
def inspect(
    model: Model,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of tables")] = False,
) -> None:
    """Say what a model folder holds: format, sizes, head, precision, and what each of the seven models would lack.

    Exit code 2 also where the model that the folder says it is cannot be loaded whole.
    """
    folder = resolve(model)
    with usage_errors(), reading_bar(folder) as on_read:
        found = inspect_folder(folder, on_read)
    if json:
        typer.echo(json_module.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(found)
    if not found.is_whole:
        raise typer.Exit(2)


def _print(found: Inspection) -> None:
    console.print(_summary(found))
    console.print(_fits(found))


def _summary(found: Inspection) -> Table:
    """One row for each thing that is known about the folder."""
    table = Table("", escape(found.folder), show_edge=False)
    others = f" (chosen over {', '.join(found.other_formats)}, also there)" if found.other_formats else ""
    for name, value in (
        ("format", f"{found.format}{others}"),
        ("files", "\n".join(f"{name} {shown_bytes(size)}" for name, size in found.files.items())),
        ("config", ", ".join(f"{name} {value}" for name, value in found.config.items())),
        ("head", f"{found.head}: {found.head_from}"),
        ("parameters", f"{found.parameters:,}"),
        (
            "precision",
            ", ".join(
                f"{count} {'tensor' if count == 1 else 'tensors'} {name}" for name, count in found.dtypes.items()
            ),
        ),
        ("output weights", LANGUAGE_MODEL[found.language_model]),
        ("position table", SINUSOIDS[found.sinusoids]),
    ):
        table.add_row(name, escape(value))
    return table


def _fits(found: Inspection) -> Table:
    """For each of the seven models what it would lack, and what it would not use."""
    table = Table("loaded as", "what does not fit", show_edge=False)
    for head, fit in found.fits.items():
        misshapen = [f"{name} has shape {got}, expected {wanted}" for name, (got, wanted) in fit.misshapen.items()]
        parts = {"missing": _grouped(fit.missing), "misshapen": misshapen, "not used": _grouped(fit.unused)}
        lines = [f"{what}: {_listed(names)}" for what, names in parts.items() if names]
        table.add_row(head, escape("\n".join(lines)) or "–", style="bold" if head == found.head else None)
    return table


def _grouped(names: list[str]) -> list[str]:
    """The names, weight and bias of one layer as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    return [f"{parent}.*" if len(members) > 1 else members[0] for parent, members in groups.items()]


def _listed(names: list[str], most: int = 8) -> str:
    rest = [f"and {len(names) - most} more (--json lists all)"] if len(names) > most else []
    return ", ".join([*names[:most], *rest])
