"""The transformers library's RoFormer in PyTorch, versions 4 and 5; runs in their environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import transformers

from .transformers_library import HEADS, called, model_folder

MAJOR = int(transformers.__version__.split(".")[0])
DTYPE = "torch_dtype" if MAJOR < 5 else "dtype"


class TorchAdapter:
    """Loads and calls the library's own models, or those of another package that subclasses them, as documented."""

    version = f"{transformers.__version__} (PyTorch {torch.__version__.split('+')[0]})"

    def __init__(self, name: str, library: Any = transformers, **claims: Any) -> None:
        self.name, self.library = name, library
        self.capabilities = {
            "heads": tuple(HEADS),
            # in float64 the library's table of positions keeps the accuracy of float32: nobody runs it so
            "dtypes": ("float32",),
            "call_styles": ("keywords", "single"),
            **dict.fromkeys(("training", "cache", "cross_attention", "resizing", "saving", "overrides"), True),
            **dict.fromkeys(("generation", "gradients", "warnings"), True),
            **claims,
        }
        torch.set_num_threads(1)
        transformers.logging.enable_propagation()

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> TorchModel:
        """The model from a folder with these weights."""
        with model_folder(config, weights) as folder:
            return self.load_saved(head, folder, dtype)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> TorchModel:
        """The model from a folder; another number of labels is asked for in the documented way."""
        model_class = getattr(self.library, HEADS[head])
        overrides |= {"ignore_mismatched_sizes": True} if overrides else {}
        overrides |= self.switches(head, path)
        return TorchModel(model_class.from_pretrained(path, **{DTYPE: getattr(torch, dtype)}, **overrides))

    def switches(self, head: str, path: Any) -> dict[str, Any]:
        """What a model is made with beside its configuration: nothing, in the library."""
        return {}


class TorchModel:
    """One of the library's models."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, inputs: Mapping[str, Any], *, style: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs as arrays, a cache as tuples."""
        with torch.no_grad():
            output = self._run({name: self._given(value) for name, value in inputs.items()}, style, options)
        if isinstance(output, tuple):
            return {"tuple": _to_numpy(output)}
        return {name: _to_numpy(value) for name, value in output.items()}

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """PyTorch's own differentiation of the loss, which is a mean: by every parameter, and by inputs_embeds."""
        given = {name: self._given(value) for name, value in inputs.items()}
        by = dict(self.model.named_parameters())
        if "inputs_embeds" in given:
            by["inputs_embeds"] = given["inputs_embeds"].requires_grad_()
        # no gradient reaches the table of positions; what else the loss does not depend on has gradients of 0
        by = {name: tensor for name, tensor in by.items() if "embed_positions" not in name}
        loss = self._run(given, "keywords", options)["loss"]
        found = torch.autograd.grad(loss, list(by.values()), allow_unused=True, materialize_grads=True)
        return {"loss": _to_numpy(loss), **dict(zip(by, map(_to_numpy, found), strict=True))}

    def _given(self, value: Any) -> Any:
        """An argument as a tensor; who turns a model to a smaller type gives it numbers of that type."""
        return _to_torch(value, self.model.dtype if self.model.dtype.itemsize < 4 else None)

    def _run(self, given: Mapping[str, Any], style: str, options: Mapping[str, Any]) -> Any:
        options = {name: _to_torch(value) for name, value in options.items()}
        self.model.train(bool(options.pop("training", False)))
        if "seed" in options:
            torch.manual_seed(options.pop("seed"))
        try:
            return called(self.model, given, style, options)
        finally:
            self.model.eval()

    def generate(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """The library's own generate, with the global seed."""
        options = dict(options)
        if "seed" in options:
            torch.manual_seed(options.pop("seed"))
        return self.model.generate(**{name: _to_torch(value) for name, value in inputs.items()}, **options).numpy()

    def save(self, path: str) -> None:
        """save_pretrained."""
        self.model.save_pretrained(path)

    def prune_heads(self, heads: Mapping[int, list[int]]) -> None:
        """The library's own pruning, gone in version 5."""
        self.model.prune_heads(heads)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """The library's own resizing."""
        self.model.resize_token_embeddings(vocab_size)


def _to_torch(value: Any, narrow: Any = None) -> Any:
    """Arrays become tensors of their type, or of a narrow floating-point one; a cache what this version takes."""
    if isinstance(value, tuple):
        layers = [[_to_torch(entry, narrow) for entry in layer] for layer in value]
        return tuple(map(tuple, layers)) if MAJOR < 5 else _filled_cache(layers)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    tensor = torch.tensor(value)
    return tensor.to(narrow) if narrow is not None and tensor.is_floating_point() else tensor


def _to_numpy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if value is None:
        return None
    return tuple(map(_to_numpy, value if isinstance(value, tuple | list) else _cache_entries(value)))


def _filled_cache(layers: list[list[torch.Tensor]]) -> Any:
    """The cache object of version 5: one of self-attention, or one with a second for cross-attention."""
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    caches = []
    for first in range(0, len(layers[0]), 2):
        cache = DynamicCache()
        for number, entries in enumerate(layers):
            cache.update(entries[first], entries[first + 1], number)
        caches.append(cache)
    return caches[0] if len(caches) == 1 else EncoderDecoderCache(*caches)


def _cache_entries(past: Any) -> list[list[torch.Tensor]]:
    """The tensors of a cache object by layer: key and value, with cross-attention two more."""
    both = hasattr(past, "self_attention_cache")
    caches = [past.self_attention_cache, past.cross_attention_cache] if both else [past]
    used = [cache for cache in caches if len(cache.layers)]
    layers = zip(*(cache.layers for cache in used), strict=True)
    return [[tensor for layer in group for tensor in (layer.keys, layer.values)] for group in layers]
