"""The pytest plugin: cheap to load for those who do not use it, and a run's say in how much is tried."""

import subprocess
import sys

import pytest

TEST_FILE = """
from roformer_conformance import parametrize_with_checks
from roformer_numpy.adapter import NumpyAdapter


class Base(NumpyAdapter):
    capabilities = {"heads": ["base"], "dtypes": ["float32", "float64"]}


@parametrize_with_checks(Base("equations"), level="smoke")
def test_my_roformer(check):
    check()
    assert (check.level, check.seed) == EXPECTED
"""


def test_loading_the_plugin_imports_nothing_that_takes_time() -> None:
    """Every pytest run of the environment loads it: beside this package, only the standard library's small modules."""
    code = (
        "import __future__, sys, collections.abc, dataclasses, importlib, typing; before = set(sys.modules)\n"
        "import roformer_conformance.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["roformer_conformance", "roformer_conformance.plugin"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), ("smoke", 0)), (("--conformance-level=default", "--conformance-seed=7"), ("default", 7))],
)
def test_a_run_says_how_much_is_tried(pytester: pytest.Pytester, options: tuple[str, ...], expected: object) -> None:
    """The options take the place of what the decorator was given; without them that stays."""
    pytester.makepyfile(TEST_FILE.replace("EXPECTED", repr(expected)))
    result = pytester.runpytest_subprocess(
        "-q", "-pno:cacheprovider", *options, "-k", "variance-by-width or vector-base-plain"
    )
    result.assert_outcomes(passed=2)
