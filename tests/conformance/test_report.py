"""What is written of results: documents that fit their schema, a page, a summary, a badge; names are never markup."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from roformer_conformance import UsageError, check_implementation, cli, records
from roformer_conformance.clauses import load_clauses
from roformer_conformance.growth import measure_growth
from roformer_conformance.report import document, read_documents, schema, write_json, write_pages, write_report
from roformer_conformance.report.grid import rows
from roformer_conformance.report.standing import Standing
from roformer_conformance.report.summary import badge, summary
from roformer_conformance.report.terminal import verdict
from roformer_numpy.adapter import NumpyAdapter

from .results import SCRIPT, result

GOOD, BAD = document(result()), document(result(SCRIPT, fails=True))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a good implementation and of one whose every text is a script."""
    folder = tmp_path_factory.mktemp("report")
    write_pages([GOOD, BAD], folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_documents_fit_the_schema() -> None:
    """Also where numbers are not finite: they are null."""
    jsonschema.Draft202012Validator.check_schema(schema())
    for found in (GOOD, BAD):
        jsonschema.validate(found, schema())
        json.dumps(found, allow_nan=False)
    assert BAD["records"][-1]["grade"] is None


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (records.Result, ()),
        (records.Record, ("records", "items")),
        (records.Coverage, ("coverage",)),
        (records.Growth, ("growth",)),
        (records.TapError, ("growth", "taps", "items")),
        (records.AttentionDifference, ("growth", "attention")),
    ],
)
def test_the_schema_describes_every_field(kind: type, path: tuple[str, ...]) -> None:
    """A field that is added is added to the schema."""
    described = schema()
    for name in path:
        described = described["items"] if name == "items" else described["properties"][name]
    assert {field.name for field in dataclasses.fields(kind)} <= described["properties"].keys()


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What `--json` writes is what `report` reads."""
    write_json(result(fails=True), tmp_path / "result.json")
    assert read_documents([tmp_path / "result.json"]) == [document(result(fails=True))]


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", json.dumps({**GOOD, "records": [{"id": 1}]})])
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """A wrong file is a usage error that names it."""
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UsageError, match=r"other\.json"):
        read_documents([tmp_path / "other.json"])


def test_a_clause_is_as_good_as_the_worst_that_was_found_of_it() -> None:
    """One failure among what passed fails the clause, on every implementation apart."""
    grid = {row.clause: [cell.status for cell in row.cells] for found in rows([GOOD, BAD]).values() for row in found}
    assert grid["MASK-1"] == ["passed", "failed"]
    assert grid["MASK-2.1"] == ["passed", "failed"]
    assert grid["FFN-4.1"] == ["differs", "differs"]
    assert grid["ROT-2.4"] == ["not_claimed", "not_claimed"]
    assert grid["TOK-1.1"] == ["unchecked", "unchecked"]


def test_a_cell_counts_what_failed_of_what_was_tried(html: str) -> None:
    """A number beside ✗ is never that of all, unless all failed."""
    cells = {row.clause: row.cells for found in rows([GOOD, BAD]).values() for row in found}
    assert [cell.count for cell in cells["MASK-1"]] == ["1", "1 of 2"]
    assert [cell.count for cell in cells["ROT-2.4"]] == ["", ""]
    assert re.search(r"<td[^>]*>✗ 1 of 2</td>", html)


def test_a_card_leads_to_its_failures(html: str) -> None:
    """The list stands below the grid; only who fails has one."""
    assert re.findall(r'<a href="(#[^"]*)"', html) == ["#failures-1"]
    assert html.count('<h2 id="failures-') == html.count('<h2 id="failures-1">') == 1


def test_text_of_an_implementation_is_never_markup(html: str) -> None:
    """Name, claim, message, case, diagnosis and replay line appear, escaped, and no script does."""
    assert "<script" not in html.lower()
    assert html.count("&lt;script&gt;document.title") >= 7
    assert "<script" not in summary([GOOD, BAD])


def test_the_page_needs_no_network(html: str) -> None:
    """Whatever it refers to is inside it, and the browser is told to load nothing else."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", html)
    assert not re.findall(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_the_page_shows_what_was_asked_for(html: str) -> None:
    """The grid, the growth of the error, the attention that differs, failures, time and environment."""
    for words in ("Clause by clause", "How the error grows", "Attention weights that differ", "Time", "Environment"):
        assert words in html
    assert html.count("<svg") == 2
    assert "currentColor" in html
    assert "✗ fails 1 check</p>" in html


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    """No date and no random id stands in it."""
    pages = [(write_pages([GOOD], tmp_path / name)[0]).read_text() for name in ("one", "two")]
    assert pages[0] == pages[1]


def test_a_badge_says_how_many_claims_hold() -> None:
    """In the format of shields.io's endpoint badges."""
    good, bad = json.loads(badge([GOOD])), json.loads(badge([BAD]))
    assert good["schemaVersion"] == 1
    assert (good["message"], good["color"]) == ("2 of 5 claims", "green")
    assert (bad["message"], bad["color"], bad["isError"]) == ("0 of 5 claims", "red", True)


def test_who_was_asked_little_is_not_simply_said_to_conform(tmp_path: Path) -> None:
    """Three claims of seven are less than half: every place says so and none is green; with three of six it is."""
    little, enough = (dataclasses.replace(result(), specified=number) for number in (7, 6))
    told = "conforms but for what is known, on the 3 of 7 claims that were tried"
    assert document(little)["verdict"] == told
    assert told in str(verdict(little))
    assert verdict(little).style == "bold yellow"
    assert f"🟡 mine 1.0 {told}" in summary([document(little)])
    given = json.loads(badge([document(little)]))
    assert (given["message"], given["color"], given["isError"]) == ("2 of 7 claims", "yellow", False)
    assert json.loads(badge([document(enough), document(little)]))["color"] == "yellow"
    assert f'<p class="differs">✓ {told}</p>' in write_pages([document(little)], tmp_path)[0].read_text()
    assert document(enough)["verdict"] == "conforms but for what is known"
    assert verdict(enough).style == "bold green"
    assert json.loads(badge([document(enough)]))["color"] == "green"


def test_one_claim_that_holds_is_told_as_one() -> None:
    """A failure stays a failure, whatever was asked, and nothing that passed is no success."""
    assert Standing(True, 0, 0, 1, 204).words == "conforms on the 1 of 204 claims that was tried"
    assert Standing(False, 1, 0, 1, 204).words == "fails 1 check"
    assert Standing(False, 0, 0, 0, 204).words == "passes nothing"
    assert Standing(True, 0, 0, 102, 204).words == "conforms"


def test_a_run_knows_how_many_claims_there_are() -> None:
    """Whichever of them it was about: a single clause is no conformance with the whole."""
    run = check_implementation(NumpyAdapter("equations"), level="smoke", clauses=["FFN-4.3"])
    askable = sum(not clause.not_asked for clause in load_clauses().values())
    assert run.specified == askable > 150
    assert document(run)["verdict"] == f"conforms on the 1 of {askable} claims that was tried"


def test_a_step_of_github_gets_the_summary_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is added behind what other commands of the step wrote."""
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    write_pages([GOOD], tmp_path)
    assert step.read_text() == "before\n" + (tmp_path / "summary.md").read_text()
    assert "| MASK | ✓ 2 |" in step.read_text()


def test_a_report_holds_five_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people and for programs."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    written = write_report(result(), tmp_path / "new")
    assert sorted(path.name for path in written) == [
        "badge.json", "junit.xml", "report.html", "result.json", "summary.md",
    ]  # fmt: skip
    assert all(path.stat().st_size for path in written)


def test_a_report_without_its_libraries_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite runs without them."""
    monkeypatch.setitem(sys.modules, "roformer_conformance.report.page", None)
    monkeypatch.delitem(sys.modules, "roformer_conformance.report.page")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match=r"jinja2.*roformer-reference\[report\]"):
        write_pages([GOOD], tmp_path)


