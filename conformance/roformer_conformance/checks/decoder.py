"""DEC: causality, the cache, cross-attention and generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formulas import edited, within_reach
from ..precision import PRECISIONS
from ..protocol import Array, Model, Outputs, cache_of
from ..registry import DECODER_HEADS, check
from ..strategies import Case
from ..trial import CACHED, TRACES, Trial, expect

PER_TOKEN = ("hidden_states", "last_hidden_state", "logits")
STATES: Mapping[str, Any] = {"output_hidden_states": True}


@check("DEC-1.1", "future-is-unseen", heads=("causal_lm",), min_seq_len=2)
def a_language_model_never_sees_the_future(trial: Trial, case: Case) -> None:
    """Other tokens after a position change nothing up to it, whether is_decoder is True or False."""
    for is_decoder in (True, False):
        _expect_blind_to_the_future(trial, case.with_config(is_decoder=is_decoder))


@check(
    "DEC-1.2", "decoders-are-causal", min_seq_len=2, effort=0.4, is_decoder=True,
    heads=("base", "masked_lm", "sequence_classification", "token_classification", "multiple_choice",
           "question_answering"),
)  # fmt: skip
def other_models_are_causal_as_decoders(trial: Trial, case: Case) -> None:
    """With is_decoder True any model is causal: other tokens after a position change nothing up to it."""
    _expect_blind_to_the_future(trial, case)


@check("DEC-2.1", "hidden-weights-are-zero", heads=DECODER_HEADS, is_decoder=True, profiles=("strong", "huge_score"))
def hidden_keys_weigh_nothing(trial: Trial, case: Case) -> None:
    """A query that sees some key gives weight exactly 0 to every masked and to every later key."""
    got = trial.call(trial.load(case), case.inputs(), **TRACES)
    visible = np.broadcast_to(case.visible(), got["attentions.0"].shape)
    hidden = ~visible & visible.any(axis=-1, keepdims=True)
    for layer in range(case.config["num_hidden_layers"]):
        weights = got[f"attentions.{layer}"]
        wrong = np.argwhere(hidden & (weights != 0.0))
        expect(
            not len(wrong),
            f"attentions.{layer}{wrong[:1].tolist()} is {weights[hidden & (weights != 0.0)][:1].tolist()} for a key "
            "that is masked or later, expected exactly 0",
        )


@check("DEC-2.2", "visible-weights-are-positive", heads=DECODER_HEADS, is_decoder=True, profiles=("strong", "hf_init"))
def visible_keys_weigh_something(trial: Trial, case: Case) -> None:
    """Every visible key has a weight above 0 while scores lie within 80 of each other, the query's own key too."""
    got = trial.call(trial.load(case), case.inputs(), **TRACES)
    exact = trial.oracle(case).run(case.inputs(), TRACES)
    visible = np.broadcast_to(case.visible(), got["attentions.0"].shape)
    for layer in range(case.config["num_hidden_layers"]):
        seen = (got[f"attentions.{layer}"] > 0.0) | PRECISIONS[trial.dtype].underflows
        wrong = np.argwhere(visible & ~seen & within_reach(exact[f"attentions.{layer}"]))
        expect(not len(wrong), f"attentions.{layer}{wrong[:1].tolist()} is not above 0 for a visible key")


@check(
    "DEC-3", "prefix", heads=DECODER_HEADS, masks=("none", "right", "left", "irregular"), min_seq_len=2, is_decoder=True
)
def a_prefix_gives_a_prefix(trial: Trial, case: Case) -> None:
    """The first positions called alone give what they give in the whole sequence."""
    inputs, length = case.inputs(), 1 + case.seed % (case.seq_len - 1)
    model = trial.load(case)
    whole = trial.call(model, inputs, **STATES)
    expected = {tap: array[:, :length] for tap, array in whole.items() if tap.startswith(PER_TOKEN)}
    got = trial.call(model, {name: array[:, :length] for name, array in inputs.items()}, **STATES)
    trial.match(f"the first {length} alone", got, expected, case, inputs, lambda array: array[:, :length], STATES)


@check(
    "DEC-4", "every-split", heads=DECODER_HEADS, needs=("cache",), effort=0.6, min_seq_len=3, is_decoder=True,
    masks=("none", "right", "left", "irregular"), also=("ROT-2.7", "DEC-5.3"),
)  # fmt: skip
def cache_is_the_full_pass(trial: Trial, case: Case) -> None:
    """A sequence computed in two calls, split anywhere, gives what one call gives, padded or not."""
    _expect_cache_changes_nothing(trial, case, [(cut,) for cut in range(1, case.seq_len)], case.inputs())


