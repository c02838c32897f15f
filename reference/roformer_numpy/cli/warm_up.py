"""roformer warm-up: compile ahead, so that no first call has to wait, and keep packed weights for those who ask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .. import packed_files
from ..arithmetic import FULL, checked_compute, components_named
from ..checkpoints import read_config
from ..errors import InputError
from ..models_in_the_box import resolve
from .app import app, console, usage_errors

LIMIT = f"{packed_files.LIMIT / 1e9:.0f} GB"


@app.command("warm-up", epilog="Example: roformer warm-up, or roformer warm-up model-dir")
def warm_up_command(
    model: Annotated[
        str | None, typer.Argument(help="a model folder with float32 safetensors, whose packed weights are kept")
    ] = None,
    compute: Annotated[str, typer.Option(help="what products will multiply: float32, or bfloat16 as well")] = FULL,
    clear: Annotated[bool, typer.Option("--clear", help="delete all packed weights first")] = False,
) -> None:
    """Compile all kernels, their gradients and the engine for this processor, or find that they are."""
    from ..kernels import warm_up, warm_up_engine
    from ..kernels.cache import cache_folder
    from ..kernels.gradients.warming import warm_up_gradients

    with usage_errors():
        checked_compute(compute, np.dtype(np.float32), components_named("kernels"))
    folder_of_model = None if model is None else resolve(model)
    if folder_of_model is not None:
        with usage_errors():  # before half a minute of compiling
            _expect_room(folder_of_model)
    if clear:
        console.print(f"{packed_files.clear() / 1e6:.0f} MB of packed weights deleted.", highlight=False)
    with console.status("compiling for this processor, half a minute or less"):
        seconds = warm_up() + warm_up_gradients() + sum(warm_up_engine(kind) for kind in {FULL, compute})
    folder = cache_folder()
    kept = f"kept in {folder}" if folder else "not kept: there is no folder that only this user can write to"
    console.print(f"Ready after {seconds:.1f} s; compiled code is {kept}.", highlight=False, soft_wrap=True)
    if folder_of_model is not None:
        with usage_errors(), console.status("packing"):
            _keep_packed(folder_of_model, compute)


def _expect_room(folder: Path) -> None:
    """The folder holds a model, and no larger one than is ever kept."""
    read_config(folder)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if weights > packed_files.LIMIT:
        raise InputError(f"{folder} holds {weights / 1e9:.1f} GB of weights, more than {LIMIT} are never kept packed")


def _keep_packed(folder: Path, compute: str) -> None:
    from ..models import RoFormerForMaskedLM

    with packed_files.making(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="roformer_numpy")
        RoFormerForMaskedLM.from_pretrained(folder, compute=compute)([[0]])
    if not packed_files.bytes_kept():
        least = f"{packed_files.LEAST / 1e6:.0f} MB"
        console.print(f"Nothing to keep: only float32 safetensors are mapped, and less than {least} is packed at once.")
        return
    console.print(
        f"{packed_files.bytes_kept() / 1e6:.0f} MB of packed weights in {packed_files.folder()}; "
        f"of more than {LIMIT} those used longest ago are deleted.", highlight=False, soft_wrap=True,
    )  # fmt: skip
