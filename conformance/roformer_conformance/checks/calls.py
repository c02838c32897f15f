"""IN, further on: calls that mix what other checks try one by one, and arrays as a file or another machine has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..protocol import Array
from ..registry import check
from ..strategies import Case
from ..trial import TRACES, Trial


@check("IN-2.2", "everything-in-a-dict", heads="all", effort=0.3, needs=("call_styles:dict",))
def switches_and_none_may_be_in_the_dict(trial: Trial, case: Case) -> None:
    """A dict that holds inputs, labels, every switch, and None for what is left out equals the call by keywords."""
    given = {**case.inputs(), **case.labels()}
    absent = {"head_mask": None, "inputs_embeds": None, **({} if case.mask != "none" else {"attention_mask": None})}
    switches = {**TRACES, "return_dict": True, "training": False}
    model = trial.load(case)
    got = trial.call(model, {**given, **absent, **switches}, style="dict")
    trial.equals(f"a dict of {', '.join((*given, *absent, *switches))}", got, trial.call(model, given, **switches))


@check("IN-2.3", "list-and-keywords", heads="all", effort=0.3, needs=("call_styles:list",))
def a_list_and_keywords_equal_keywords(trial: Trial, case: Case) -> None:
    """A list of ids and mask with types, labels and switches by keyword equals the call by keywords, bit for bit."""
    inputs = {**case.inputs(), "attention_mask": case.attention_mask()}
    listed: dict[str, Any] = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    named: dict[str, Any] = {"token_type_ids": inputs["token_type_ids"], **case.labels(), **TRACES}
    model = trial.load(case)
    got = trial.call(model, listed, style="list", **named)
    trial.equals(f"a list and {', '.join(named)}", got, trial.call(model, {**inputs, **case.labels()}, **TRACES))


@check("IN-4.1", "byte-order", effort=0.3, needs=("python_values",), also=("IN-4.2", "IN-5.1"))
def byte_order_does_not_matter(trial: Trial, case: Case) -> None:
    """Arrays in the byte order of other machines give the same result, bit for bit."""
    inputs, model = {**case.inputs(), "attention_mask": case.attention_mask()}, trial.load(case)
    trial.equals("integers in another byte order", trial.call(model, _foreign(inputs)), trial.call(model, inputs))
    inputs = {"inputs_embeds": case.embeddings(), "attention_mask": case.attention_mask().astype(np.float32)}
    trial.equals("floats in another byte order", trial.call(model, _foreign(inputs)), trial.call(model, inputs))


def _foreign(inputs: dict[str, Array]) -> dict[str, Array]:
    return {name: array.astype(array.dtype.newbyteorder()) for name, array in inputs.items()}
