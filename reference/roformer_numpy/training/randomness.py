"""Where the randomness of a training run comes from: the seed, what it is for, and where in the run it is used.

Nothing is drawn from a generator that lives on between steps. A run that was stopped goes on with the numbers that it
would have drawn, and no order of calls can change them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for; each has a stream of its own."""

    ORDER = 0  # of the rows, by epoch
    MASKS = 1  # of a masked language model's batch, by step
    DROPOUT = 2  # by step and part of its batch
    SPLIT = 3  # which rows are held out
    HELD_OUT_MASKS = 4  # by batch; the same at every evaluation


def generator_for(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """The generator of one place in a run, the same whenever it is asked for.

    Args:
        seed: of the run, 0 or above.
        purpose: what the numbers are for.
        place: epoch, step, part or batch, 0 or above.
    """
    return np.random.default_rng([seed, int(purpose), *place])
