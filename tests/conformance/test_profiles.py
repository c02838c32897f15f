"""Profiles: what SPEC.md registers is what probes see, and what the lists explain."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from roformer_conformance import cli
from roformer_conformance.clauses import PROFILES
from roformer_conformance.expectations import Expectation, ExpectationError
from roformer_conformance.levels import UsageError
from roformer_conformance.profiles import all_probes, contested_points, look, profile_expectations, registered_as
from roformer_conformance.profiles.registered import can_be_seen, explained_by
from roformer_conformance.protocol import find_adapter
from roformer_conformance.records import Record
from roformer_conformance.registry import all_checks
from roformer_conformance.report import print_result
from roformer_conformance.runner import check_implementation
from roformer_conformance.vectors import load_vectors

from .faults import FAULTS


def run(*arguments: str, columns: str = "200") -> tuple[int, str]:
    """Exit code and output of the command."""
    result = CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": columns})
    return result.exit_code, result.output


def test_every_contested_point_has_a_probe_that_can_see_each_registered_behaviour() -> None:
    """A behaviour in SPEC.md that no probe can answer would never be recognised."""
    assert set(all_probes()) == set(contested_points())
    for point, clause in contested_points().items():
        for profile, text in clause.contested.items():
            words = text.partition(";")[0]
            assert words in all_probes()[point].answers or not can_be_seen(text), f"{point}, {profile}: {text}"


@pytest.mark.parametrize("profile", PROFILES[1:])
def test_every_entry_names_a_check_and_the_behaviour_that_is_registered(profile: str) -> None:
    """The reason is a point and its words in SPEC.md; what the list explains is said once for each check and head."""
    known = {*all_checks(), *(vector.check_id for vector in load_vectors())}
    entries = profile_expectations(profile)
    for entry in entries:
        assert entry.id in known
        assert entry.version
        assert entry.link.startswith("https://")
        point, _, words = entry.reason.removeprefix(f"as registered for {profile} at ").partition(": ")
        assert profile in registered_as(point, words), entry.reason
        assert PROFILES[0] not in registered_as(point, words), entry.reason
    assert len({(entry.id, entry.head) for entry in entries}) == len(entries)


def test_the_reference_is_seen_to_do_as_documented() -> None:
    """At every point that an implementation without a graph mode can be looked at."""
    found = look(find_adapter("numpy-equations"))
    assert [item.point for item in found if not item.seen] == ["IN-9.1", "IN-9.2"]
    assert [item.point for item in found if item.seen and "documented" not in item.profiles] == []


@pytest.mark.parametrize(
    ("fault", "point", "seen", "profile"),
    [
        ("minus_ten_thousand", "MASK-1", "not 0 where scores are large", "transformers-tf-4.37"),
        ("minus_ten_thousand", "MASK-6.1", "as if nothing were masked", "transformers-tf-4.37"),
        (
            "blind_sees_the_future",
            "MASK-6.1",
            "uniform over all keys, in a decoder over future ones too",
            "transformers-torch-5",
        ),
        (
            "causal_only_as_decoder",
            "DEC-1.1",
            "causal with is_decoder True, bidirectional with False",
            "transformers-torch-4.37",
        ),
        ("losses_averaged", "LOSS-1.2", "(1,), the mean", "transformers-tf-4.37"),
        ("summary_type_ignored", "HEAD-5.2", "index −1", "transformers-flax-4.37"),
        ("summary_type_ignored", "HEAD-5.3", "index −1", "transformers-tf-4.37"),
        ("head_mask_ignored", "OUT-1.4", "after dropout", "transformers-torch-5"),
        ("head_mask_ignored", "HEAD-6.3", "head_mask has no effect anywhere", "transformers-torch-5"),
        (
            "head_mask_reaches_cross_attention",
            "HEAD-6.3",
            "multiplies the weights of cross-attention too",
            "transformers-torch-4.37",
        ),
    ],
)
def test_a_known_mistake_is_named_by_its_profile(fault: str, point: str, seen: str, profile: str) -> None:
    """An implementation with one registered behaviour shows it at that point, and the rest as documented."""
    found = {item.point: item for item in look(FAULTS[fault]())}
    assert found[point].seen == seen
    assert profile in found[point].profiles
    assert "documented" not in found[point].profiles
    assert "documented" in found["OUT-4.1"].profiles


def test_what_a_profile_registers_differs_and_what_it_does_not_fails() -> None:
    """The blind queries of PyTorch: explained by its profile, a failure without one."""
    wrong, check = FAULTS["blind_sees_the_future"](), "MASK-6.1/blind-causal-query-is-uniform"
    assert [item.status for item in check_implementation(wrong, level="smoke", clauses=[check]).records] == [
        "failed"
    ] * 2
    result = check_implementation(wrong, level="smoke", clauses=[check], profile="transformers-torch-5")
    assert {item.status for item in result.records} == {"differs"}
    assert result.records[0].message.startswith(
        "as registered for transformers-torch-5 at MASK-6.1: uniform over all keys"
    )
    assert result.profile == "transformers-torch-5"


def test_a_failure_that_a_profile_explains_is_said_to_be_one() -> None:
    """Without a profile the nearest is named; not for failures that none registers."""
    wrong = FAULTS["blind_sees_the_future"]()
    result = check_implementation(wrong, level="smoke", clauses=["MASK-6.1"])
    profile, found = explained_by(result.failed)
    assert profile.startswith("transformers-torch")
    assert found
    assert all(record in result.failed for record in found)
    assert explained_by(()) == ("", [])
    console = Console(width=250, record=True, file=io.StringIO())
    print_result(result, console)
    told = console.export_text()
    ids = ", ".join(dict.fromkeys(record.id for record in found))
    assert f"{len(found)} of the {len(result.failed)} failures may be what {profile} does: {ids}\n" in told
    assert f"roformer-conformance profiles {profile} describes it; check … --profile {profile} counts them" in told


def test_a_mistake_of_another_kind_is_put_down_to_no_profile() -> None:
    """It fails checks that a profile names, in another way, or passes more of them than it fails."""

    def record(identifier: str, status: str, message: str = "") -> Record:
        return Record(identifier, identifier.partition("/")[0], "base", "float32", status, "", message=message)

    scores = record("MASK-1/vector-base-large_scores", "failed", "last_hidden_state[1, 1, 0] is 2 times what …")
    pooler = record(
        "OUT-4.1/vector-base-pooler", "failed", "last_hidden_state[0, 0, 0] is …; guards against: pooler_output"
    )
    assert explained_by([scores, pooler]) == ("transformers-tf-4.37", [scores])
    assert explained_by([scores, pooler, record("OUT-4.1/formula", "passed")]) == ("", [])


def test_a_registered_difference_that_is_not_there_is_a_failure() -> None:
    """Who asks to be held to a profile and does as documented is told so: the profile is the wrong one."""
    result = check_implementation(
        find_adapter("numpy-equations"), level="smoke", clauses=["HEAD-5.2"], profile="transformers-tf-4.37"
    )
    assert {item.status for item in result.records} == {"failed"}
    assert "HEAD-5.2: index −1), and passes" in result.failed[0].message
    assert result.failed[0].replay.startswith(
        "roformer-conformance check numpy-equations --clause HEAD-5.2/first-state"
    )


def test_entries_about_checks_that_are_not_run_are_left_out_of_a_profile_and_refused_in_a_list_of_ones_own() -> None:
    """A profile is about every head and clause; a list of one's own that names nothing has rotted."""
    adapter = find_adapter("numpy-equations")
    assert check_implementation(adapter, level="smoke", clauses=["ERR-2"], profile="transformers-tf-4.37").conforms
    with pytest.raises(ExpectationError, match=r"no check that is run is called .EMB-1\.1/no-such-check"):
        check_implementation(
            adapter,
            level="smoke",
            clauses=["EMB-1.1"],
            expected=[Expectation("EMB-1.1/no-such-check", "it was renamed")],
        )


