"""Profiles: what known implementations do at the contested points of the specification.

SPEC.md registers the behaviour of each profile at each contested point, in words. Two things are made of them here:

* `registered`: a list of failures that a profile explains, in the files NAME.toml of this folder. With `check --profile
  NAME` they differ as registered; the lists are as strict as anybody's own (see `expectations`).
* `probes`: a small experiment for each point, which says in the words of SPEC.md what an implementation does.
"""

from .registered import contested_points, profile_expectations, registered_as
from .seeing import Finding, all_probes, look

__all__ = ["Finding", "all_probes", "contested_points", "look", "profile_expectations", "registered_as"]
