"""Batches of many short sequences: several share a vector of keys, and none takes part in another."""

import numpy as np
import pytest

from roformer_numpy import RoFormerConfig, RoFormerForCausalLM, RoFormerModel
from roformer_numpy.benchmarking.models import strong_weights
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET, LANES, PANEL
from roformer_numpy.kernels.engine.tokens import Tokens, _places

pytestmark = pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")

SIZES = {
    "vocab_size": 50, "hidden_size": 48, "num_attention_heads": 2, "intermediate_size": 70, "num_hidden_layers": 2,
    "add_pooling_layer": False,
}  # fmt: skip
COUNTS = np.random.default_rng(0).integers(0, 3 * LANES, 400)


def test_no_two_sequences_share_a_column():
    """Every key of every sequence has a column of its own, all within the panels that there are."""
    places = _places(COUNTS)
    taken = np.concatenate([np.arange(start, start + count) for start, count in zip(places, COUNTS, strict=False)])
    assert len(np.unique(taken)) == COUNTS.sum()
    assert taken.max() < places[-1]
    assert places[-1] % PANEL == 0


def test_a_short_sequence_lies_in_one_vector_and_a_long_one_begins_a_panel():
    """Attention reads a single vector of columns, or whole panels from their beginning."""
    for place, count in zip(_places(COUNTS), COUNTS, strict=False):
        if count > LANES:
            assert place % PANEL == 0
        elif count:
            assert place // LANES == (place + count - 1) // LANES


@pytest.mark.parametrize("keys", [1, 2, 3, LANES])
def test_many_short_sequences_take_at_most_twice_the_columns_of_their_keys(keys):
    """A panel for each would be tens of times as much."""
    columns = Tokens.of(np.ones((1000, keys), bool), False, keys).places_from[-1]
    assert columns <= 2 * 1000 * keys + PANEL


@pytest.mark.parametrize("kind", [RoFormerModel, RoFormerForCausalLM])
@pytest.mark.parametrize("longest", [1, 2, 5, LANES, 20])
def test_short_rows_are_bit_for_bit_what_each_is_alone(kind, longest):
    """Rows of one batch lie side by side in a vector; the shortest see one token."""
    model = kind(RoFormerConfig(**SIZES, is_decoder=kind is RoFormerForCausalLM))
    model.weights = strong_weights(model.config, model.head)
    generator = np.random.default_rng(longest)
    ids, lengths = generator.integers(0, 50, (70, longest)), generator.integers(1, longest + 1, 70)
    mask = np.arange(longest) < lengths[:, None]
    first = "logits" if kind is RoFormerForCausalLM else "last_hidden_state"
    found = model(ids, attention_mask=mask.astype(int))[first]
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length])[first]
        np.testing.assert_array_equal(found[row, :length], alone[0])


def test_a_row_of_nan_reaches_none_of_those_in_its_vector():
    """Scores of a neighbour's keys are computed with one's own, and never read."""
    model = RoFormerModel(RoFormerConfig(**SIZES))
    embeds = np.random.default_rng(0).standard_normal((70, 2, 48), np.float32)
    expected = model(inputs_embeds=embeds)["last_hidden_state"]
    embeds[33] = np.nan
    found = model(inputs_embeds=embeds)["last_hidden_state"]
    others = np.arange(70) != 33
    np.testing.assert_array_equal(found[others], expected[others])
    assert np.isnan(found[33]).all()


@pytest.mark.parametrize("kind", ["of", "of_lengths", "following"])
def test_arrays_of_tokens_are_of_one_type_whoever_makes_them(kind):
    """Compiled code would be compiled anew, for half a minute, for an array that is laid out in another way."""
    mask = np.arange(5) < np.array([[3], [5]])
    tokens = {
        "of": lambda: Tokens.of(mask, True, 5, mask),
        "of_lengths": lambda: Tokens.of_lengths(np.array([3, 5]), True),
        "following": lambda: Tokens.following(mask, 1, 8),
    }[kind]()
    for array in (tokens.table, tokens.sequence_of, tokens.keys_from, tokens.places_from, tokens.past):
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype == np.int64
