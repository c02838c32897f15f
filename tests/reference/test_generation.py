"""Writing on from a prompt: greedy, sampled, with and without the cache, padded and ended (DEC-6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy import InputError, InputTypeError, RoFormerError

from ..support import SIZES
from .conftest import Build

V, MAX = SIZES["vocab_size"], SIZES["max_position_embeddings"]
PROMPTS = np.array([[3, 7, 11, 2], [28, 0, 5, 5], [9, 9, 9, 1]])


def by_hand(model: Any, prompt: list[int], steps: int) -> list[int]:
    """One row, one full pass for every token, the first of the largest logits."""
    row = list(prompt)
    for _ in range(steps):
        logits = model([row]).logits[0, -1].tolist()
        row.append(logits.index(max(logits)))
    return row


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_greedy_generation_takes_the_largest_logit_again_and_again(build: Build, seed: int, use_cache: bool) -> None:
    """With the cache and without it, the tokens are those of one full pass a token."""
    model = build("causal_lm", seed=seed)
    ids = model.generate(PROMPTS, max_new_tokens=9, use_cache=use_cache)
    assert ids.dtype == np.int64
    assert ids.tolist() == [by_hand(model, prompt, 9) for prompt in PROMPTS.tolist()]


@pytest.mark.parametrize("rotary_value", [False, True])
def test_the_cache_changes_no_token_up_to_the_last_position(build: Build, rotary_value: bool) -> None:
    """Until max_position_embeddings is full, cached and uncached generation write the same."""
    model = build("causal_lm", rotary_value=rotary_value)
    cached = model.generate(PROMPTS, max_new_tokens=MAX - 4)
    assert cached.shape == (3, MAX)
    assert np.array_equal(model.generate(PROMPTS, max_new_tokens=MAX - 4, use_cache=False), cached)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_left_padded_batch_writes_what_each_row_writes_alone(build: Build, use_cache: bool) -> None:
    """Prompts of unequal lengths, padded on the left with any ids, do not disturb each other."""
    model = build("causal_lm")
    prompts = [[3, 7, 11, 2, 6], [28, 0], [9, 9, 1]]
    padded = np.array([[13] * (5 - len(prompt)) + prompt for prompt in prompts])
    mask = np.array([[0] * (5 - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    together = model.generate(padded, mask, max_new_tokens=6, use_cache=use_cache)
    for row, prompt in enumerate(prompts):
        alone = model.generate([prompt], max_new_tokens=6)
        assert together[row, 5:].tolist() == alone[0, len(prompt) :].tolist() == by_hand(model, prompt, 6)[-6:]
    assert np.array_equal(together[:, :5], padded)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_row_ends_after_eos_and_is_filled_with_pad(build: Build, use_cache: bool) -> None:
    """The end token is kept, pad follows, other rows go on; when all have ended, nothing more is added."""
    model = build("causal_lm")
    free = model.generate(PROMPTS, max_new_tokens=8)
    end = int(free[1, 6])
    ended = model.generate(PROMPTS, max_new_tokens=8, eos_token_id=end, pad_token_id=17, use_cache=use_cache)
    stops = []
    for row, tokens in enumerate(free[:, 4:].tolist()):
        stop = tokens.index(end) if end in tokens else 7
        stops.append(stop)
        assert ended[row, 4 : 5 + stop].tolist() == tokens[: stop + 1]
        assert set(ended[row, 5 + stop :].tolist()) <= {17}
    assert stops[1] <= 2
    assert ended.shape[1] == 4 + max(stops) + 1


def test_generation_stops_when_every_row_has_ended(build: Build) -> None:
    """A batch whose rows all end early is short."""
    model = build("causal_lm")
    firsts = sorted(set(model.generate(PROMPTS, max_new_tokens=1)[:, -1].tolist()))
    assert model.generate(PROMPTS, max_new_tokens=9, eos_token_id=firsts).shape == (3, 5)
    assert model.generate(PROMPTS, max_new_tokens=9, eos_token_id=np.array(firsts)).shape == (3, 5)


def test_eos_and_pad_come_from_the_configuration(build: Build) -> None:
    """eos_token_id and pad_token_id of the configuration hold where the call gives none."""
    plain = build("causal_lm")
    free = plain.generate(PROMPTS, max_new_tokens=8)
    end = int(free[1, 6])
    configured = build("causal_lm", eos_token_id=end, pad_token_id=17)
    expected = plain.generate(PROMPTS, max_new_tokens=8, eos_token_id=end, pad_token_id=17)
    assert np.array_equal(configured.generate(PROMPTS, max_new_tokens=8), expected)


def test_no_new_tokens_give_the_prompt(build: Build) -> None:
    """max_new_tokens=0 returns the prompts."""
    assert np.array_equal(build("causal_lm").generate(PROMPTS, max_new_tokens=0), PROMPTS)


def test_an_empty_batch_stays_empty(build: Build) -> None:
    """No prompts in, no rows out."""
    assert build("causal_lm").generate(np.zeros((0, 4), int), max_new_tokens=3).shape[0] == 0


def test_prompts_are_not_changed(build: Build) -> None:
    """The caller's ids and mask stay as they were."""
    ids, mask = PROMPTS.copy(), np.ones_like(PROMPTS)
    build("causal_lm").generate(ids, mask, max_new_tokens=3)
    assert np.array_equal(ids, PROMPTS)
    assert mask.all()


