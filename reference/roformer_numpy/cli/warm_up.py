"""roformer warm-up: compile ahead, so that no first call has to wait."""

from __future__ import annotations

from .app import app, console


@app.command("warm-up", epilog="Example: roformer warm-up")
def warm_up_command() -> None:
    """Compile all kernels, their gradients and the engine for this processor, or find that they are."""
    from ..kernels import warm_up, warm_up_engine
    from ..kernels.cache import cache_folder
    from ..kernels.gradients.warming import warm_up_gradients

    with console.status("compiling for this processor, half a minute or less"):
        seconds = warm_up() + warm_up_gradients() + warm_up_engine()
    folder = cache_folder()
    kept = f"kept in {folder}" if folder else "not kept: there is no folder that only this user can write to"
    console.print(f"Ready after {seconds:.1f} s; compiled code is {kept}.", highlight=False, soft_wrap=True)
