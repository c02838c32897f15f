"""FFN: the second half of a layer, and LayerNorm everywhere."""

from __future__ import annotations

import re

import numpy as np

from ..formulas import ATTENTION_OUTPUT, Weights, activation, dense, edited, layer_norm
from ..precision import is_half, rounded
from ..protocol import Array
from ..registry import check
from ..strategies import ANY_ACTIVATION, HIDDEN_ACTS, Case, OneOf
from ..trial import TRACES, Trial, expect

INNER = r"\d\.intermediate\.dense\."
FIRST = "hidden_states.1"


@check("FFN-4.1", "activation-probe", also=("CFG-2.1",))
def activation_is_the_configured_one(trial: Trial, case: Case) -> None:
    """Units fed nothing but a bias, from −14 to 14, answer with hidden_act of it to the last digits."""
    points = case.generator("points").permutation(np.linspace(-14.0, 14.0, case.config["intermediate_size"]))
    near = case.generator("near").normal(0.0, 1.5, points.shape)
    _expect_probe(trial, case, np.where(case.generator("which").random(points.shape) < 0.5, points, near))


@check("CFG-2.1", "large-inputs", num_hidden_layers=1, max_seq_len=5, effort=0.2, also=("FFN-4.1",))
def activations_do_not_overflow(trial: Trial, case: Case) -> None:
    """Units fed a bias of 90, 1000 or their negatives answer with each of the twelve functions of it, and no overflow.

    e⁹⁰ is more than float32 holds, e¹⁰⁰⁰ more than float64.
    """
    points = case.generator("points").choice([-1000.0, -90.0, 90.0, 1000.0], case.config["intermediate_size"])
    points[:2] = 90.0, 1000.0
    for name in HIDDEN_ACTS:
        _expect_probe(trial, case.with_config(hidden_act=name), points)


@check("FFN-4.1", "two-dense-layers", also=("FFN-4.2",), hidden_act=ANY_ACTIVATION)
def feed_forward_is_two_dense_layers(trial: Trial, case: Case) -> None:
    """Without attention a layer is LayerNorm(x + Dense(hidden_act(Dense(x)))) of its standardised input."""
    _expect_formula(trial, case, _without_attention(trial, case), "by hand, without attention")


@check("FFN-4.4", "eps-in-every-layer", layer_norm_eps=OneOf((1e-12, 1e-9, 1e-7, 1e-5)), also=("FFN-4.3",))
def eps_shows_in_every_layer(trial: Trial, case: Case) -> None:
    """States whose variance is near layer_norm_eps are divided by √(variance + eps) in both LayerNorms of a layer."""
    small = 0.5 * case.config["layer_norm_eps"] ** 0.5
    shrunk = r"(embeddings\.LayerNorm|embeddings_project|attention\.output\.LayerNorm|\d\.output\.dense)\."
    weights = edited(_without_attention(trial, case), {shrunk: lambda array: small * array})
    _expect_formula(trial, case, weights, f"states of size {small:.1e}")


@check("FFN-4.3", "variance-by-width", layer_norm_eps=1e-30, also=("FFN-4.2",))
def variance_divides_by_the_width(trial: Trial, case: Case) -> None:
    """With gamma 1 and beta 0 the mean square of every hidden state's row is 1, not (H − 1)/H."""
    inputs = case.inputs()
    weights = edited(
        trial.weights(case), {r"output\.LayerNorm\.weight": np.ones_like, r"output\.LayerNorm\.bias": np.zeros_like}
    )
    got = trial.call(trial.load(case, weights), inputs, **TRACES)
    for layer in range(1, case.config["num_hidden_layers"] + 1):
        tap = f"hidden_states.{layer}"
        squares = (got[tap].astype(np.float64) ** 2).mean(axis=-1)
        trial.close(
            "mean square of a row", squares, np.ones_like(squares), case, inputs, tap,
            lambda states: (states.astype(np.float64) ** 2).mean(axis=-1), TRACES, weights,
        )  # fmt: skip


