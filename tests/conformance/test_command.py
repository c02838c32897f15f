"""The command `roformer-conformance`: what it prints, writes and exits with."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from roformer_conformance import cli, records
from roformer_conformance.command import share_cores
from roformer_conformance.report import print_result
from roformer_numpy.adapter import NumpyAdapter


class CausalEncoder(NumpyAdapter):
    """An implementation with a fault: the base model never sees a later token, though nobody asked for a decoder."""

    def __init__(self) -> None:
        super().__init__("equations")
        self.name = "causal-encoder"

    def load(self, head, config, weights, dtype):
        """A decoder in place of the encoder."""
        return super().load(head, {**config, "is_decoder": True}, weights, dtype)


class Crashing(NumpyAdapter):
    """An implementation that raises whatever it is asked."""

    def __init__(self) -> None:
        super().__init__("equations")

    def load(self, head, config, weights, dtype):
        """Nothing is loaded."""
        raise RuntimeError("out of order")


class Misclaiming(NumpyAdapter):
    """An implementation whose claim is a word where a list is expected."""

    capabilities: ClassVar = {"heads": "base"}

    def __init__(self) -> None:
        super().__init__("equations")


class Leaving(NumpyAdapter):
    """An implementation that ends the program it runs in, content."""

    def __init__(self) -> None:
        super().__init__("equations")

    def load(self, head, config, weights, dtype):
        """The end."""
        raise SystemExit(0)


class Unsupported(Exception):
    """As an adapter that imports nothing of the suite writes it."""


class Evading(NumpyAdapter):
    """An implementation that calls unsupported whatever it refuses."""

    def __init__(self) -> None:
        super().__init__("equations")

    def load(self, head, config, weights, dtype):
        """The right model, whose errors are exchanged."""
        right = super().load(head, config, weights, dtype)

        def call(inputs, *, style="keywords", options=None):
            try:
                return right(inputs, style=style, options=options)
            except Exception as error:
                raise Unsupported(str(error)) from error

        return call


class Small(NumpyAdapter):
    """An implementation of little: one model, in float32, called by keywords, and without a pooler."""

    def __init__(self) -> None:
        super().__init__("equations")
        self.name = "small"
        self.capabilities = {"heads": ["base"], "dtypes": ["float32"]}

    def load(self, head, config, weights, dtype):
        """A model that never has a pooler."""
        return super().load(head, {**config, "add_pooling_layer": False}, weights, dtype)


FAULTY = f"{__name__}:CausalEncoder"
SMALL = f"{__name__}:Small"


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences are looked for whole: no line is broken."""
    monkeypatch.setattr(cli, "console", Console(width=250))


def run(*arguments: str) -> Result:
    """The command with these arguments."""
    return CliRunner().invoke(cli.app, list(arguments))


def test_a_conforming_implementation_exits_with_0() -> None:
    """One family of the definition: a table, run / applicable / total, the verdict."""
    result = run("check", "numpy-equations", "--level", "smoke", "--clause", "MASK")
    assert result.exit_code == 0, result.output
    told = r"numpy-equations \S+ conforms on the (\d+) of \d+ claims that were tried: \d+ checks and vectors"
    assert 0 < int(re.search(told, result.output)[1]) < 20
    assert re.search(r"claims run \d+ / applicable \d+ / total \d+", result.output)


def test_a_fault_exits_with_1_and_says_how_to_see_it_again() -> None:
    """Each failure names check, claim, tap, values and case, and ends with a line to paste."""
    result = run("check", FAULTY, "--level", "smoke", "--clause", "NUM-1")
    assert result.exit_code == 1
    assert "NUM-1" in result.output
    assert re.search(r"attentions\.0\[.*\] is .* times what honest float32 arithmetic costs", result.output)
    assert re.search(r"got \S+, expected \S+", result.output)
    assert f"again: roformer-conformance check {FAULTY} --clause NUM-1" in result.output


