"""What generate promises beyond the contract's checks: truncated sampling, and refusals (DEC-6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy import InputError, InputTypeError

from .samples import MODELS, config_of

PROMPT = np.array([[0, 3, 5], [7, 2, 9]])
PADDED = np.array([[0, 1, 1], [1, 1, 1]])


@pytest.fixture(scope="module")
def model() -> Any:
    """A causal language model with fresh weights and a bias that makes tokens unequally likely."""
    model = MODELS["causal_lm"](config_of(is_decoder=True, initializer_range=0.4), dtype="float64")
    model.head_layer.bias.assign(np.linspace(0, 3, 29))
    return model


def test_the_least_truncation_leaves_only_the_most_likely_token(model: Any) -> None:
    """top_k=1 and a tiny top_p both draw what greedy takes."""
    greedy = model.generate(PROMPT, PADDED, max_new_tokens=5).numpy()
    for options in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}):
        assert np.array_equal(model.generate(PROMPT, PADDED, max_new_tokens=5, do_sample=True, **options), greedy)


def test_truncation_keeps_what_it_says(model: Any) -> None:
    """top_k=3 draws only the three most likely, and all three of them."""
    prompts = np.tile(PROMPT[1:], (200, 1))
    likely = np.argsort(model(PROMPT[1:]).logits[0, -1])[-3:]
    drawn = model.generate(prompts, max_new_tokens=1, do_sample=True, top_k=3, seed=1).numpy()[:, -1]
    assert set(drawn) == set(likely)


def test_no_new_tokens_give_the_prompt_back(model: Any) -> None:
    """max_new_tokens=0 is allowed."""
    assert np.array_equal(model.generate(PROMPT, max_new_tokens=0), PROMPT)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_new_tokens": 17}, InputError, "allowed are 0 to 16"),
        ({"max_new_tokens": 1.5}, InputTypeError, "max_new_tokens"),
        ({"attention_mask": PADDED[:, ::-1]}, InputError, "pad prompts on the left"),
        ({"do_sample": 1}, InputTypeError, "do_sample"),
        ({"do_sample": True, "temperature": 0.0}, InputError, "temperature"),
        ({"do_sample": True, "top_p": 1.5}, InputError, "top_p is 1.5, allowed is above 0 to 1"),
        ({"do_sample": True, "top_k": 0}, InputError, "top_k"),
        ({"eos_token_id": 29}, InputError, "eos_token_id is 29"),
        ({"pad_token_id": -1}, InputError, "pad_token_id is -1"),
        ({"seed": "x", "do_sample": True}, InputTypeError, "seed"),
    ],
)
def test_wrong_options_are_refused(model: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    """Each refusal names the option and what is allowed."""
    with pytest.raises(error, match=words):
        model.generate(PROMPT, **options)
