"""The real peers through their adapters: they speak the protocol, and their arithmetic is that of the contract."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from roformer_conformance.peers.environments import start_peer
from roformer_conformance.peers.manifests import Peer, all_peers
from roformer_conformance.process import ProcessAdapter
from roformer_conformance.process.rehearsal import rehearse
from roformer_conformance.runner import check_implementation

AVAILABLE = [peer for peer in all_peers().values() if os.environ.get(peer.variable)]
# What no peer is known to do wrong: the arithmetic of attention, and the vectors that others recorded.
SOUND = ("ROT-2.2", "ROT-2.3", "ATT-3.1", "ATT-3.3", "EMB", "MASK-3", "MASK-4")


@pytest.fixture(scope="module", params=AVAILABLE, ids=lambda peer: peer.name)
def peer(request: pytest.FixtureRequest) -> Peer:
    """A peer whose environment a variable names."""
    return request.param


@pytest.fixture(scope="module")
def adapter(peer: Peer) -> Iterator[ProcessAdapter]:
    """The peer in its process."""
    started = start_peer(peer)
    yield started
    started.close()


def test_the_peer_is_the_version_that_its_description_names(peer: Peer, adapter: ProcessAdapter) -> None:
    """Results are of the release that they are said to be of."""
    assert adapter.name == peer.name
    assert adapter.version.startswith(f"{peer.version} (")


def test_the_arithmetic_of_the_peer_is_that_of_the_contract(adapter: ProcessAdapter) -> None:
    """Rotation, attention, embedding and masks, on every head; an adapter that mixed something up fails here.

    TensorFlow's is not causal, and its question answering wants two labels: only its other heads are looked at.
    """
    broken = ("causal_lm", "question_answering") if "tensorflow" in adapter.name else ()
    result = check_implementation(adapter, level="smoke", clauses=SOUND)
    assert [
        (record.id, record.head, record.message)
        for record in result.failed
        if record.head not in broken and not record.id.startswith("DEC")
    ] == []
    assert len(result.passed) > 20


def test_the_peer_speaks_the_protocol(peer: Peer) -> None:
    """Every message that it claims to understand; TensorFlow's pruning is documented and not there."""
    failed = [step.name for step in rehearse(start_peer(peer)) if step.status == "failed"]
    assert failed == (["prune_heads"] if "tensorflow" in peer.name else [])
