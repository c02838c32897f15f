"""What a call can do without: logits at other positions, padding, and the cells of a batch that no sequence fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roformer_numpy import InputError, InputTypeError, RoFormerConfig
from roformer_numpy.kernels.engine.machine import INSTRUCTION_SET
from roformer_numpy.models import MODELS
from roformer_numpy.weights import Array, map_leaves

ARITHMETICS = {
    "engine": {},
    "equations": {"dtype": "float64", "components": "equations"},
}
LANGUAGE_MODELS = ("masked_lm", "causal_lm")
BATCH, SEQ_LEN = 4, 70


def model_of(head: str, arithmetic: str = "engine", **changes: Any) -> Any:
    """A small model with the same weights in either arithmetic; biases and shifts are not 0."""
    sizes = {"vocab_size": 211, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    model = MODELS[head](RoFormerConfig(**{**sizes, "intermediate_size": 131, **changes}), **ARITHMETICS[arithmetic])
    generator = np.random.default_rng(0)

    def draw(_name: str, array: Array) -> Array:
        return (array + generator.normal(0.0, 0.2, array.shape)).astype(np.float32).astype(model.dtype)

    model.weights = map_leaves(draw, model.weights)
    return model


def inputs_of(head: str) -> dict[str, Array]:
    """Padding on the right, on the left and in between; one sequence that shows nothing."""
    generator = np.random.default_rng(1)
    ids, mask = generator.integers(0, 211, (BATCH, SEQ_LEN)), np.ones((BATCH, SEQ_LEN), bool)
    mask[0, 50:], mask[1, :7], mask[2], mask[3, 20:40] = False, False, False, False
    if head == "multiple_choice":
        ids, mask = ids.reshape(2, 2, SEQ_LEN), mask.reshape(2, 2, SEQ_LEN)
    return {"input_ids": ids, "attention_mask": mask}


def outputs(found: Any) -> dict[str, Array]:
    """Everything but the states of every layer."""
    return {name: array for name, array in found.items() if name != "hidden_states"}


@pytest.mark.parametrize("changes", [{}, {"embedding_size": 10}, {"hidden_act": "tanh", "num_labels": 50}], ids=str)
@pytest.mark.parametrize("head", MODELS)
def test_heads_agree_with_the_equations(head: str, changes: dict[str, Any]) -> None:
    """Pooler, transform, vocabulary and every classifier; a vocabulary that fills no panel."""
    expected = model_of(head, "equations", **changes)(inputs_of(head))
    for name, array in model_of(head, **changes)(inputs_of(head)).items():
        assert array.dtype == np.float32
        assert np.abs(array - expected[name]).max() < 1e-5 * max(1.0, np.abs(expected[name]).max())


@pytest.mark.skipif(INSTRUCTION_SET is None, reason="this processor is not served by the engine")
@pytest.mark.parametrize("head", MODELS)
def test_the_number_of_threads_changes_no_bit_of_a_head(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of panels and blocks of rows are shared; sums are not."""
    model, results = model_of(head), []
    monkeypatch.setattr("roformer_numpy.engine.SERIAL_WORK", 0)
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("ROFORMER_NUM_THREADS", threads)
        results.append(b"".join(array.tobytes() for array in model(inputs_of(head)).to_tuple()))
    assert len(set(results)) == 1


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_logits_at_positions_are_those_of_all_logits(head: str, arithmetic: str) -> None:
    """(batch, n) positions give (batch, n, vocab_size), repeated and unordered ones and none at all too."""
    model, inputs = model_of(head, arithmetic), inputs_of(head)
    everything = model(inputs).logits
    for positions in ([[0, 5], [69, 69], [3, 2], [1, 0]], np.zeros((4, 0), int), np.full((4, 1), 69, np.uint8)):
        found = model(inputs, logits_at=positions).logits
        expected = np.take_along_axis(everything, np.asarray(positions)[:, :, None].astype(int), axis=1)
        assert found.shape == expected.shape
        assert np.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("head", LANGUAGE_MODELS)