class CausalEncoder(NumpyAdapter):
    """A base model that never sees a later token."""

    def load(self, head, config, weights, dtype):
        """A decoder in place of the encoder."""
        return super().load(head, {**config, "is_decoder": True}, weights, dtype)


class Dying(NumpyAdapter):
    """An implementation that raises."""

    def load(self, head, config, weights, dtype):
        """Nothing is loaded."""
        raise RuntimeError("out of order")


def test_the_error_is_measured_layer_by_layer() -> None:
    """A right implementation stays within its budget; of a wrong one the first attention outside is kept."""
    right, wrong = measure_growth(NumpyAdapter("equations")), measure_growth(CausalEncoder("equations"))
    assert [tap.tap for tap in right.taps[:2]] == ["hidden_states.0", "hidden_states.1"]
    assert all(0 < tap.error < 4 * tap.honest for tap in right.taps)
    assert right.attention is None
    assert wrong.taps[0].grade < 4 < wrong.taps[1].grade
    assert wrong.attention is not None
    assert wrong.attention.tap == "attentions.0"
    assert (len(wrong.attention.difference), len(wrong.attention.difference[0])) == (24, 24)
    # the first query of a causal encoder sees one key, so that it is furthest off there
    assert max(map(max, wrong.attention.difference)) == max(wrong.attention.difference[0])


def test_what_cannot_be_measured_is_told() -> None:
    """A report on an implementation that raises is a report."""
    assert "RuntimeError: out of order" in measure_growth(Dying("equations")).problem


def test_the_commands_write_and_combine_reports(tmp_path: Path) -> None:
    """`check --report` writes what `report` takes."""
    first = tmp_path / "first"
    run = CliRunner().invoke(
        cli.app, ["check", "numpy-equations", "--level", "smoke", "--clause", "FFN-4.3", "--report", str(first)]
    )
    assert run.exit_code == 0, run.output
    given = [str(first / "result.json")] * 2
    run = CliRunner().invoke(cli.app, ["report", *given, "--output", str(tmp_path / "both")])
    assert run.exit_code == 0, run.output
    assert "numpy-equations" in (tmp_path / "both" / "report.html").read_text()
    assert CliRunner().invoke(cli.app, ["report", str(tmp_path / "none.json")]).exit_code == 2
