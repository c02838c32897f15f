"""The catalogue of known mistakes: rotation, attention, layers, heads and losses."""

from . import attention, heads, layers, losses, rotation
from .making import Variant

CATALOGUE: tuple[Variant, ...] = (
    *rotation.VARIANTS,
    *attention.VARIANTS,
    *layers.VARIANTS,
    *heads.VARIANTS,
    *losses.VARIANTS,
)

__all__ = ["CATALOGUE", "Variant"]
