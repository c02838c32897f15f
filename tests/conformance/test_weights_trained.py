"""The profile that is not drawn: the model in the box."""

import numpy as np

from roformer_conformance.oracle import Oracle, schema, trained_config, trained_weights
from roformer_conformance.strategies import Case, typical_case
from roformer_conformance.trial import Trial
from roformer_conformance.weights import PROFILES, TRAINED, draw_weights
from roformer_numpy import RoFormerForMaskedLM
from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.models_in_the_box import resolve


def sharp_rows(weights: dict[str, np.ndarray]) -> float:
    """The share of attention rows that look at one key with more than 0.9, at the sizes of the trained model."""
    case = Case("masked_lm", trained_config(), TRAINED, batch=4, seq_len=11, mask="none", seed=1)
    outputs = Oracle("masked_lm", case.config, weights).run(case.inputs(), {"output_attentions": True})
    rows = [attention.max(axis=-1).ravel() for name, attention in outputs.items() if name.startswith("attentions")]
    return float((np.concatenate(rows) > 0.9).mean())


def test_the_profile_holds_the_boxed_models_own_numbers() -> None:
    """Every tensor of the schema, as the model itself has it, in the type that is tested."""
    case = typical_case(0, "masked_lm", profiles=(TRAINED,), **trained_config())
    weights = Trial(NumpyAdapter(), "float32").weights(case)
    assert weights.keys() == schema(case.config, "masked_lm").keys()
    own = RoFormerForMaskedLM.from_pretrained(resolve("tang-mini")).to_weights()
    assert all(np.array_equal(weights[name], own[name]) for name in weights)


def test_only_trained_attention_is_sharp_in_some_rows_and_spread_in_others() -> None:
    """What the profile is for: drawn weights give rows that are all spread, or nearly all saturated.

    Half precision has one between the two, whose scores it can hold.
    """
    shapes = schema(trained_config(), "masked_lm")
    drawn = [
        sharp_rows(draw_weights(shapes, profile, 0, "float64")) for profile in PROFILES if profile != "raised_score"
    ]
    assert all(share < 0.02 or share > 0.8 for share in drawn)
    assert 0.05 < sharp_rows(dict(trained_weights("masked_lm"))) < 0.6
