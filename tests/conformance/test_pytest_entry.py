"""The suite inside somebody's pytest run, and as a function."""

from pathlib import Path

import pytest

from roformer_conformance import AdapterError, check_implementation, parametrize_with_checks
from roformer_conformance.expectations import Expectation, ExpectationError
from roformer_numpy.adapter import NumpyAdapter

TEST_FILE = """
from roformer_conformance import parametrize_with_checks
from roformer_conformance.expectations import Expectation, ExpectationError
from roformer_numpy.adapter import NumpyAdapter


class CausalEncoder(NumpyAdapter):
    capabilities = {"heads": ["base"], "dtypes": ["float32"], "call_styles": ["keywords"]}

    def load(self, head, config, weights, dtype):
        return super().load(head, {**config, "is_decoder": True}, weights, dtype)


@parametrize_with_checks(CausalEncoder("equations"), level="smoke")
def test_my_roformer(check):
    check()
"""


def test_each_check_is_an_item_with_its_id(pytester: pytest.Pytester) -> None:
    """A user's run lists checks by clause and fails exactly where the implementation does."""
    pytester.makepyfile(TEST_FILE)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-k", "NUM-1.1 or FFN")
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] > 0
    assert outcomes["passed"] > 0
    result.stdout.fnmatch_lines(["*FAILED*test_my_roformer*NUM-1.1/parity*base-float32*"])


def test_what_is_not_claimed_is_skipped(pytester: pytest.Pytester) -> None:
    """With what is lacking, and neither as a pass nor as a failure."""
    refusing = TEST_FILE.replace(
        "        return super()", '        if config["rotary_value"]:\n            raise Unsupported("rotary_value")\n'
        "        return super()",
    ).replace("class Causal", "class Unsupported(Exception):\n    pass\n\n\nclass Causal")  # fmt: skip
    pytester.makepyfile(refusing)
    result = pytester.runpytest_subprocess("-q", "-rs", "-p", "no:cacheprovider", "-k", "value-turns")
    assert result.parseoutcomes()["skipped"] == 1
    assert result.parseoutcomes().get("failed", 0) == 0
    result.stdout.fnmatch_lines(["*not claimed: needs rotary_value*"])


def test_expected_failures_name_a_check_and_a_reason(tmp_path: Path) -> None:
    """A list of expected failures is strict: an id that matches nothing is an error."""
    path = tmp_path / "xfails.toml"
    path.write_text('[[expected]]\nid = "MASK-1/no-such-check"\nreason = "none"\n')
    with pytest.raises(ExpectationError, match="no-such-check"):
        parametrize_with_checks(NumpyAdapter("equations"), expected_failures=path)
    path.write_text('[[expected]]\nid = "MASK-1/weight-is-zero"\n')
    with pytest.raises(ExpectationError, match="has an id, a reason"):
        parametrize_with_checks(NumpyAdapter("equations"), expected_failures=path)


KNOWN = """
[[expected]]
id = "NUM-1.1/parity"
reason = "is a decoder"
says = "what honest float32"

[[expected]]
id = "NUM-1.1/parity-long"
reason = "is a decoder"
says = "RuntimeError"

[[expected]]
id = "FFN-4.4/embedding-eps"
reason = "is a decoder"
"""


def test_an_item_that_differs_as_expected_is_an_expected_failure(pytester: pytest.Pytester) -> None:
    """With the reason; what says something else fails, and so does what passes."""
    pytester.makefile(".toml", known=KNOWN)
    pytester.makepyfile(TEST_FILE.replace('level="smoke"', 'level="smoke", expected_failures="known.toml"'))
    result = pytester.runpytest_subprocess("-q", "-rxf", "-p", "no:cacheprovider", "-k", "parity or embedding-eps")
    assert result.parseoutcomes()["xfailed"] == 1
    result.stdout.fnmatch_lines(["XFAIL*NUM-1.1/parity*is a decoder*"])
    told = [line for line in result.outlines if line.startswith("FAILED")]
    assert any("NUM-1.1/parity-long" in line for line in told)
    assert any("FFN-4.4/embedding-eps" in line for line in told)
    result.stdout.fnmatch_lines(["*was expected to fail (is a decoder), and passes*"])


def test_a_result_lists_its_records_by_status() -> None:
    """`check_implementation` returns records with id, clause, head, grade, message and replay."""
    result = check_implementation(NumpyAdapter("equations"), level="smoke", clauses=["NUM-1"])
    assert result.conforms
    assert not result.failed
    assert {record.clause.partition("-")[0] for record in result.passed} >= {"NUM", "TRAIN"}  # gradients bear on it
    assert all(record.id.startswith(record.clause) for record in result.passed)


def test_what_is_not_claimed_is_listed_and_never_passed() -> None:
    """An implementation with one head and no extras is asked less, and the result says what was left out."""
    adapter = NumpyAdapter("equations")
    adapter.capabilities = {"heads": ["base"], "dtypes": ["float64"], "call_styles": ["keywords"]}
    result = check_implementation(adapter, level="smoke", clauses=["DEC", "HEAD", "LOSS"])
    assert result.not_claimed
    assert {record.head for record in result.passed} <= {"base"}
    assert not {record.id for record in result.not_claimed} & {record.id for record in result.passed}


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("capabilities", {"heads": ["base"], "colour": True}, "colour"),
        ("capabilities", {"heads": ["encoder"]}, "encoder"),
        ("capabilities", {"heads": []}, "heads"),
        ("capabilities", {"heads": ["base"], "dtypes": ["float8"]}, "float8"),
    ],
)
def test_an_adapter_that_claims_nonsense_is_refused(attribute: str, value: object, words: str) -> None:
    """A claim that the suite does not know is an error, not ignored."""
    adapter = NumpyAdapter("equations")
    setattr(adapter, attribute, value)
    with pytest.raises(AdapterError, match=words):
        check_implementation(adapter, level="smoke")


class CausalEncoder(NumpyAdapter):
    """A base model that never sees a later token, though nobody asked for a decoder."""

    def load(self, head, config, weights, dtype):
        """A decoder in place of the encoder."""
        return super().load(head, {**config, "is_decoder": True}, weights, dtype)


def test_an_expected_failure_differs_and_does_not_fail() -> None:
    """What is known and said does not hide what is new: only the named check on the named head is excused."""
    known = Expectation("NUM-1.1/parity", "is a decoder", head="base")
    result = check_implementation(CausalEncoder("equations"), clauses=["NUM-1.1/parity"], expected=[known])
    assert {(record.id, record.head) for record in result.differs} == {("NUM-1.1/parity", "base")}
    assert all("is a decoder" in record.message for record in result.differs)
    assert {record.head for record in result.failed if record.id == "NUM-1.1/parity"} >= {"masked_lm"}


def test_an_expected_failure_that_passes_is_a_failure() -> None:
    """A list of known failures does not rot."""
    known = Expectation("NUM-1.1/parity", "was wrong once", head="base")
    result = check_implementation(NumpyAdapter("equations"), level="smoke", clauses=["NUM-1.1"], expected=[known])
    assert {(record.id, record.head) for record in result.failed} == {("NUM-1.1/parity", "base")}
    assert all("was expected to fail (was wrong once), and passes" in record.message for record in result.failed)
