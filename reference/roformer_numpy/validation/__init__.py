"""From a call as somebody wrote it to arrays that any arithmetic can trust.

`bind` finds out which argument is which, `validate` checks every rule between them; nothing else in the package
looks at what a caller passed.
"""

from .binding import bind
from .decoder import is_causal
from .rules import generator_of, validate

__all__ = ["bind", "generator_of", "is_causal", "validate"]
