"""In which words and colour a result is told: whoever was asked little is not simply said to conform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..records import Result

# The part of the specification's claims that has to be tried before "conforms" stands alone. An encoder without heads
# is asked two fifths of them.
FLOOR = 0.5


@dataclass(frozen=True)
class Standing:
    """What a run came to: `tried` of the `total` claims that an implementation can be asked."""

    conforms: bool
    failed: int
    differs: int
    tried: int
    total: int

    @classmethod
    def of_result(cls, result: Result) -> Standing:
        """Of a run that has just ended."""
        covered = result.coverage()
        total = result.specified or len(covered.total) - len(covered.not_asked)
        return cls(result.conforms, len(result.failed), len(result.differs), len(covered.run), total)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Standing:
        """Of a run that was written to a file."""
        covered, statuses = document["coverage"], [record["status"] for record in document["records"]]
        total = document.get("specified") or len(covered["total"]) - len(covered.get("not_asked", ()))
        failed, differs = statuses.count("failed"), statuses.count("differs")
        return cls(document["conforms"], failed, differs, len(covered["run"]), total)

    @property
    def narrow(self) -> bool:
        """Whether it conforms on too few claims for the word to stand alone."""
        return self.conforms and self.tried < FLOOR * self.total

    @property
    def words(self) -> str:
        """What came of it, to stand behind a name and a version."""
        if not self.conforms:
            return f"fails {self.failed} check{'' if self.failed == 1 else 's'}" if self.failed else "passes nothing"
        known = " but for what is known" if self.differs else ""
        verb = "was" if self.tried == 1 else "were"
        part = f"{',' if known else ''} on the {self.tried} of {self.total} claims that {verb} tried"
        return f"conforms{known}{part if self.narrow else ''}"

    def choice(self, whole: str, part: str, none: str) -> str:
        """One of three: a colour, or a sign."""
        return part if self.narrow else whole if self.conforms else none
