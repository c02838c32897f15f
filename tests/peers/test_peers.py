"""The real peers through their adapters: they speak the protocol, and their arithmetic is that of the contract."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from roformer_conformance import kit
from roformer_conformance.peers.environments import start_peer
from roformer_conformance.peers.exports import checkpoint_of, exported
from roformer_conformance.peers.known import known_differences
from roformer_conformance.peers.manifests import Peer, all_peers, peer_named
from roformer_conformance.process import ProcessAdapter
from roformer_conformance.process.rehearsal import rehearse
from roformer_conformance.profiles import look
from roformer_conformance.runner import check_implementation


def is_available(peer: Peer) -> bool:
    """Whether variables name its environment, and that of the peer that exports what it runs."""
    exporter = peer_named(peer.exported_by) if peer.exported_by else peer
    return bool(os.environ.get(peer.variable) and os.environ.get(exporter.variable))


AVAILABLE = [peer for peer in all_peers().values() if is_available(peer)]
# The arithmetic of attention, and the vectors that others recorded of it.
SOUND = ("ROT-2.2", "ROT-2.3", "ATT-3.1", "ATT-3.3", "EMB", "MASK-3", "MASK-4")


@pytest.fixture(scope="module", params=AVAILABLE, ids=lambda peer: peer.name)
def peer(request: pytest.FixtureRequest) -> Peer:
    """A peer whose environment a variable names."""
    return request.param


@pytest.fixture(scope="module")
def export(peer: Peer) -> Path | None:
    """The files that the peer runs, if it runs such."""
    return exported(peer) if peer.exported_by else None


@pytest.fixture(scope="module")
def adapter(peer: Peer, export: Path | None) -> Iterator[ProcessAdapter]:
    """The peer in its process."""
    started = start_peer(peer, export)
    yield started
    started.close()


def test_the_peer_is_the_version_that_its_description_names(peer: Peer, adapter: ProcessAdapter) -> None:
    """Results are of the release that they are said to be of."""
    assert adapter.name == peer.name
    assert adapter.version.startswith(f"{peer.version} (")


def test_the_arithmetic_of_the_peer_is_that_of_the_contract(
    peer: Peer, adapter: ProcessAdapter, export: Path | None
) -> None:
    """Rotation, attention, embedding and masks differ as registered, if at all; a mixed-up adapter fails here."""
    known = known_differences(peer, SOUND)
    model = checkpoint_of(export) if export else None
    result = check_implementation(
        adapter, level="smoke", clauses=SOUND, expected=known, profile=peer.profile, model=model
    )
    assert [(record.id, record.head, record.message) for record in result.failed] == []
    assert len(result.passed) > (10 if peer.exported_by else 20)


def test_the_peer_does_what_its_profile_registers(peer: Peer, adapter: ProcessAdapter) -> None:
    """At every contested point that can be looked at; who has no profile of its own has nothing to be held to."""
    if peer.profile == "documented":
        assert not adapter.capabilities.get("profile")
        return
    found = look(adapter)
    assert [(item.point, item.seen) for item in found if item.seen and peer.profile not in item.profiles] == []
    assert sum(bool(item.seen) for item in found) >= 11


def test_the_peer_speaks_the_protocol(peer: Peer, export: Path | None) -> None:
    """Every message that it claims to understand; TensorFlow's pruning is documented and not there."""
    failed = [step.name for step in rehearse(start_peer(peer, export)) if step.status == "failed"]
    assert failed == (["prune_heads"] if "tensorflow" in peer.name else [])


@pytest.mark.skipif(
    "ROFORMER_PEER_TRANSFORMERS_5" not in os.environ, reason="ROFORMER_PEER_TRANSFORMERS_5 names no Python with PyTorch"
)
def test_the_example_of_the_guide_is_right_in_all_it_claims() -> None:
    """A plain model and its page of adapter: no check of the arithmetic fails, but for rows that see no key."""
    example = Path(__file__).parents[2] / "docs" / "peers" / "example" / "my_adapter.py"
    adapter = ProcessAdapter([os.environ["ROFORMER_PEER_TRANSFORMERS_5"], kit.__file__, str(example)])
    families = ("EMB", "ROT", "ATT", "FFN", "NUM", "MASK-1", "MASK-2", "MASK-3")
    result = check_implementation(adapter, level="smoke", clauses=families)
    assert adapter.close() == 0
    assert [(record.id, record.message) for record in result.failed] == []
    assert len(result.passed) > 10
