"""The arithmetic of timings, who takes part and what is computed; no test depends on how long anything takes."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

from roformer_numpy.benchmarking import inputs, results
from roformer_numpy.benchmarking.competitors import (
    EAGER,
    ENGINE,
    EVERYBODY,
    PRODUCTS,
    TF_XLA,
    Python,
    named,
    probed,
    python_for,
    reason_for,
)
from roformer_numpy.benchmarking.figures import Spread, calls_in_a_turn, ratio, spread
from roformer_numpy.benchmarking.models import prepare_folder, strong_weights
from roformer_numpy.benchmarking.race import Measured, has_left
from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError
from roformer_numpy.weights import named_leaves

SMALL = RoFormerConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, embedding_size=16
)


def test_a_spread_is_the_median_between_the_quartiles_of_numpy() -> None:
    """The witness is NumPy's percentile."""
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    assert spread(values) == Spread(*map(pytest.approx, np.percentile(values, [25, 50, 75])))


def test_one_value_is_its_own_spread() -> None:
    """A run of one round has no quartiles to speak of, and no error either."""
    assert spread([2.0]) == Spread(2.0, 2.0, 2.0)


def test_nothing_has_no_median() -> None:
    """An empty list is refused by name."""
    with pytest.raises(InputError, match="values is empty"):
        spread([])


def test_a_ratio_is_of_medians_and_its_spread_is_of_rounds() -> None:
    """A disturbance that doubles both sides of one round leaves that round's ratio as it was."""
    ours, theirs = [1.0, 1.0, 2.0, 1.0], [1.5, 1.5, 3.0, 1.5]
    assert ratio(theirs, ours) == Spread(1.5, 1.5, 1.5)


