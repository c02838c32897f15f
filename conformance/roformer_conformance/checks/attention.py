"""ATT: weights, context and residual of self-attention."""

from __future__ import annotations

import re

import numpy as np

from ..formulas import ATTENTION_OUTPUT, FEED_FORWARD_OUTPUT, edited, part, standardised
from ..protocol import Array
from ..registry import check
from ..strategies import Case
from ..trial import TRACES, Trial, expect

SELF = r"\.attention\.self\."


@check("ATT-3.1", "rows-sum-to-one", profiles=("strong", "high_score"), also=("OUT-1.5",))
def weights_sum_to_one(trial: Trial, case: Case) -> None:
    """The attention weights of every query are not negative and sum to 1 over the keys."""
    inputs = case.inputs()
    got = trial.call(trial.load(case), inputs, **TRACES)
    for layer in range(case.config["num_hidden_layers"]):
        tap = f"attentions.{layer}"
        smallest = float(got[tap].min(initial=0.0))
        expect(smallest >= 0.0, f"{tap} holds the weight {smallest!r}, expected none below 0")
        sums = got[tap].sum(axis=-1)
        trial.close("sum over the keys", sums, np.ones_like(sums), case, inputs, tap, _sum_of_keys, TRACES)


@check("ATT-3.1", "query-key-balance", profiles=("strong", "high_score"), also=("ATT-3.3",))
def query_and_key_trade_scale(trial: Trial, case: Case) -> None:
    """Query times 4 and key divided by 4, biases as well, change no output: only their product counts."""
    weights = trial.weights(case)
    traded = edited(weights, {SELF + "query": lambda rows: 4.0 * rows, SELF + "key": lambda rows: rows / 4.0})
    got, expected = _traces(trial, case, traded), _traces(trial, case, weights)
    trial.match("query times 4, key divided by 4", got, expected, case, case.inputs(), options=TRACES)


@check("ATT-3.1", "scores-grow-with-the-query", masks=("none",), min_seq_len=2, also=("ROT-2.3",))
def logarithms_of_weights_are_scores(trial: Trial, case: Case) -> None:
    """Twice the query gives twice the score differences: squared and normalised again, the first weights are equal."""
    inputs = case.inputs()
    doubled = edited(trial.weights(case), {r"layer\.0" + SELF + "query": lambda rows: 2.0 * rows})
    plain = trial.call(trial.load(case), inputs, **TRACES)["attentions.0"].astype(np.float64)
    got = trial.call(trial.load(case, doubled), inputs, **TRACES)["attentions.0"]
    expected = plain**2 / (plain**2).sum(axis=-1, keepdims=True)
    trial.close("query doubled", got, expected, case, inputs, "attentions.0", options=TRACES, weights=doubled)


@check("ATT-3.1", "heads-normalise-apart", rotary_value=False, masks=("none",), min_seq_len=2, min_heads=2)
def heads_normalise_apart(trial: Trial, case: Case) -> None:
    """Another query and key in one head leave the attention weights of all other heads of that layer as they are."""
    inputs = case.inputs()
    heads = case.config["num_attention_heads"]
    dim, chosen = case.config["hidden_size"] // heads, case.seed % heads
    noise = case.generator("noise").standard_normal((dim,))

    def moved(bias: Array) -> Array:
        bias = bias.copy()
        bias[chosen * dim : (chosen + 1) * dim] += noise
        return bias

    weights = edited(trial.weights(case), {r"layer\.0" + SELF + r"(query|key)\.bias": moved})
    expected = trial.call(trial.load(case), inputs, **TRACES)["attentions.0"]
    got = trial.call(trial.load(case, weights), inputs, **TRACES)["attentions.0"]
    others = [head for head in range(heads) if head != chosen]
    trial.close(
        f"biases of head {chosen} changed, seen in the others", got[:, others], expected[:, others], case, inputs,
        "attentions.0", lambda probs: probs[:, others], TRACES,
    )  # fmt: skip
    expect(not np.array_equal(got[:, chosen], expected[:, chosen]), f"head {chosen} of layer 0 ignores its own biases")


@check("ATT-3.3", "heads-are-interchangeable", profiles=("strong", "high_score"), min_heads=2)
def heads_are_interchangeable(trial: Trial, case: Case) -> None:
    """Heads in another order, in query, key, value and output, permute the attention weights and nothing else."""
    heads = case.config["num_attention_heads"]
    order = np.roll(np.arange(heads), 1 + case.seed % (heads - 1))
    features = np.arange(case.config["hidden_size"]).reshape(heads, -1)[order].ravel()
    weights = edited(
        trial.weights(case),
        {SELF: lambda rows: rows[features], r"\.attention\.output\.dense\.weight": lambda kernel: kernel[:, features]},
    )
    got = _traces(trial, case, weights)
    back = np.argsort(order)
    got = {tap: array[:, back] if tap.startswith("attentions") else array for tap, array in got.items()}
    expected = _traces(trial, case, trial.weights(case))
    trial.match(f"heads in the order {order.tolist()}", got, expected, case, case.inputs(), options=TRACES)