def test_logits_at_a_mask_come_in_row_major_order(head: str, arithmetic: str) -> None:
    """As NumPy's own indexing gives them: (number of True, vocab_size), which may be none."""
    model, inputs = model_of(head, arithmetic), inputs_of(head)
    everything, wanted = model(inputs).logits, np.random.default_rng(2).random((BATCH, SEQ_LEN)) < 0.2
    assert np.allclose(model(inputs, logits_at=wanted).logits, everything[wanted], rtol=0, atol=1e-6)
    assert model(inputs, logits_at=np.zeros((BATCH, SEQ_LEN), bool)).logits.shape == (0, 211)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([[0], [1], [70], [2]], InputError, r"logits_at\[2, 0\] is 70, allowed are 0 to 69"),
        ([[0], [-1], [0], [2]], InputError, r"logits_at\[1, 0\] is -1, allowed are 0 to 69"),
        ([0, 1, 2, 3], InputError, r"logits_at has shape \(4,\) of rank 1"),
        ([[0, 1]], InputError, r"logits_at has shape \(1, 2\), expected \(4, 2\)"),
        ([[0], [1, 2], [0], [0]], InputError, "logits_at is a list of rows of unequal lengths"),
        (np.ones((4, 69), bool), InputError, r"logits_at has shape \(4, 69\), expected \(4, 70\)"),
        ([[0.5]] * 4, InputTypeError, "logits_at has dtype float64"),
    ],
)
def test_wrong_positions_are_refused_by_name(wrong: Any, error: type[Exception], message: str) -> None:
    """ERR-11 in spirit: argument, place, value and what is allowed."""
    with pytest.raises(error, match=message):
        model_of("masked_lm")(inputs_of("masked_lm"), logits_at=wrong)


def test_logits_at_is_refused_where_it_means_nothing() -> None:
    """Beside labels, for gradients, and by heads without a vocabulary."""
    model, inputs = model_of("masked_lm"), inputs_of("masked_lm")
    with pytest.raises(InputError, match="labels and logits_at were both given"):
        model(inputs, labels=inputs["input_ids"], logits_at=[[0]] * 4)
    with pytest.raises(InputError, match="logits_at is an argument of calls"):
        model.gradients(inputs, logits_at=[[0]] * 4)
    with pytest.raises(InputTypeError, match="'logits_at' is not an argument"):
        model_of("token_classification")(inputs, logits_at=[[0]] * 4)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("head", MODELS)
def test_skipping_padding_changes_no_number_that_is_read(head: str, arithmetic: str) -> None:
    """Whatever stands at tokens, and whatever one number tells of a sequence; at other padding there is 0."""
    model, inputs = model_of(head, arithmetic, summary_type="last"), inputs_of(head)
    full, short = (outputs(model(inputs, padding=how)) for how in ("compute", "skip"))
    visible = inputs["attention_mask"] | ~inputs["attention_mask"].any(axis=-1, keepdims=True)
    for name, array in short.items():
        read = visible if array.shape[:2] == (BATCH, SEQ_LEN) else np.ones(array.shape[:1], bool)
        assert np.allclose(array[read], full[name][read], rtol=0, atol=1e-6)
        if name == "last_hidden_state":
            read[:, 0] = True  # the pooler reads it
        assert not array[~read].any()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_hidden_states_of_skipped_padding_are_zero(arithmetic: str) -> None:
    """In every layer, while those of tokens stay what they were."""
    model, inputs = model_of("masked_lm", arithmetic), inputs_of("masked_lm")
    full, short = (
        np.stack(model(inputs, padding=how, output_hidden_states=True).hidden_states) for how in ("compute", "skip")
    )
    visible = inputs["attention_mask"] | ~inputs["attention_mask"].any(axis=-1, keepdims=True)
    assert np.allclose(short[:, visible], full[:, visible], rtol=0, atol=1e-6)
    assert not short[:, ~visible].any()


@pytest.mark.parametrize("head", [*LANGUAGE_MODELS, "token_classification", "question_answering"])
def test_skipping_padding_changes_no_loss(head: str) -> None:
    """Labels at padding are read, so what stands there is computed."""
    model, inputs = model_of(head), inputs_of(head)
    labels = {"labels": inputs["input_ids"] % 2}
    if head == "question_answering":
        labels = {"start_positions": np.array([0, 60, 3, 30]), "end_positions": np.array([5, 69, 3, 31])}
    full, short = (model(inputs, padding=how, **labels).loss for how in ("compute", "skip"))
    assert np.allclose(short, full, rtol=0, atol=1e-6)


