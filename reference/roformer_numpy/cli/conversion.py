"""`roformer convert`: a model folder of any format as a Hugging Face folder of safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..checkpoints import convert_folder
from ..checkpoints.conversion import DTYPES, Conversion
from ..models_in_the_box import names, resolve
from ..weights import HEADS
from .app import app, console, usage_errors
from .reading import reading_bar
from .sizes import bytes_of, shown_bytes

Source = Annotated[
    str,
    typer.Argument(
        help=f"a model folder of any format, or a model in the box: {', '.join(names())}",
        metavar="SOURCE",
        show_default=False,
    ),
]
Target = Annotated[Path, typer.Argument(help="a folder that is new or empty", metavar="TARGET", show_default=False)]
Head = Annotated[str | None, typer.Option(help=f"by default what SOURCE is: {', '.join(HEADS)}", show_default=False)]
Dtype = Annotated[str | None, typer.Option(help=f"by default that of SOURCE: {', '.join(DTYPES)}", show_default=False)]


@app.command(epilog="Example: roformer convert chinese_roformer_L-12_H-768_A-12 roformer_chinese_base")
def convert(
    source: Source,
    target: Target,
    head: Head = None,
    dtype: Dtype = None,
    max_shard_size: Annotated[str, typer.Option(help="of one file with weights, like 5GB or 200MB")] = "5GB",
    force: Annotated[bool, typer.Option("--force", help="write into a folder that is not empty")] = False,
) -> None:
    """Write SOURCE (safetensors, pytorch_model.bin, tf_model.h5 or a TensorFlow 1 checkpoint) anew as safetensors."""
    folder = resolve(source)
    with usage_errors(), reading_bar(folder) as on_read:
        written = convert_folder(
            folder,
            target,
            head=head,
            dtype=dtype,
            max_shard_size=bytes_of(max_shard_size),
            force=force,
            on_read=on_read,
        )
    _print(written, target)


def _print(written: Conversion, target: Path) -> None:
    """What was made, and what was not kept."""
    lines = [f"{written.format} → {target}: {written.head}, {written.dtype}"]
    lines += [f"  {name} {shown_bytes(size)}" for name, size in written.files.items()]
    lines += [f"note: {remark}" for remark in written.remarks]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
