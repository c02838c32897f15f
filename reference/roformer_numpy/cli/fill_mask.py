"""`roformer fill-mask`: what a masked language model would write in the place of each [MASK]."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..arithmetic import FULL
from ..models import RoFormerForMaskedLM
from ..pipelines import FilledText, fill_mask
from .app import app, console, usage_errors
from .texts import Compute, Input, Model, given_texts, loaded, name_unknown, note, text_bar

Texts = Annotated[list[str] | None, typer.Argument(help="one or more texts with [MASK]", metavar="TEXT")]


@app.command("fill-mask", epilog="Example: roformer fill-mask tang-mini '床前[MASK]月光'")
def fill_mask_command(
    model: Model,
    texts: Texts = None,
    top_k: Annotated[int, typer.Option(help="how many predictions each mask gets", min=1)] = 5,
    file: Input = None,
    targets: Annotated[str | None, typer.Option(help="choose among these only, such as 明,白")] = None,
    batch_size: Annotated[int, typer.Option(help="texts computed at once", min=1)] = 32,
    compute: Compute = FULL,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of tables")] = False,
) -> None:
    """Predict the token behind every [MASK].

    Each mask of a text gets predictions of its own, the others left masked:
    the best of two masks need not be the best pair. Percentages are of the
    whole vocabulary, also with --targets. A piece of a text that the
    vocabulary does not know is read as [UNK] and named.
    """
    with usage_errors():
        given = given_texts(texts, file)
        network, tokenizer = loaded(RoFormerForMaskedLM, model, compute=compute)
        _say_if_causal(model, network)
        wanted = [target.strip() for target in targets.split(",")] if targets is not None else None
        with text_bar("filling", len(given)) as advance:
            found = fill_mask(network, tokenizer, given, top_k, targets=wanted, batch_size=batch_size, on_batch=advance)
    if json:
        results = [asdict(text) for text in found]
        typer.echo(json_module.dumps({"model": model, "results": results}, indent=2, ensure_ascii=False))
    else:
        _print(found)


def _say_if_causal(model: str, network: RoFormerForMaskedLM) -> None:
    classes = [str(name) for name in network.config.extra.get("architectures") or ()]
    if classes and all(name.endswith("ForCausalLM") for name in classes):
        note(f"{model} was saved as {', '.join(classes)}, which did not learn to fill in masks")


def _print(found: list[FilledText]) -> None:
    for text in found:
        for number, mask in enumerate(text.masks, 1):
            which = f", mask {number} of {len(text.masks)}" if len(text.masks) > 1 else ""
            table = Table("token", "probability", "text", title=escape(f"{text.text}{which}"), title_justify="left")
            table.columns[1].justify = "right"
            for guess in mask.predictions:
                table.add_row(escape(guess.token), f"{guess.probability:.1%}", escape(guess.filled))
            console.print(table)
        name_unknown(text.text, text.unknown)