def test_padding_is_computed_or_skipped_and_nothing_else() -> None:
    """A wish that does not exist is named with those that do; gradients have no such choice."""
    model, inputs = model_of("masked_lm"), inputs_of("masked_lm")
    with pytest.raises(InputError, match="padding='drop' is not one of 'compute', 'skip'"):
        model(inputs, padding="drop")
    with pytest.raises(InputError, match="padding is an argument of calls"):
        model.gradients(inputs, padding="skip")


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("changes", [{}, {"is_decoder": True}, {"embedding_size": 10}], ids=str)
def test_encoding_sequences_together_is_encoding_each_alone(arithmetic: str, changes: dict[str, Any]) -> None:
    """Any lengths in any order, with segments, in groups of few tokens."""
    model, generator = model_of("base", arithmetic, **changes), np.random.default_rng(3)
    sequences = [generator.integers(0, 211, length).tolist() for length in (3, 60, 1, 200, 41, 60, 3)]
    types = [[number % 2 for number in range(len(ids))] for ids in sequences]
    found = model.encode(sequences, types, batch_tokens=128)
    for ids, segments, states in zip(sequences, types, found, strict=True):
        alone = model([ids], token_type_ids=[segments]).last_hidden_state[0]
        assert states.shape == (len(ids), 24)
        assert np.array_equal(states, alone) if arithmetic == "engine" else np.allclose(states, alone, atol=1e-12)


def test_the_size_of_groups_changes_no_bit_of_encoded_sequences() -> None:
    """It bounds the memory, and nothing else."""
    model, generator = model_of("masked_lm"), np.random.default_rng(4)
    sequences = [generator.integers(0, 211, length) for length in generator.integers(1, 90, 20)]
    results = [model.encode(sequences, batch_tokens=budget) for budget in (1, 100, 10_000)]
    for several in zip(*results, strict=True):
        assert len({states.tobytes() for states in several}) == 1


def test_calls_of_random_shapes_agree_with_the_equations() -> None:
    """One model, in any order of sizes and kinds; `benchmarks/engine_soak.py` makes thousands."""
    ours, definition = model_of("base"), model_of("base", "equations")
    generator = np.random.default_rng(5)
    for number in range(30):
        batch, length = int(generator.integers(1, 6)), int(generator.integers(1, 150))
        ids, mask = generator.integers(0, 211, (batch, length)), generator.random((batch, length)) < 0.8
        if number % 3:
            options = {"attention_mask": mask, "padding": ("compute", "skip")[number % 2]}
            pairs = [tuple(model(ids, **options).last_hidden_state for model in (ours, definition))]
        else:
            sequences = [row[: row_number + 1] for row_number, row in enumerate(ids)]
            pairs = list(zip(ours.encode(sequences), definition.encode(sequences), strict=True))
        assert all(np.abs(found - expected).max() < 1e-5 for found, expected in pairs)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), InputError, "sequences is empty"),
        (([[1], []],), InputError, r"sequences\[1\] has 0 tokens, allowed are 1 to max_position_embeddings=1536"),
        (([[1] * 1537],), InputError, r"sequences\[0\] has 1537 tokens"),
        (([[1], [2, 211]],), InputError, r"sequences\[1\]\[1\] is 211, allowed are 0 to 210"),
        (([1, 2, 3],), InputError, r"sequences\[0\] has shape \(\) of rank 0"),
        (([[1.0]],), InputTypeError, r"sequences\[0\] has dtype float64"),
        (("abc",), InputTypeError, "sequences is a str"),
        (([[1], [2]], [[0]]), InputError, "token_type_ids has 1 sequences, expected 2"),
        (([[1], [2]], [[0], [0, 0]]), InputError, r"token_type_ids\[1\] has shape \(2,\), expected \(1,\)"),
        (([[1]], [[2]]), InputError, r"token_type_ids\[0\]\[0\] is 2, allowed are 0 to 1"),
    ],
)
def test_sequences_that_cannot_be_encoded_are_named(arguments: Any, error: type[Exception], message: str) -> None:
    """Which one, what it is, and what is allowed."""
    with pytest.raises(error, match=message):
        model_of("base").encode(*arguments)


def test_groups_of_no_tokens_are_refused() -> None:
    """batch_tokens counts what is computed at once."""
    with pytest.raises(InputError, match="batch_tokens is 0, allowed are 1 and above"):
        model_of("base").encode([[1]], batch_tokens=0)
