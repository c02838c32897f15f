"""Whether a process speaks the protocol: every message that it claims to understand, before any number is judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..protocol import Capabilities, ImplementationDied, Unsupported
from ..strategies import Case, typical_case
from ..trial import Trial
from .adapter import ProcessAdapter
from .child import PATIENCE

# How the names of those steps begin that load a model of a head.
LOADS = "load, call "

# An output that every model of a head has.
_MAIN = {"base": "last_hidden_state", "question_answering": "start_logits"}


@dataclass(frozen=True)
class Step:
    """One message, or one way of sending it, and what came of it."""

    name: str
    status: str  # passed, failed, unsupported
    detail: str = ""


def rehearse(adapter: ProcessAdapter) -> Iterator[Step]:
    """Send every message that the adapter claims to understand; the process has ended afterwards.

    A process that dies ends the rehearsal: its last step names the cause.

    Raises:
        AdapterError: a claim is unknown.
    """
    capabilities = Capabilities.of(adapter)
    yield Step("start", "passed", f"{adapter.name} {adapter.version}, {', '.join(capabilities.heads)}")
    for name, attempt in _attempts(adapter, capabilities):
        step = _tried(name, attempt)
        yield step
        if adapter.deaths:
            return
    code = adapter.close()
    told = f"no end within {PATIENCE:g} seconds: it was killed" if code is None else f"exit code {code}"
    yield Step("stop", "passed" if code == 0 else "failed", told)


def _tried(name: str, attempt: Callable[[], str]) -> Step:
    try:
        return Step(name, "passed", attempt())
    except Unsupported as reason:
        return Step(name, "unsupported", str(reason))
    except ImplementationDied as death:
        return Step(name, "failed", str(death))
    except Exception as error:  # whatever an implementation answers a legitimate message with
        return Step(name, "failed", f"{type(error).__name__}: {error}")


def _attempts(adapter: ProcessAdapter, capabilities: Capabilities) -> Iterator[tuple[str, Callable[[], str]]]:
    for dtype in capabilities.dtypes:
        for head in capabilities.heads:
            yield f"{LOADS}{head} {dtype}", partial(_call, Trial(adapter, dtype), _case(head, capabilities), "keywords")
    trial, case = Trial(adapter, capabilities.dtypes[0]), _case(capabilities.heads[0], capabilities)
    for style in capabilities.call_styles:
        yield f"call as {style}", partial(_call, trial, case, style)
    yield "error", partial(_error, adapter, trial, case)
    for need, name, action in (
        ("saving", "save, load_saved", _save),
        ("pruning", "prune_heads", _prune),
        ("resizing", "resize", _resize),
        ("cache", "call with a cache", _cached),
        ("graph", "call in a graph", _graph),
        ("configuration", "configure", _configure),
    ):
        if capabilities.claims(need):
            yield name, partial(action, trial, case)
    with_loss = [head for head in capabilities.heads if head != "base"]
    if capabilities.gradients and with_loss:
        yield "gradients", partial(_gradients, trial, _case(with_loss[0], capabilities))
    if capabilities.generation:
        yield "generate", partial(_generate, trial, _case("causal_lm", capabilities))


def _case(head: str, capabilities: Capabilities) -> Case:
    """An ordinary RoFormer, which everybody can load; a decoder where that is what has a cache."""
    decoder = head == "causal_lm" or (head == "base" and capabilities.cache)
    return typical_case(
        0, head, masks=("none",), min_heads=2, num_labels=2, is_decoder=decoder, rotary_value=False, projected=False
    )


def _call(trial: Trial, case: Case, style: str) -> str:
    alone = {"single": "input_ids", "items": "0"}
    inputs = {alone[style]: case.inputs()["input_ids"]} if style in alone else case.inputs()
    got = trial.call(trial.load(case), inputs, style=style)
    main = _MAIN.get(case.head, "logits")
    if main not in got:
        raise ValueError(f"outputs hold {', '.join(got) or 'nothing'}, expected {main} among them")
    return f"{main} {got[main].shape} {got[main].dtype}"


def _error(adapter: ProcessAdapter, trial: Trial, case: Case) -> str:
    """A model that was never loaded is an error, and the process goes on."""
    try:
        adapter.ask_with("call", 2**20, case.inputs(), {}, style="keywords")
    except ImplementationDied:
        raise
    except Exception as error:
        _call(trial, case, "keywords")
        return f"a model that is not there: {type(error).__name__}"
    raise ValueError("a model that was never loaded gave outputs, expected an error")


def _save(trial: Trial, case: Case) -> str:
    adapter: Any = trial.adapter
    model: Any = trial.load(case)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        trial.call(adapter.load_saved(case.head, folder, trial.dtype), case.inputs())
    return ""


def _prune(trial: Trial, case: Case) -> str:
    model: Any = trial.load(case)
    model.prune_heads({0: [0]})
    return _shapes(trial.call(model, case.inputs()))


def _resize(trial: Trial, case: Case) -> str:
    model: Any = trial.load(case)
    model.resize_token_embeddings(case.config["vocab_size"] + 3)
    return _shapes(trial.call(model, case.inputs()))


def _gradients(trial: Trial, case: Case) -> str:
    model: Any = trial.load(case)
    return f"{len(model.gradients({**case.inputs(), **case.labels()}, {}))} arrays"


def _cached(trial: Trial, case: Case) -> str:
    got = trial.call(trial.load(case), case.inputs(), use_cache=True)
    names = [name for name in got if name.startswith("past_key_values.")]
    if not names:
        raise ValueError(f"use_cache=True gave {', '.join(got)}, expected past_key_values among them")
    return f"{len(names)} entries"


def _graph(trial: Trial, case: Case) -> str:
    model: Any = trial.load(case)
    return _shapes(model.execute(case.inputs(), {}, "graph"))


def _configure(trial: Trial, case: Case) -> str:
    adapter: Any = trial.adapter
    return f"{len(adapter.configure(dict(case.config)))} fields"


def _generate(trial: Trial, case: Case) -> str:
    model: Any = trial.load(case)
    inputs = {name: array for name, array in case.inputs().items() if name != "token_type_ids"}
    return str(model.generate(inputs, {"max_new_tokens": 2}).shape)


def _shapes(outputs: dict[str, Any]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in outputs.items() if "." not in name)
