"""`roformer embed`: a vector for each text."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from ..arithmetic import FULL
from ..errors import InputError
from ..models import RoFormerModel
from ..pipelines import embed
from ..weights import Array
from .app import app, console, usage_errors
from .texts import Compute, Input, Model, given_texts, loaded, name_unknown, note, text_bar

Texts = Annotated[list[str] | None, typer.Argument(help="one or more texts", metavar="TEXT", show_default=False)]
Pooling = Annotated[
    Literal["mean", "first", "pooler"],
    typer.Option(help="mean of the tokens' last states, the first one's, or the pooler's output"),
]
Output = Annotated[Path | None, typer.Option("--output", help="write the vectors, (texts, hidden), to this .npy file")]


@app.command("embed", epilog="Example: roformer embed tang-mini 床前明月光 疑是地上霜 --output vectors.npy")
def embed_command(
    model: Model,
    texts: Texts = None,
    pooling: Pooling = "mean",
    output: Output = None,
    file: Input = None,
    batch_size: Annotated[int, typer.Option(help="texts computed at once", min=1)] = 32,
    compute: Compute = FULL,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of a table")] = False,
) -> None:
    """Give each text a vector, float32, from the encoder's last layer.

    Any folder will do; its head is not used. The pooler is an error where
    the weights hold none. Without --output and --json a table shows each
    vector's length and the cosines between the texts. A piece of a text that
    the vocabulary does not know is read as [UNK] and named.
    """
    with usage_errors():
        _check_place(output)
        given = given_texts(texts, file)
        network, tokenizer = loaded(
            RoFormerModel, model, silent=("does not use", "pooler_output will be None"), compute=compute
        )
        _say_if_causal(model, network)
        unknown: dict[str, tuple[str, ...]] = {}
        with text_bar("embedding", len(given)) as advance:
            vectors = embed(
                network, tokenizer, given, pooling,
                batch_size=batch_size, on_batch=advance, on_unknown=unknown.__setitem__,
            )  # fmt: skip
        if output is not None:
            np.save(output, vectors)
    _name_all_unknown(unknown)
    if json:
        results = [{"text": text, "vector": vector.tolist()} for text, vector in zip(given, vectors, strict=True)]
        described = {"model": model, "pooling": pooling, "results": results}
        typer.echo(json_module.dumps(described, ensure_ascii=False))
    elif output is None:
        console.print(_table(given, vectors))
    else:
        note(f"wrote {output}, float32, {len(given)} x {vectors.shape[1]}")


def _check_place(output: Path | None) -> None:
    """Before anything is computed."""
    if output is not None and output.suffix != ".npy":
        raise InputError(f"--output {output} does not end in .npy")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}")


def _name_all_unknown(unknown: dict[str, tuple[str, ...]], most: int = 8) -> None:
    for text, pieces in list(unknown.items())[:most]:
        name_unknown(text, pieces)
    if len(unknown) > most:
        note(f"pieces of {len(unknown) - most} more texts are read as [UNK]")


def _say_if_causal(model: str, network: RoFormerModel) -> None:
    classes = [str(name) for name in network.config.extra.get("architectures") or ()]
    if not network.config.is_decoder and any(name.endswith("ForCausalLM") for name in classes):
        note(
            f"{model} was saved as {', '.join(classes)} with is_decoder False: its encoder looks both ways here, as in "
            "RoFormerModel of transformers, which is not how it was trained"
        )


def _table(texts: list[str], vectors: Array, most: int = 8) -> Table:
    """Length and cosines; of more texts than `most` the cosines with the first ones."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    directions = vectors / np.maximum(lengths, 1e-300)[:, None]
    shown = texts[:most]
    table = Table("", "text", "length", *(f"cosine with {number}" for number in range(1, len(shown) + 1)))
    for number, (text, length, cosines) in enumerate(zip(texts, lengths, directions @ directions.T, strict=True), 1):
        row = [f"{cosine:.3f}" for cosine in cosines[:most]]
        table.add_row(str(number), escape(text), f"{length:.2f}", *row)
    return table