@check("FFN-4.1", "units-are-interchangeable")
def units_are_interchangeable(trial: Trial, case: Case) -> None:
    """Units of the feed-forward in another order, in both its kernels and its bias, change no output."""
    inputs, weights = case.inputs(), trial.weights(case)
    order = case.generator("units").permutation(case.config["intermediate_size"])
    permuted = edited(
        weights, {INNER: lambda rows: rows[order], r"\d\.output\.dense\.weight": lambda kernel: kernel[:, order]}
    )
    expected = trial.call(trial.load(case), inputs, **TRACES)
    got = trial.call(trial.load(case, permuted), inputs, **TRACES)
    trial.match("units in another order", got, expected, case, inputs, options=TRACES)


@check(
    "FFN-4.1",
    "every-unit-matters",
    effort=0.5,
    hidden_act=OneOf(("gelu", "silu", "tanh")),
    num_hidden_layers=2,
)
def every_unit_is_live(trial: Trial, case: Case) -> None:
    """Every unit of the feed-forward, the last of an odd number too, and every bias moves the state after its layer."""
    weights, last = trial.weights(case), case.config["intermediate_size"] - 1
    before = trial.call(trial.load(case), case.inputs(), **TRACES)
    for name, array in weights.items():
        found = re.search(r"layer\.(\d+)\.(intermediate|output)\.", name)
        if not found:
            continue
        for unit in {0, last, case.seed % (last + 1)} if INNER_ROW.search(name) else {None}:
            tap = f"hidden_states.{int(found[1]) + 1}"
            after = trial.call(
                trial.load(case, {**weights, name: _moved(trial, case, name, array, unit)}), case.inputs(), **TRACES
            )
            what = name if unit is None else f"unit {unit} of {name}"
            expect(not np.array_equal(before[tap], after[tap]), f"{what} was changed, and {tap} stayed as it was")


INNER_ROW = re.compile(r"\d\.(intermediate\.dense\.|output\.dense\.weight)")


def _moved(trial: Trial, case: Case, name: str, array: Array, unit: int | None) -> Array:
    """The tensor with noise on all of it, or on what belongs to one unit.

    In half precision it is large, and opens a unit: what one that is nearly closed adds is lost in rounding.
    """
    where = (..., slice(None)) if unit is None else (slice(None), unit) if ".output." in name else (unit, ...)
    changed = array.copy()
    noise = case.generator(name).normal(size=changed[where].shape)
    changed[where] += 32.0 * np.abs(noise) if is_half(trial.dtype) else noise
    return changed


def _expect_probe(trial: Trial, case: Case, points: Array) -> None:
    """Units whose biases are `points` and that see nothing else, each read by one feature."""
    points = rounded(points.astype(np.float64), trial.dtype)
    # every unit is read by some feature, and no feature by two units at once
    units, features = np.arange(points.size), np.arange(points.size) % case.config["hidden_size"]
    reading = np.zeros((case.config["hidden_size"], points.size))
    reading[features, units] = 0.25
    weights = edited(
        _without_attention(trial, case),
        {
            INNER + "weight": np.zeros_like,
            INNER + "bias": lambda bias: points,
            r"\d\.output\.dense\.weight": lambda kernel: reading,
        },
    )
    _expect_formula(
        trial, case, weights, f"biases {np.round(points[:4], 3).tolist()} … through {case.config['hidden_act']}"
    )


def _without_attention(trial: Trial, case: Case) -> dict[str, Array]:
    return edited(trial.weights(case), {ATTENTION_OUTPUT: np.zeros_like})


def _expect_formula(trial: Trial, case: Case, weights: Weights, what: str) -> None:
    """hidden_states[1] from hidden_states[0] of the same call, attention being silent."""
    inputs, eps = case.inputs(), case.config.get("layer_norm_eps", 1e-12)
    got = trial.call(trial.load(case, weights), inputs, **TRACES)
    x = layer_norm(got["hidden_states.0"], weights, "layer.0.attention.output.LayerNorm", eps)
    inner = activation(case.config["hidden_act"], dense(x, weights, "layer.0.intermediate.dense"))
    expected = layer_norm(x + dense(inner, weights, "layer.0.output.dense"), weights, "layer.0.output.LayerNorm", eps)
    trial.close(what, got[FIRST], expected, case, inputs, FIRST, options=TRACES, weights=weights)