def test_ones_own_list_stands_beside_a_profile(tmp_path: Path) -> None:
    """`--expected` with `--profile`: both are applied, and an entry that has expired is an error with its day."""
    own = tmp_path / "own.toml"
    entry = '[[expected]]\nid = "HEAD-5.1/last-state"\nreason = "tried"\nexpires = {}\n'
    arguments = ("check", "numpy-equations", "--level", "smoke", "--clause", "HEAD-5", "--expected", str(own))
    own.write_text(entry.format("9999-12-31"))
    code, told = run(*arguments, "--profile", "transformers-tf-4.37")
    assert code == 1
    unwrapped = " ".join(told.replace("│", " ").split())
    assert "was expected to fail (tried), and passes" in unwrapped
    assert "HEAD-5.2: index −1), and passes" in unwrapped
    own.write_text(entry.format("2001-01-31"))
    code, told = run(*arguments)
    assert code == 2
    assert "expired on 2001-01-31 (tried)" in told


def test_an_unknown_profile_is_wrong_usage() -> None:
    """The known ones are named; nothing is run."""
    with pytest.raises(UsageError, match="no profile is called 'keras'; known are documented"):
        profile_expectations("keras")
    code, printed = run("check", "numpy-equations", "--profile", "keras")
    assert code == 2
    assert "transformers-torch-5" in printed


def test_profiles_are_listed_and_described() -> None:
    """All of them with what they explain; one with its behaviour at each contested point."""
    code, listed = run("profiles")
    assert code == 0
    assert all(name in listed for name in (*PROFILES, *contested_points()))
    code, described = run("profiles", "transformers-tf-4.37")
    assert code == 0
    assert "bidirectional, always" in described


def test_an_implementation_is_told_which_profile_it_is_nearest_to(tmp_path: Path) -> None:
    """A table of what it does; `--json` holds the same; a name that is neither is wrong usage."""
    code, told = run("profiles", "numpy-equations", "--json", str(tmp_path / "seen.json"))
    assert code == 0
    assert "nearest: documented, at 12 of 12 points that could be looked at" in told
    found = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert [item["point"] for item in found] == list(contested_points())
    assert run("profiles", "nobody")[0] == 2
    assert run("profiles", "documented", "--json", str(tmp_path / "x.json"))[0] == 2
