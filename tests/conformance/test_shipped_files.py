"""What the suite ships stays as it is, whatever an implementation does with the folders that it is given."""

from pathlib import Path

from roformer_conformance.registry import all_checks
from roformer_conformance.resources import fixtures_folder

from .make_kill_matrix import tried


def contents() -> dict[Path, bytes]:
    """Every file of the recorded folders."""
    return {path: path.read_bytes() for path in (fixtures_folder() / "exchange").rglob("*") if path.is_file()}


def test_an_implementation_that_rewrites_what_it_loads_changes_nothing_that_is_shipped() -> None:
    """It is given copies: the next one must not be judged by what this one left."""
    before = contents()
    assert before
    tried("transposed_in_the_file", all_checks()["LIFE-4.3/recorded-folders"])
    assert contents() == before