@check("ATT-3.3", "value-bias-moves-to-the-output", rotary_value=False)
def value_bias_is_an_output_bias(trial: Trial, case: Case) -> None:
    """Without rotary_value a bias of the value passes unchanged through the weights: it may stand in the output's."""
    weights = trial.weights(case)
    moved = dict(weights)
    for layer in range(case.config["num_hidden_layers"]):
        value = part(weights, f"layer.{layer}.attention.self.value.bias")
        kernel = part(weights, f"layer.{layer}.attention.output.dense.weight")
        moved = edited(moved, {rf"layer\.{layer}{SELF}value\.bias": np.zeros_like})
        moved = edited(moved, {rf"layer\.{layer}\.attention\.output\.dense\.bias": (kernel @ value).__add__})
    inputs = case.inputs()
    expected = _traces(trial, case, weights)
    got = _traces(trial, case, moved)
    trial.match("value bias moved into the output's bias", got, expected, case, inputs, options=TRACES)


@check("ATT-3.4", "identity-layer", needs=("hidden_states",), also=("FFN-4.2",))
def silent_layers_only_standardise(trial: Trial, case: Case) -> None:
    """A layer whose two output projections are 0 passes its input on, through two LayerNorms and nothing else."""
    inputs, eps = case.inputs(), case.config.get("layer_norm_eps", 1e-12)
    weights = edited(
        trial.weights(case), {ATTENTION_OUTPUT: np.zeros_like, FEED_FORWARD_OUTPUT: np.zeros_like}
        | {r"\.output\.LayerNorm\.weight": np.ones_like, r"\.output\.LayerNorm\.bias": np.zeros_like},
    )  # fmt: skip
    got = _traces(trial, case, weights)
    standard = standardised(standardised(got["hidden_states.0"], eps), eps)
    expected = {f"hidden_states.{layer + 1}": standard for layer in range(case.config["num_hidden_layers"])}
    trial.match("layers without output", got, expected, case, inputs, options=TRACES, weights=weights)


@check("ATT-3.4", "layers-in-turn", also=("FFN-4.2",))
def layers_run_in_turn(trial: Trial, case: Case) -> None:
    """A model cut after its first layers gives the hidden states and attention weights of just these layers."""
    inputs, deep = case.inputs(), case.with_config(num_hidden_layers=3)
    weights = trial.weights(deep)
    kept = 1 + case.seed % 2
    short = deep.with_config(num_hidden_layers=kept)
    fewer = {name: array for name, array in weights.items() if not re.search(rf"layer\.[{kept}-2]\.", name)}
    expected = _traces(trial, deep, weights)
    got = _traces(trial, short, fewer)
    trial.match(
        f"cut after {kept} of 3 layers", got, {tap: expected[tap] for tap in got}, short, inputs, options=TRACES
    )


@check(
    "ATT-3.3",
    "every-tensor-matters",
    effort=0.5,
    masks=("none",),
    min_seq_len=3,
    num_hidden_layers=2,
    needs=("hidden_states",),
    also=("ROT-2.3", "ATT-3.4"),
)
def every_attention_tensor_is_live(trial: Trial, case: Case) -> None:
    """Every kernel and bias of self-attention, in every head and layer, moves the state after its layer."""
    weights, heads = trial.weights(case), case.config["num_attention_heads"]
    before = _traces(trial, case, weights)
    dim, head = case.config["hidden_size"] // heads, case.seed % heads
    for name in weights:
        found = re.search(r"layer\.(\d+)\.attention\.", name)
        if not found:
            continue
        features = slice(head * dim, (head + 1) * dim) if "LayerNorm" not in name else slice(None)
        array = weights[name].copy()
        axis = (slice(None), features) if name.endswith("attention.output.dense.weight") else features
        array[axis] += case.generator(name).normal(size=array[axis].shape)
        tap = f"hidden_states.{int(found[1]) + 1}"
        after = _traces(trial, case, {**weights, name: array})[tap]
        expect(not np.array_equal(before[tap], after), f"head {head} of {name} was changed, and {tap} stayed as it was")


def _traces(trial: Trial, case: Case, weights: dict[str, Array]) -> dict[str, Array]:
    """Hidden states and attention weights of a run with `weights`."""
    outputs = trial.call(trial.load(case, weights), case.inputs(), **TRACES)
    return {tap: array for tap, array in outputs.items() if tap.startswith(("hidden_states", "attentions"))}


def _sum_of_keys(probs: Array) -> Array:
    return probs.sum(axis=-1)