@check(
    "DEC-4", "token-by-token", heads=DECODER_HEADS, needs=("cache",), min_seq_len=3, is_decoder=True,
    masks=("none", "left", "irregular"),
)  # fmt: skip
def cache_grows_token_by_token(trial: Trial, case: Case) -> None:
    """A sequence computed one token at a time gives what one call gives."""
    _expect_cache_changes_nothing(trial, case, [tuple(range(1, case.seq_len))], case.inputs())


@check("DEC-4", "past-blocks", heads=DECODER_HEADS, needs=("cache",), effort=0.1, is_decoder=True, max_batch=1,
       min_seq_len=131, max_seq_len=131, max_position_embeddings=160, hidden_size=6, num_attention_heads=1,
       num_hidden_layers=1, add_pooling_layer=False, masks=("none", "left"), also=("DEC-5.3",))  # fmt: skip
def cache_grows_past_blocks(trial: Trial, case: Case) -> None:
    """A cache filled up to 16, 32, 64 or 128 positions that goes on by one, then by many, gives what one call gives."""
    cuts = tuple(cut for full in (16, 32, 64, 128) for cut in (full, full + 1))
    _expect_cache_changes_nothing(trial, case, [cuts], case.inputs())


@check("DEC-5.3", "entries", heads=DECODER_HEADS, needs=("cache",), is_decoder=True, also=("ROT-2.3",))
def cache_holds_keys_and_values(trial: Trial, case: Case) -> None:
    """past_key_values has two arrays (B, N, length, d) a layer, and what is cached is what the next call returns."""
    got = trial.call(trial.load(case), case.inputs(), **CACHED)
    _expect_entries(case, got, (case.seq_len, case.seq_len))