def test_a_failure_is_told_by_head_and_type_and_repeated_by_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal too the line to paste is one line, outside the frame, and gives the same failure."""
    monkeypatch.setattr(cli, "console", Console(width=60))
    result = run("vectors", "verify", SMALL, "--case", "base-plain")
    assert result.exit_code == 1
    assert "EMB-1.1/vector-base-plain [base float32]" in result.output
    again = f"roformer-conformance vectors verify {SMALL} --case base-plain --dtype float32"
    assert f"again: {again}" in result.output.splitlines()
    assert run(*again.split()[1:]).output == result.output


def test_a_failure_is_repeated_under_the_same_budget() -> None:
    """The line to paste carries --budget-k when that is not the usual one."""
    result = run("check", FAULTY, "--level", "smoke", "--clause", "NUM-1.1/parity", "--budget-k", "3")
    assert "--seed 0 --budget-k 3\n" in result.output


def test_a_vector_that_makes_an_implementation_raise_can_be_repeated() -> None:
    """An exception is a failure like any other: with a line to paste."""
    result = run("vectors", "verify", f"{__name__}:Crashing", "--case", "base-plain")
    assert result.exit_code == 1
    assert f"again: roformer-conformance vectors verify {__name__}:Crashing --case base-plain" in result.output


def test_what_is_not_claimed_is_named_once() -> None:
    """Capabilities and heads, each once, and heads that were not tried are not counted."""
    result = run("check", SMALL, "--level", "smoke", "--clause", "LOSS-1", "--clause", "FFN-4.2")
    assert "Not claimed by small: causal_lm, masked_lm," in result.output
    assert result.output.count("causal_lm") == 1
    assert "on 1 head;" in result.output


def test_an_adapters_own_words_for_what_it_has_not_stay_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Lists of capabilities are taken apart at their commas; a sentence with commas is not."""
    said = ["cache, head masked_lm", "call_styles:dict or call_styles:list", "no {'inputs_embeds', 'labels'} here"]
    untried = tuple(records.Record("IN-1/x", "IN-1", "", "", "not_claimed", "", message=f"needs {it}") for it in said)
    print_result(records.Result("mine", "1", "smoke", 0, untried, ("IN-1",)), Console(width=200))
    names = "cache, call_styles:dict, call_styles:list, masked_lm, no {'inputs_embeds', 'labels'} here"
    assert f"Not claimed by mine: {names}\n" in capsys.readouterr().out


def test_nothing_tried_is_nothing_passed() -> None:
    """An implementation without a tokenizer does not conform to the tokenizer's clauses, and fails none."""
    result = run("check", SMALL, "--level", "smoke", "--clause", "TOK")
    assert result.exit_code == 1
    assert "passes nothing: 0 checks" in result.output


