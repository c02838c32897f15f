"""`roformer generate`: how a causal language model would write on."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer

from ..arithmetic import FULL
from ..models import RoFormerForCausalLM
from ..pipelines import generate
from .app import app, usage_errors
from .texts import Compute, Input, Model, given_texts, loaded, name_unknown, note, text_bar

Texts = Annotated[
    list[str] | None,
    typer.Argument(help="one or more beginnings; '' lets the model begin", metavar="TEXT", show_default=False),
]


@app.command("generate", epilog="Example: roformer generate tang-mini-writer 床前明月")
def generate_command(
    model: Model,
    texts: Texts = None,
    max_new_tokens: Annotated[int, typer.Option(help="how many tokens are added at most", min=0)] = 20,
    do_sample: Annotated[bool, typer.Option("--do-sample", help="draw instead of taking the likeliest")] = False,
    temperature: Annotated[float | None, typer.Option(help="divides the logits before drawing", min=0.0)] = None,
    top_k: Annotated[int | None, typer.Option(help="draw among the k likeliest only", min=1)] = None,
    top_p: Annotated[float | None, typer.Option(help="draw among those that reach p together", max=1.0)] = None,
    seed: Annotated[int | None, typer.Option(help="of the drawing; another each time without", min=0)] = None,
    file: Input = None,
    batch_size: Annotated[int, typer.Option(help="texts computed at once", min=1)] = 32,
    compute: Compute = FULL,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of the texts")] = False,
) -> None:
    """Write on from each text.

    A text is read as [CLS] and its tokens, and ends with the model's end
    token, by default [SEP]. Each goes on as it would alone, whatever stands
    beside it; with --seed each has its own generator of that seed.

    A masked language model has the same tensors, its output tied to the
    words or not, and can be run here; as it never learned to write from left
    to right, a note says so. A folder without a language model is refused.
    """
    with usage_errors():
        given = given_texts(texts, file)
        network, tokenizer = loaded(RoFormerForCausalLM, model, compute=compute)
        _say_if_not_causal(model, network)
        with text_bar("writing", len(given)) as advance:
            found = generate(
                network, tokenizer, given, max_new_tokens, do_sample=do_sample, temperature=temperature, top_k=top_k,
                top_p=top_p, seed=seed, batch_size=batch_size, on_batch=advance,
            )  # fmt: skip
    if json:
        results = [asdict(text) for text in found]
        typer.echo(json_module.dumps({"model": model, "results": results}, indent=2, ensure_ascii=False))
        return
    for text in found:
        typer.echo(f"{text.text}{text.continuation}")
        name_unknown(text.text, text.unknown)


def _say_if_not_causal(model: str, network: RoFormerForCausalLM) -> None:
    classes = [str(name) for name in network.config.extra.get("architectures") or ()]
    if classes and not network.config.is_decoder and not any(name.endswith("ForCausalLM") for name in classes):
        note(f"{model} was saved as {', '.join(classes)}, which did not learn to write from left to right")
