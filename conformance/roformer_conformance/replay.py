"""A saved failure, tried again alone."""

from __future__ import annotations

from pathlib import Path

from .failures import Examiner, Failure, load_failure
from .fixed import bound
from .levels import UsageError
from .protocol import Adapter, Capabilities
from .records import Record
from .registry import all_checks
from .running import run_case
from .vectors import load_vectors, verify_vector


def tried_again(failure: Failure | str | Path, adapter: Adapter) -> Record:
    """What comes of the check, or of the golden vector, on what it failed on.

    Raises:
        UsageError: the file cannot be read, or names a check that this version does not have.
    """
    failure = failure if isinstance(failure, Failure) else load_failure(failure)
    described, case = failure.described, failure.case
    adapter = bound(adapter, described["model"] if Capabilities.of(adapter).fixed_weights else None)
    if hasattr(adapter, "prepare"):
        adapter.prepare()
    if case is not None and described["id"] in all_checks():
        record = run_case(adapter, all_checks()[described["id"]], case, described["dtype"], described["k"])
    else:
        vector = next((item for item in load_vectors() if item.check_id == described["id"]), None)
        if vector is None:
            raise UsageError(f"{failure.path} is about {described['id']}, which this version does not have")
        record = verify_vector(adapter, vector, described["dtype"], adapter.name, described["k"])
    return Examiner(adapter, described["k"], adapter.name).examined(record)