def test_an_adapter_in_the_current_folder_is_found(tmp_path: Path) -> None:
    """A newcomer writes my_adapter.py and names it; nothing has to be installed."""
    (tmp_path / "my_adapter.py").write_text("from roformer_numpy.adapter import equations_adapter as Mine\n")
    command = [Path(sys.executable).with_name("roformer-conformance"), "check", "my_adapter:Mine"]
    finished = subprocess.run(
        [*command, "--level", "smoke", "--clause", "FFN-4.1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "conforms" in finished.stdout


def test_an_implementation_that_raises_fails_every_check() -> None:
    """A crash is a failure of the implementation, never of the suite, and never skipped."""
    result = run("check", f"{__name__}:Crashing", "--level", "smoke", "--clause", "FFN-4")
    assert result.exit_code == 1
    assert "RuntimeError: out of order" in result.output
    assert " 0 " in result.output


def test_an_implementation_that_ends_the_program_has_died() -> None:
    """SystemExit with code 0 is not the exit code of the run, which nobody ended."""
    result = run("check", f"{__name__}:Leaving", "--level", "smoke", "--clause", "FFN-4.1")
    assert result.exit_code == 3
    assert "ended the program: SystemExit 0" in result.output


def test_bad_input_is_not_unsupported_where_good_input_is_supported() -> None:
    """An adapter that calls every error Unsupported fails the claims about bad input; it does not get past them."""
    result = run("check", f"{__name__}:Evading", "--level", "smoke", "--clause", "ERR-2")
    assert result.exit_code == 1
    assert "right values are supported" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "nonsense"), "no implementation is called 'nonsense'"),
        (("check", "no_such_module:Adapter"), "cannot be imported"),
        (("check", "json:dumps"), "is no adapter and makes none"),
        (("check", "my_module.py:Adapter"), "names a file, expected module:attribute: my_module:Adapter"),
        (("check", f"{__name__}:Misclaiming"), "capabilities['heads'] is 'base', expected a list of such names"),
        (("check", "numpy", "--report", f"{__file__}/report"), "report cannot be made: Not a directory"),
        (("check", "numpy", "--json", f"{__file__}/x"), "cannot be made: File exists"),
        (("check", "numpy", "--junit", str(Path(__file__).parent)), "is a folder, expected a file to write"),
        (("check", "numpy-equations", "--clause", "NOPE-1"), "no clause or check is called 'NOPE-1'"),
        (("check", "numpy-equations", "--level", "hard"), "level 'hard' is not one of smoke, default, deep"),
        (("check", "numpy", "--engine", "steam"), "'numpy' has no engine called 'steam'; known are engine, components"),
        (("check", "json:dumps", "--engine", "steam"), "it is known in one way only"),
        (("clauses", "XYZ-1"), "no clause is called 'XYZ-1'"),
        (("vectors", "verify", "numpy-equations", "--case", "nonsense"), "no vector is called nonsense"),
        (("vectors", "verify", "numpy-equations", "--dtype", "float16"), "not in 'float16'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_known(arguments: tuple[str, ...], words: str) -> None:
    """A typing mistake is told from a failing implementation."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr


def test_the_components_are_checked_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--engine components` is the kernels one after the other; the engine takes no part, by default it does."""
    monkeypatch.setattr("roformer_numpy.engine.Engine.encode", lambda *_given: 1 / 0)
    clause = ("--level", "smoke", "--clause", "NUM-1.1/unobserved")
    twins, engine = run("check", "numpy", "--engine", "components", *clause), run("check", "numpy", *clause)
    assert twins.exit_code == 0, twins.output
    assert "numpy-components" in twins.output
    assert engine.exit_code == 1


def test_json_holds_every_record_and_the_coverage(tmp_path: Path) -> None:
    """A program reads the same result that a person sees."""
    path = tmp_path / "deep" / "result.json"
    assert run("check", FAULTY, "--level", "smoke", "--clause", "NUM-1", "--json", str(path)).exit_code == 1
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["conforms"] is False
    assert {record["status"] for record in result["records"]} == {"passed", "failed"}
    failed = next(record for record in result["records"] if record["status"] == "failed")
    assert failed["message"]
    assert failed["case"]
    assert failed["replay"].startswith("roformer-conformance check")
    assert set(result["coverage"]) == {"total", "run", "not_asked", "not_claimed", "unchecked"}
    assert result["environment"]["numpy"]


def test_junit_is_what_a_ci_server_counts(tmp_path: Path) -> None:
    """Tests, failures and skipped items add up to the records."""
    path = tmp_path / "result.xml"
    run("check", FAULTY, "--level", "smoke", "--clause", "NUM-1", "--junit", str(path))
    suite = ElementTree.parse(path).getroot()
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase"))
    assert int(suite.get("failures", "0")) == len(suite.findall("testcase/failure")) > 0
    assert all(case.get("classname") and case.get("name") for case in suite.findall("testcase"))


def test_the_same_seed_gives_the_same_records(tmp_path: Path) -> None:
    """Nothing but time differs between two runs: examples, grades and verdicts repeat."""
    runs = []
    for number in range(2):
        path = tmp_path / f"{number}.json"
        run("check", "numpy-equations", "--level", "smoke", "--clause", "NUM-1", "--seed", "3", "--json", str(path))
        records = json.loads(path.read_text(encoding="utf-8"))["records"]
        runs.append([{key: value for key, value in record.items() if key != "seconds"} for record in records])
    assert runs[0] == runs[1]


def test_another_seed_draws_other_examples(tmp_path: Path) -> None:
    """The examples come from the seed."""
    grades = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.json"
        run("check", "numpy", "--clause", "NUM-1.1/parity", "--seed", seed, "--json", str(path))
        grades.append([record["grade"] for record in json.loads(path.read_text(encoding="utf-8"))["records"]])
    assert grades[0] != grades[1]


def test_one_clause_is_explained_with_its_checks() -> None:
    """`clauses ID` prints the claim, its source and what tries it."""
    result = run("clauses", "MASK-1")
    assert result.exit_code == 0
    assert "MASK-1/weight-is-zero" in result.output
    assert "Source:" in result.output
    assert "base-right_padding" in result.output


def test_all_clauses_are_listed() -> None:
    """Every claim of the specification stands in the table, tried or not."""
    result = run("clauses")
    for clause in ("CFG-1.1", "ROT-2.2", "DEC-4", "NUM-1.3"):
        assert clause in result.output


def test_vectors_verify_prints_a_row_a_head() -> None:
    """The largest relative error of each head against transformers in float64."""
    result = run("vectors", "verify", "numpy-equations", "--case", "base-plain", "--case", "masked_lm-plain")
    assert result.exit_code == 0, result.output
    assert re.search(r"base .* 1 .* 0 .*e-1[5-9]", result.output)


def test_vectors_verify_fails_a_fault() -> None:
    """An encoder that is causal does not give what transformers gave."""
    result = run("vectors", "verify", FAULTY, "--case", "base-plain")
    assert result.exit_code == 1
    assert "guards against" in result.output


@pytest.mark.parametrize(
    ("arguments", "chosen", "threads"),
    [
        (["check", "numpy"], {}, "1"),
        (["check", "numpy"], {"OPENBLAS_NUM_THREADS": "4"}, "4"),
        (["check", "numpy", "--model", "folder"], {}, None),
        (["record", "folder"], {}, None),
        ([], {}, None),
    ],
)
def test_checks_of_tiny_models_take_one_thread_unless_the_user_chose(
    arguments: list[str], chosen: dict[str, str], threads: str | None
) -> None:
    """Two threads of OpenBLAS wait for each other on busy cores; a model of the user's own may need them."""
    share_cores(arguments, chosen)
    assert chosen.get("OPENBLAS_NUM_THREADS") == threads
