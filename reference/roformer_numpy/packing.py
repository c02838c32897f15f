"""The weights of a model as the engine reads them: packed when they are first needed, or found on disk."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .config import RoFormerConfig
from .mapped import release
from .packed_files import kept
from .threads import thread_count
from .weights import Array, Layer, Weights, map_leaves


class PackedWeights:
    """Layers and products of a model; the arrays that were packed cannot be written to from then on."""

    def __init__(self, weights: Weights[Array], config: RoFormerConfig, compute: str) -> None:
        self._weights, self._config, self._compute = weights, config, compute
        self._layers: Any = None
        self._products: dict[tuple[int, int], Any] = {}

    @property
    def layers(self) -> Any:
        """PackedLayers of all layers."""
        if self._layers:
            return self._layers
        with _packing[0]:
            self._layers = self._layers or self._packed_layers()
            return self._layers

    def product(self, stored: Array, kernel: Array, bias: Array) -> Any:
        """The PackedDense of `kernel` (depth, width), a view of the array `stored` of the weights, and `bias`."""
        # the weights are kept, so the numbers stay these arrays'; several products may have one bias
        return self._products.get((id(stored), id(bias))) or self._pack_product(stored, kernel, bias)

    def _pack_product(self, stored: Array, kernel: Array, bias: Array) -> Any:
        key = id(stored), id(bias)
        with _packing[0]:
            if key not in self._products:
                for array in (stored, bias):
                    _freeze(array)
                self._products[key] = _packed_product(kernel, bias, self._compute)
                release(stored)
            return self._products[key]

    def _packed_layers(self) -> Any:
        for layer in self._weights.encoder:  # changed in place, they would no longer be what was packed
            map_leaves(lambda _name, array: _freeze(array), layer)
        layers, settings = _released_after(self._weights.encoder), (self._config.head_dim, self._config.rotary_value)

        def found(layer: Layer[Array], pack: Callable[[], list[Array]]) -> list[Array]:
            leaves: list[Array] = []
            map_leaves(lambda _name, array: leaves.append(array), layer)
            return kept(leaves, ("layer", self._compute, *settings), pack)

        kind = compiled().factors.KINDS[self._compute]
        return compiled().model.pack_layers(layers, *settings, thread_count(), found, kind)


def _packed_product(kernel: Array, bias: Array, compute: str) -> Any:
    """A PackedDense, whose panels may lie in a file."""
    made, kind = compiled().dense.PackedDense, compiled().factors.KINDS[compute]

    def pack() -> list[Array]:
        packed = made.of(kernel, bias, release, thread_count(), kind)
        return [packed.panels, packed.bias]

    panels, lengthened = kept((kernel, bias), ("dense", compute), pack)
    return made(panels, np.array(lengthened), len(bias), kind)  # compiled code knows a bias that may be written to


def _released_after(layers: Iterable[Layer[Array]]) -> Iterator[Layer[Array]]:
    """The layers one by one; those that lie in a file hold no memory once the next one is asked for."""
    for layer in layers:
        yield layer
        map_leaves(lambda _name, array: release(array), layer)


def _freeze(array: Array) -> None:
    array.setflags(write=False)


@functools.cache
def compiled() -> Any:
    """The compiled side: numba is imported by those who ask for it."""
    from .kernels import engine
    from .kernels.engine import dense, embedding, factors, model  # noqa: F401

    return engine


# One model at a time is packed. A child forked meanwhile has no thread that would let go of the lock, so it gets a new.
_packing = [threading.Lock()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _packing.__setitem__(0, threading.Lock()))