def test_sampling_repeats_with_its_seed(build: Build) -> None:
    """One seed, one text; another seed, another; a seed means its Generator."""
    model = build("causal_lm")
    first = model.generate(PROMPTS, max_new_tokens=9, do_sample=True, generator=5, temperature=2.0)
    again = model.generate(PROMPTS, max_new_tokens=9, do_sample=True, generator=5, temperature=2.0)
    drawn = model.generate(
        PROMPTS, max_new_tokens=9, do_sample=True, generator=np.random.default_rng(5), temperature=2.0
    )
    assert np.array_equal(first, again)
    assert np.array_equal(first, drawn)
    other = model.generate(PROMPTS, max_new_tokens=9, do_sample=True, generator=6, temperature=2.0)
    assert not np.array_equal(first, other)


def test_sampling_is_the_same_with_and_without_the_cache(build: Build) -> None:
    """The cache changes no draw."""
    model = build("causal_lm")
    texts = [
        model.generate(PROMPTS, max_new_tokens=9, do_sample=True, generator=5, use_cache=use_cache)
        for use_cache in (True, False)
    ]
    assert np.array_equal(*texts)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}])
def test_a_distribution_cut_to_its_top_is_greedy(build: Build, options: dict[str, Any]) -> None:
    """top_k=1, a tiny top_p and a tiny temperature leave nothing but the likeliest token."""
    model = build("causal_lm")
    sampled = model.generate(PROMPTS, max_new_tokens=9, do_sample=True, generator=0, **options)
    assert np.array_equal(sampled, model.generate(PROMPTS, max_new_tokens=9))


def first_tokens(model: Any, **options: Any) -> np.ndarray:
    """The first token of four thousand draws after one prompt."""
    prompts = np.tile(PROMPTS[:1], (4000, 1))
    return model.generate(prompts, max_new_tokens=1, do_sample=True, generator=0, **options)[:, -1]


