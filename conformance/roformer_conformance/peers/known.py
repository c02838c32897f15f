"""The differences that are known of a peer, as far as they bear on what is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..expectations import Expectation, load_expectations
from ..registry import all_checks
from ..vectors import load_vectors
from .manifests import Peer


def known_differences(peer: Peer, wanted: Sequence[str] = ()) -> tuple[Expectation, ...]:
    """The entries of the peer's expected.toml about the wanted clauses, families or ids; all when nothing is wanted.

    Raises:
        ExpectationError: the file cannot be read.
    """
    known = load_expectations(peer.expected) if peer.expected else ()
    if not wanted:  # an entry that names nothing is told by the run
        return known
    bearing = _bearing()
    return tuple(item for item in known if _is_wanted((item.id, *bearing.get(item.id, ())), wanted))


def _bearing() -> Mapping[str, tuple[str, ...]]:
    """Id of a check or vector → the clauses that it bears on."""
    checks = {name: item.clauses for name, item in all_checks().items()}
    return checks | {item.check_id: tuple(item.clauses) for item in load_vectors()}


def _is_wanted(names: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(name == want or name.startswith((f"{want}.", f"{want}-")) for name in names for want in wanted)
