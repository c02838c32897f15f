"""The backward pass: from one forward pass with a tape to the gradient of every weight.

Reading order: `table` (which function differentiates which), `tape` (what a forward pass leaves behind), `encoder` and
`heads` (the forward pass read from its end), `gradients` (the whole of it).
"""

from .gradients import Gradients, gradients_of

__all__ = ["Gradients", "gradients_of"]
