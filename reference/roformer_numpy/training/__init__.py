"""Training: masked and causal language models, sequence and token classifiers, with AdamW in NumPy.

Reading order: `settings` (what a run is told), `randomness` (where all chance comes from), `batches` and `masking`
(from rows to calls), `schedule` and `optimizer` (from gradients to weights), `trainer` (the loop), `evaluation`,
`checkpoint` (a run on disk). Around it, what the command `roformer train` does with files: `rows` and `encoding` read
them, `plan` makes them a run, `curve` and `result` write what came of it.
"""

from .batches import Example
from .evaluation import Score
from .masking import Masking
from .optimizer import AdamW, Moments
from .settings import Settings
from .trainer import History, Trainer, Update

__all__ = ["AdamW", "Example", "History", "Masking", "Moments", "Score", "Settings", "Trainer", "Update"]