def test_a_ratio_compares_the_rounds_that_both_have() -> None:
    """Who left after three rounds is held against these, and against the median of all."""
    found = ratio([2.0, 4.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert (found.low, found.middle, found.high) == (2.0, 2.0, 3.0)


@pytest.mark.parametrize(("seconds", "calls"), [(1e-4, 100), (1e-2, 5), (0.03, 1), (2.0, 1), (0.0, 100)])
def test_a_turn_has_as_many_calls_as_fill_it(seconds: float, calls: int) -> None:
    """A twentieth of a second, at least one call, a hundred at most."""
    assert calls_in_a_turn(seconds) == calls


def test_shapes_are_read_as_people_write_them() -> None:
    """Blanks, the multiplication sign and capitals are fine."""
    assert inputs.shapes_named("1x16, 8×128,2X7") == [(1, 16), (8, 128), (2, 7)]


@pytest.mark.parametrize("text", ["", "8", "0x16", "8x", "axb", "8x128,", "-1x4", "1x16;2x3", "1x1234567"])
def test_what_is_no_shape_is_named(text: str) -> None:
    """The message holds the part, its number and the form that is wanted."""
    with pytest.raises(InputError, match=r"shapes: number \d is '.*'; write BATCHxLENGTH"):
        inputs.shapes_named(text)


@pytest.mark.parametrize(("count", "longest", "share"), [(16, 192, 0.55), (16, 512, 0.28), (4, 10, 1.0), (3, 5, 0.5)])
def test_drawn_lengths_have_the_share_that_was_asked_for(count: int, longest: int, share: float) -> None:
    """The longest is there, none is empty, and the sum is right to a token a sequence."""
    lengths = inputs.drawn_lengths(count, longest, share)
    assert len(lengths) == count
    assert max(lengths) == longest
    assert min(lengths) >= 1
    assert abs(sum(lengths) - share * count * longest) <= count
    assert lengths == inputs.drawn_lengths(count, longest, share)


@pytest.mark.parametrize("share", [0.0, 0.01, 1.1, float("nan")])
def test_a_share_that_no_lengths_have_is_refused(share: float) -> None:
    """Sixteen sequences of which one has 192 tokens cannot be empty."""
    with pytest.raises(InputError, match=f"share={share} cannot be reached by 16 lengths of 1 to 192"):
        inputs.drawn_lengths(16, 192, share)


def test_buckets_hold_the_sequences_of_the_padded_batch() -> None:
    """The same real tokens, with less padding around them."""
    lengths = inputs.drawn_lengths(16, 100, 0.4)
    one, several = inputs.padded("padded", lengths, 50), inputs.bucketed("bucketed", lengths, 50, 4)

    def sequences(work: inputs.Work) -> list[list[int]]:
        rows = [pair for batch in work.batches for pair in zip(*batch, strict=True)]
        return sorted(ids[mask > 0].tolist() for ids, mask in rows)

    assert sequences(one) == sequences(several)
    assert one.real_tokens == several.real_tokens == sum(lengths)
    assert [len(ids) for ids, _ in several.batches] == [4, 4, 4, 4]
    assert sum(ids.size for ids, _ in several.batches) < sum(ids.size for ids, _ in one.batches)


def test_part_of_a_name_is_enough_where_it_is_one_s_own() -> None:
    """So that nobody has to type brackets."""
    assert [one.name for one in named("engine; onnx; torch.compile")] == ["engine", "ONNX Runtime", "torch.compile"]


@pytest.mark.parametrize("name", ["", "nobody", "torch", "openvino"])
def test_a_name_of_nobody_or_of_several_is_refused(name: str) -> None:
    """The message lists who there is."""
    with pytest.raises(InputError, match=rf"competitors: '{name}' names \d+ of them, expected one of: engine;"):
        named(name)


def test_the_first_python_that_has_what_is_needed_runs_it() -> None:
    """TensorFlow's RoFormer is only in transformers before 5."""
    new = Python("new", {"numpy": "2", "torch": "2.13", "transformers": "5.23", "tensorflow": "2.21"})
    old = Python("old", {"numpy": "1", "tensorflow": "2.15", "transformers": "4.37.2"})
    assert python_for(EAGER, [old, new]) == "new"
    assert python_for(TF_XLA, [new, old]) == "old"
    assert python_for(TF_XLA, [new]) is None
    assert python_for(ENGINE, [new]) == sys.executable
    assert python_for(PRODUCTS, []) == sys.executable


def test_the_reason_says_what_is_missing() -> None:
    """Nobody is left out without one."""
    assert reason_for(TF_XLA, [Python("p", {})]).endswith("has tensorflow and transformers before 5")
    assert "--peers" in reason_for(EAGER, [])


def test_a_python_is_asked_what_it_has() -> None:
    """This one has NumPy, in the version that runs here."""
    assert probed(sys.executable).versions["numpy"] == np.__version__


def test_what_is_no_python_is_named() -> None:
    """A path that leads nowhere is a usage error."""
    with pytest.raises(InputError, match="'/nowhere/python' is no Python that answers"):
        probed("/nowhere/python")


def test_drawn_weights_leave_nothing_neutral() -> None:
    """No bias is 0 and no LayerNorm weight is 1; a query's scale multiplies kernel and bias of queries alone."""
    plain, peaked = named_leaves(strong_weights(SMALL)), named_leaves(strong_weights(SMALL, query_scale=3.0))
    assert all(np.all(array != 0) for name, array in plain.items() if name.endswith(("bias", "beta")))
    assert all(np.all(array != 1) for name, array in plain.items() if name.endswith("gamma"))
    assert statistics.pstdev(plain["encoder.layer_0.feed_forward.output.kernel"].ravel().tolist()) == pytest.approx(
        1.2 / np.sqrt(32), rel=0.1
    )
    for name, array in plain.items():
        np.testing.assert_allclose(peaked[name], array * (3.0 if ".query." in name else 1.0), rtol=1e-6)


def test_a_model_that_is_nothing_is_refused(tmp_path: Path) -> None:
    """The message lists what a model can be."""
    with pytest.raises(InputError, match=r"MODEL 'huge' is neither a folder nor .*base, small, tiny, tang-mini"):
        prepare_folder("huge", tmp_path)


def test_a_model_in_the_box_is_prepared_without_a_warning(tmp_path: Path) -> None:
    """A head that is not timed and a pooler that is not there are no news; a warning would fail here."""
    config = prepare_folder("tang-mini", tmp_path)
    assert (config.hidden_size, config.vocab_size) == (160, 5493)


def test_a_config_file_is_a_model(tmp_path: Path) -> None:
    """Sizes are enough; its weights are drawn."""
    SMALL.to_json_file(tmp_path / "config.json")
    config = prepare_folder(str(tmp_path / "config.json"), tmp_path / "model")
    assert config.hidden_size == 16
    assert (tmp_path / "model" / "model.safetensors").exists()


LINES = [
    Measured("1x16", "engine", seconds=[0.001, 0.002, 0.003], error=0.0),
    Measured("1x16", "slow", "v1", [0.004, 0.004, 0.004], error=1e-6),
    Measured("1x16", "quick", "v2", [0.003, 0.003, 0.003], error=1e-6),
    Measured("1x16", "rounded", "v3", [0.001, 0.001, 0.001], error=1e-2, float32=False),
    Measured("1x16", "limit", "v4", [0.0005, 0.0005, 0.0005], is_limit=True),
    Measured("1x16", "absent", reason="not there"),
]


def test_the_best_peer_computes_everything_in_float32() -> None:
    """Neither lower precision nor a part of the work wins; nobody is best where nobody ran."""
    best = results.best_peer(LINES, "1x16", ["engine"])
    assert best is not None
    assert best.name == "quick"
    assert results.best_peer(LINES[:1], "1x16", ["engine"]) is None
    ours = Measured("1x16", "engine, every seventh position", seconds=[1e-4] * 3)
    assert results.best_peer([*LINES, ours], "1x16", ["engine"]) is best


@pytest.mark.parametrize(
    ("theirs", "patience", "leaves"),
    [
        ([3.0, 3.0, 3.0], 1.33, True),
        ([3.0, 3.0], 1.33, False),  # too early to tell
        ([3.0, 1.1, 3.0], 1.33, False),  # once he was quick enough
        ([3.0, 3.0, 3.0], None, False),
        ([0.03, 0.03, 0.03], 1.33, False),  # his turn takes a tenth of a second in any case
    ],
)
def test_who_is_far_behind_leaves_where_that_saves_time(
    theirs: list[float], patience: float | None, leaves: bool
) -> None:
    """After three rounds, all of them slow, with calls that fill a turn."""
    first = Measured("case", "first", seconds=[1.0 if theirs[0] > 1 else 0.01] * 3)
    assert has_left(Measured("case", "other", seconds=theirs), first, patience) is leaves


def test_the_table_names_who_was_not_timed_and_why() -> None:
    """A dash and a reason, never a missing line."""
    rows = results.rows(LINES)
    assert len(rows) == len(LINES)
    assert rows[-1][1] == "absent"
    assert rows[-1][-1] == "not timed: not there"
    assert rows[1][2:7] == ("4", "4 – 4", "2.00", "1.67 – 3.00", "3")


def test_the_record_holds_medians_ratios_and_every_round() -> None:
    """Who reads the JSON need not compute anything, and can."""
    found = results.as_json(LINES, model="tiny")
    slow = found["results"][1]
    assert found["model"] == "tiny"
    assert slow["seconds"] == [0.004, 0.004, 0.004]
    assert slow["time"]["middle"] == 0.004
    assert slow["ratio"]["middle"] == pytest.approx(2.0)
    assert "time" not in found["results"][-1]


def test_every_competitor_has_a_name_of_its_own() -> None:
    """Results are kept by name."""
    assert len({one.name for one in EVERYBODY}) == len(EVERYBODY)


def test_the_column_of_ratios_names_who_they_are_to() -> None:
    """The first who was timed, whoever that is: without the engine nothing is called a multiple of it."""
    timed, failed = Measured("1x16", "slow", seconds=[0.004]), Measured("1x16", "absent", reason="not installed")
    assert results.compared_with([failed, timed]) == "× slow"
    assert results.compared_with([failed]) == "× the first"