def softmax(logits: np.ndarray) -> np.ndarray:
    """A distribution from logits."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_draws_follow_the_tempered_distribution(build: Build, temperature: float) -> None:
    """Frequencies lie within five standard deviations of softmax(logits / temperature)."""
    model = build("causal_lm")
    probs = softmax(model(PROMPTS[:1]).logits[0, -1] / temperature)
    counts = np.bincount(first_tokens(model, temperature=temperature), minlength=V)
    assert (np.abs(counts / 4000 - probs) <= 5 * np.sqrt(probs * (1 - probs) / 4000) + 1e-3).all()


@pytest.mark.parametrize("top_k", [2, 5, V, 10 * V])
def test_top_k_draws_among_the_k_likeliest(build: Build, top_k: int) -> None:
    """Only the k largest logits are drawn, in their own proportions; a k above V means all."""
    model = build("causal_lm")
    logits = model(PROMPTS[:1]).logits[0, -1]
    kept = np.sort(np.argsort(-logits)[:top_k])
    drawn = first_tokens(model, top_k=top_k, temperature=4.0)
    assert set(drawn.tolist()) <= set(kept.tolist())
    probs = softmax(logits[kept] / 4.0)
    shares = np.array([(drawn == token).mean() for token in kept])
    assert (np.abs(shares - probs) <= 5 * np.sqrt(probs * (1 - probs) / 4000) + 1e-3).all()


@pytest.mark.parametrize("top_p", [0.3, 0.7, 0.95, 1.0])
def test_top_p_draws_among_the_fewest_tokens_that_reach_p(build: Build, top_p: float) -> None:
    """The likeliest tokens up to and including the one that crosses p."""
    model = build("causal_lm")
    probs = softmax(model(PROMPTS[:1]).logits[0, -1] / 4.0)
    kept, reached = set(), 0.0
    for token in np.argsort(-probs).tolist():
        kept.add(token)
        reached += probs[token]
        if reached >= top_p:
            break
    drawn = set(first_tokens(model, top_p=top_p, temperature=4.0).tolist())
    assert drawn <= kept
    if top_p <= 0.7:
        assert drawn == kept


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no prompt": ({"input_ids": None}, InputError, "input_ids"),
    "an id out of range": ({"input_ids": [[1, V]]}, InputError, rf"input_ids\[0, 1\] is {V}"),
    "an empty prompt": ({"input_ids": np.zeros((2, 0), int)}, InputError, "seq_len is 0"),
    "padding on the right": (
        {"attention_mask": [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]},
        InputError,
        r"attention_mask\[1, 3\] is 0.*left",
    ),
    "a mask of another shape": ({"attention_mask": [[1, 1]]}, InputError, "attention_mask"),
    "a mask of 2": ({"attention_mask": PROMPTS * 0 + 2}, InputError, "attention_mask"),
    "too many tokens": ({"max_new_tokens": MAX - 3}, InputError, f"max_new_tokens.*0 to {MAX - 4}"),
    "fewer than no tokens": ({"max_new_tokens": -1}, InputError, "max_new_tokens=-1"),
    "half a token": ({"max_new_tokens": 1.5}, InputTypeError, "max_new_tokens is 1.5"),
    "True tokens": ({"max_new_tokens": True}, InputTypeError, "max_new_tokens is True"),
    "an unknown end": ({"eos_token_id": V}, InputError, f"eos_token_id is {V}.*0 to {V - 1}"),
    "an unknown end among others": ({"eos_token_id": [1, -1]}, InputError, "eos_token_id is -1"),
    "an end in words": ({"eos_token_id": "end"}, InputTypeError, "eos_token_id"),
    "ends in a set": ({"eos_token_id": {1, 2}}, InputTypeError, "eos_token_id"),
    "a fractional end": ({"eos_token_id": 2.0}, InputTypeError, "eos_token_id is 2.0"),
    "an unknown pad": ({"pad_token_id": V}, InputError, f"pad_token_id is {V}"),
    "pad in words": ({"pad_token_id": "pad"}, InputTypeError, "pad_token_id is 'pad'"),
    "sampling as a number": ({"do_sample": 1}, InputTypeError, "do_sample is 1"),
    "temperature without sampling": ({"temperature": 0.5}, InputError, "without do_sample=True.*temperature would"),
    "top_k without sampling": ({"top_k": 3}, InputError, "without do_sample=True.*top_k would"),
    "temperature 0": ({"do_sample": True, "temperature": 0.0}, InputError, "temperature is 0.0"),
    "temperature nan": ({"do_sample": True, "temperature": float("nan")}, InputError, "temperature is nan"),
    "temperature inf": ({"do_sample": True, "temperature": float("inf")}, InputError, "temperature is inf"),
    "temperature in words": ({"do_sample": True, "temperature": "hot"}, InputTypeError, "temperature is 'hot'"),
    "temperature True": ({"do_sample": True, "temperature": True}, InputTypeError, "temperature is True"),
    "top_k 0": ({"do_sample": True, "top_k": 0}, InputError, "top_k is 0"),
    "top_k 1.5": ({"do_sample": True, "top_k": 1.5}, InputTypeError, "top_k is 1.5"),
    "top_p 0": ({"do_sample": True, "top_p": 0.0}, InputError, "top_p is 0.0"),
    "top_p 1.1": ({"do_sample": True, "top_p": 1.1}, InputError, "top_p is 1.1"),
    "top_p nan": ({"do_sample": True, "top_p": float("nan")}, InputError, "top_p is nan"),
    "a generator in words": ({"do_sample": True, "generator": "dice"}, InputTypeError, "generator is 'dice'"),
    "a negative seed": ({"do_sample": True, "generator": -1}, InputTypeError, "generator is -1"),
    "a generator in words without sampling": ({"generator": "dice"}, InputTypeError, "generator is 'dice'"),
    "a cache in words": ({"use_cache": "yes"}, InputTypeError, "use_cache is 'yes'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_option_of_generate_is_refused_by_name_and_value(build: Build, name: str) -> None:
    """Every option is checked before the first token is written."""
    changes, error, text = BAD[name]
    with pytest.raises(error, match=text) as caught:
        build("causal_lm").generate(**{"input_ids": PROMPTS, "max_new_tokens": 3, **changes})
    assert isinstance(caught.value, RoFormerError)


def test_only_causal_models_write(build: Build) -> None:
    """The other models have no generate."""
    assert not hasattr(build("masked_lm"), "generate")
    assert not hasattr(build("base", is_decoder=True), "generate")