@check(
    "DEC-5.3", "keys-are-turned", heads=DECODER_HEADS, needs=("cache",), masks=("none",), min_seq_len=2, is_decoder=True
)
def cached_keys_are_turned(trial: Trial, case: Case) -> None:
    """A key reduced to a bias b in its first feature is cached at position p as (b·cos p, b·sin p), 0 elsewhere."""
    heads, width = case.config["num_attention_heads"], case.config["hidden_size"]
    first = np.zeros(width)
    first[:: width // heads] = 2.0
    weights = edited(
        trial.weights(case),
        {r"\.attention\.self\.key\.weight": np.zeros_like, r"\.attention\.self\.key\.bias": lambda bias: first},
    )
    got = trial.call(trial.load(case, weights), case.inputs(), **CACHED)
    keys = np.zeros((case.batch, heads, case.seq_len, width // heads))
    keys[..., 0], keys[..., 1] = 2.0 * np.cos(np.arange(case.seq_len)), 2.0 * np.sin(np.arange(case.seq_len))
    expected = {f"past_key_values.{layer}.0": keys for layer in range(case.config["num_hidden_layers"])}
    trial.match("keys of one feature", got, expected, case, case.inputs(), options=CACHED, weights=weights)


CROSS: Mapping[str, Any] = {"add_cross_attention": True, "is_decoder": True, "effort": 0.5}


@check("DEC-5.1", "encoder-matters", heads=DECODER_HEADS, needs=("cross_attention",), **CROSS)
def encoder_states_matter(trial: Trial, case: Case) -> None:
    """Another state of the encoder moves every layer's output, at every position of the decoder."""
    inputs = _with_encoder(case)
    states = inputs["encoder_hidden_states"].copy()
    states[:, 0] += 1.0 + np.abs(states[:, 0])
    model = trial.load(case)
    before = trial.call(model, inputs, **STATES)
    after = trial.call(model, {**inputs, "encoder_hidden_states": states}, **STATES)
    for layer in range(1, case.config["num_hidden_layers"] + 1):
        tap = f"hidden_states.{layer}"
        still = np.argwhere((before[tap] == after[tap]).all(axis=-1))
        expect(not len(still), f"encoder_hidden_states changed, and {tap}{still[:1].tolist()} stayed as it was")


@check("DEC-5.1", "between-the-halves", heads=("base",), needs=("cross_attention",), layer_norm_eps=1e-30, **CROSS)
def cross_attention_stands_between(trial: Trial, case: Case) -> None:
    """A cross-attention whose output is 0 only normalises between self-attention and feed-forward."""
    # with gamma 1 and beta 0 after self-attention, normalising a second time changes nothing
    silent = edited(
        trial.weights(case),
        {
            r"\.crossattention\.output\.dense\.": np.zeros_like,
            r"attention\.output\.LayerNorm\.weight": np.ones_like,
            r"attention\.output\.LayerNorm\.bias": np.zeros_like,
        },
    )
    plain = case.with_config(add_cross_attention=False)
    shared = {name: array for name, array in silent.items() if ".crossattention." not in name}
    inputs = _with_encoder(case)
    got = trial.call(trial.load(case, silent), inputs, **STATES)
    expected = trial.call(trial.load(plain, shared), case.inputs(), **STATES)
    states = {tap: array for tap, array in expected.items() if tap.startswith("hidden_states")}
    trial.match("cross-attention without output", got, states, case, inputs, options=STATES, weights=silent)


@check("DEC-5.2", "masked-encoder-states", heads=DECODER_HEADS, needs=("cross_attention",), also=("MASK-2.1",), **CROSS)
def masked_encoder_states_do_not_matter(trial: Trial, case: Case) -> None:
    """Encoder states under a 0 of encoder_attention_mask have weight exactly 0 and change no output."""
    inputs = _with_encoder(case)
    masked = inputs["encoder_attention_mask"] == 0
    huge = np.where(masked[..., None], np.float32(PRECISIONS[trial.dtype].huge), inputs["encoder_hidden_states"])
    model = trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    got = trial.call(model, {**inputs, "encoder_hidden_states": huge}, **TRACES)
    taps = [tap for tap in expected if not tap.startswith("past_key_values")]  # keys of masked states may change
    trial.equals("masked encoder states changed", got, expected, taps)
    weights = expected["cross_attentions.0"]
    largest = float(np.abs(weights[np.broadcast_to(masked[:, None, None], weights.shape)]).max(initial=0.0))
    expect(largest == 0.0, f"cross_attentions.0: a masked encoder state has weight {largest!r}, expected exactly 0")


@check("DEC-5.2", "not-the-decoders-mask", heads=DECODER_HEADS, needs=("cross_attention",), **CROSS)
def masks_of_encoder_and_decoder_are_apart(trial: Trial, case: Case) -> None:
    """Without encoder_attention_mask every encoder state has weight above 0, whatever the decoder's mask hides."""
    inputs = {**case.inputs(), "encoder_hidden_states": case.encoder_states()}
    got = trial.call(trial.load(case), inputs, **TRACES)["cross_attentions.0"]
    wrong = np.argwhere(~(got > 0.0))
    expect(not len(wrong), f"cross_attentions.0{wrong[:1].tolist()} is not above 0 for an unmasked encoder state")


@check("DEC-5.3", "cross-entries", heads=DECODER_HEADS, needs=("cache", "cross_attention"), **CROSS)
def cross_cache_has_four_entries(trial: Trial, case: Case) -> None:
    """With cross-attention an entry of past_key_values has four arrays, the last two for encoder positions."""
    inputs = _with_encoder(case)
    got = trial.call(trial.load(case), inputs, **CACHED)
    encoder_len = inputs["encoder_hidden_states"].shape[1]
    _expect_entries(case, got, (case.seq_len, case.seq_len, encoder_len, encoder_len))


@check(
    "DEC-4", "cross-attention", heads=DECODER_HEADS, needs=("cache", "cross_attention"), effort=0.4, is_decoder=True,
    add_cross_attention=True, min_seq_len=3, masks=("none", "left"), also=("DEC-5.3",),
)  # fmt: skip
def cross_cache_is_the_full_pass(trial: Trial, case: Case) -> None:
    """With cross-attention too, a sequence computed in two calls gives what one call gives."""
    _expect_cache_changes_nothing(trial, case, [(case.seq_len // 2,)], _with_encoder(case))


GENERATES: Mapping[str, Any] = {
    "heads": ("causal_lm",), "needs": ("generation",), "masks": ("none", "left"), "effort": 0.6,
}  # fmt: skip
NEW_TOKENS = 6


@check("DEC-6.1", "argmax-of-the-last-logits", **GENERATES)
def greedy_takes_the_most_likely(trial: Trial, case: Case) -> None:
    """Each new token is the argmax of the logits that a call on everything before it gives at the last position."""
    model, inputs = trial.load(case), _prompt(case)
    got = _generate(model, inputs, max_new_tokens=NEW_TOKENS)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    expect(
        got.shape == (case.batch, case.seq_len + NEW_TOKENS),
        f"generate gave the shape {got.shape}, expected {(case.batch, case.seq_len + NEW_TOKENS)}",
    )
    for _ in range(NEW_TOKENS):
        logits = trial.call(model, {"input_ids": ids, "attention_mask": mask})["logits"][:, -1]
        ids = np.concatenate([ids, logits.argmax(axis=-1)[:, None]], axis=1)
        mask = np.concatenate([mask, np.ones_like(mask[:, :1])], axis=1)
    trial.equals("generate against calls", {"generated": got}, {"generated": ids})


@check("DEC-6.2", "seeded-sampling", **GENERATES)
def sampling_follows_its_seed(trial: Trial, case: Case) -> None:
    """Among equally likely words the same seed draws the same tokens, and ten seeds do not all draw the same."""
    flat = edited(trial.weights(case), {r"predictions\.(bias|transform\.LayerNorm\.)": np.zeros_like})
    model, inputs = trial.load(case, flat), _prompt(case)
    seeds = (case.seed, case.seed, *range(9))
    draws = [_generate(model, inputs, max_new_tokens=3, do_sample=True, seed=seed) for seed in seeds]
    trial.equals(f"seed {case.seed} twice", {"generated": draws[0]}, {"generated": draws[1]})
    same = all(np.array_equal(draws[0], other) for other in draws[1:])
    expect(not same, f"ten seeds drew the same tokens {draws[0][:, case.seq_len :].tolist()}")


@check("DEC-6.2", "distribution", **GENERATES)
def sampling_follows_the_logits(trial: Trial, case: Case) -> None:
    """With two words of known odds, 3 to 1, and all others unlikely, about three draws in four are the first."""
    case = case.with_config(num_hidden_layers=1)
    words = np.arange(case.config["vocab_size"])
    likely = case.seed % (len(words) - 1)
    bias = np.where(words == likely, np.log(3.0), np.where(words == likely + 1, 0.0, -80.0))
    weights = edited(
        trial.weights(case),
        {r"predictions\.transform\.LayerNorm\.": np.zeros_like, r"predictions\.bias": lambda old: bias},
    )
    inputs = {"input_ids": np.ones((512, 1), np.int64), "attention_mask": np.ones((512, 1), np.int64)}
    drawn = _generate(trial.load(case, weights), inputs, max_new_tokens=1, do_sample=True, seed=case.seed)[:, -1]
    expect(
        bool(np.isin(drawn, (likely, likely + 1)).all()), f"drew {sorted(set(drawn.tolist()))}, all but two impossible"
    )
    # 512 fair draws miss 384 by more than 60, six standard deviations, once in a billion
    hits = int((drawn == likely).sum())
    expect(
        abs(hits - 384) <= 60, f"the word with three chances in four was drawn {hits} times in 512, expected about 384"
    )


@check("DEC-6.3", "end-of-a-row", **GENERATES)
def a_row_ends_with_its_eos(trial: Trial, case: Case) -> None:
    """A row ends with the first eos token it generates, is padded after it, and other rows go on."""
    model, inputs = trial.load(case), _prompt(case)
    free = _generate(model, inputs, max_new_tokens=NEW_TOKENS)[:, case.seq_len :]
    eos = int(free[case.seed % case.batch, case.seed % NEW_TOKENS])
    pad = (eos + 1) % case.config["vocab_size"]
    got = _generate(model, inputs, max_new_tokens=NEW_TOKENS, eos_token_id=eos, pad_token_id=pad)[:, case.seq_len :]
    ended = np.cumsum(free == eos, axis=1) - (free == eos) > 0
    expected = np.where(ended, pad, free)
    length = NEW_TOKENS if not (free == eos).any(axis=1).all() else int((free == eos).argmax(axis=1).max()) + 1
    trial.equals(f"eos {eos}, pad {pad}", {"generated": got}, {"generated": expected[:, :length]})


@check("DEC-6.4", "cache-or-not", also=("DEC-4",), **{**GENERATES, "needs": ("generation", "cache")})
def generating_needs_no_cache(trial: Trial, case: Case) -> None:
    """Greedy generation gives the same tokens with the cache and without."""
    model, inputs = trial.load(case), _prompt(case)
    got, expected = (_generate(model, inputs, max_new_tokens=NEW_TOKENS, use_cache=cached) for cached in (True, False))
    trial.equals("with and without cache", {"generated": got}, {"generated": expected})


def _expect_blind_to_the_future(trial: Trial, case: Case) -> None:
    inputs, cut = case.inputs(), 1 + case.seed % (case.seq_len - 1)
    other = {name: array.copy() for name, array in inputs.items()}
    for name, size in (("input_ids", "vocab_size"), ("token_type_ids", "type_vocab_size")):
        other[name][..., cut:] = (other[name][..., cut:] + 1) % case.config[size]
    model = trial.load(case)
    before, after = trial.call(model, inputs, **STATES), trial.call(model, other, **STATES)
    taps = [tap for tap in before if tap.startswith("hidden_states")]
    trial.equals(
        f"tokens from position {cut} on changed, is_decoder {case.config['is_decoder']}",
        {tap: after[tap][:, :cut] for tap in taps}, {tap: before[tap][:, :cut] for tap in taps},
    )  # fmt: skip


def _expect_cache_changes_nothing(
    trial: Trial, case: Case, splits: Sequence[tuple[int, ...]], inputs: dict[str, Array]
) -> None:
    """Every unmasked token, computed in pieces cut at each of `splits`, against one call."""
    options, model = {**STATES, **CACHED}, trial.load(case)
    whole = trial.call(model, inputs, **options)
    real = case.attention_mask().astype(bool)
    taps = [tap for tap in whole if tap.startswith(PER_TOKEN)]
    runs = [_in_pieces(trial, case, model, cuts, inputs) for cuts in splits]

    def of_each_split(array: Array) -> Array:
        return np.stack([array[real]] * len(splits))

    trial.match(
        f"computed in pieces, cut at {list(splits)}", {tap: np.stack([run[tap][real] for run in runs]) for tap in taps},
        {tap: of_each_split(whole[tap]) for tap in taps}, case, inputs, of_each_split, options,
    )  # fmt: skip


def _in_pieces(trial: Trial, case: Case, model: Model, cuts: tuple[int, ...], inputs: dict[str, Array]) -> Outputs:
    """The outputs of successive calls, each on the next piece and with the cache of those before, put together."""
    past, pieces = None, list[Outputs]()
    for start, end in zip((0, *cuts), (*cuts, case.seq_len), strict=True):
        piece: dict[str, Any] = {
            name: array if name.startswith("encoder") else array[:, 0 if name == "attention_mask" else start : end]
            for name, array in inputs.items()
        }
        piece |= {} if past is None else {"past_key_values": past}
        pieces.append(trial.call(model, piece, **STATES, **CACHED))
        past = cache_of(pieces[-1])
        expect(len(past) > 0, "past_key_values is missing, though use_cache is True")
    taps = [tap for tap in pieces[0] if tap.startswith(PER_TOKEN)]
    return {tap: np.concatenate([piece[tap] for piece in pieces], axis=1) for tap in taps}


def _expect_entries(case: Case, outputs: Outputs, lengths: tuple[int, ...]) -> None:
    heads = case.config["num_attention_heads"]
    expected = {
        f"past_key_values.{layer}.{entry}": (case.batch, heads, length, case.config["hidden_size"] // heads)
        for layer in range(case.config["num_hidden_layers"])
        for entry, length in enumerate(lengths)
    }
    got = {tap: array.shape for tap, array in outputs.items() if tap.startswith("past_key_values")}
    expect(got == expected, f"past_key_values has the entries {got}, expected {expected}")


def _with_encoder(case: Case) -> dict[str, Array]:
    """A call with states of an encoder and a mask that hides some of them."""
    states = case.encoder_states()
    mask = (case.generator("encoder mask").random(states.shape[:2]) < 0.6).astype(np.int64)
    mask[:, 0], mask[:, -1] = 1, 0
    return {**case.inputs(), "encoder_hidden_states": states, "encoder_attention_mask": mask}


def _prompt(case: Case) -> dict[str, Array]:
    return {"input_ids": case.inputs()["input_ids"], "attention_mask": case.attention_mask()}


def _generate(model: Any, inputs: Mapping[str, Any], **options: Any) -> Array:
    return np.asarray(model.generate(inputs, options))
