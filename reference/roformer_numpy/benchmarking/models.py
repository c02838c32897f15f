"""The model that everybody loads: somebody's folder, or sizes with weights that hide nothing."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import write_folder
from ..config import RoFormerConfig
from ..errors import InputError
from ..models import MODELS
from ..models_in_the_box import names, resolve
from ..weights import Array, Weights, map_leaves, shape_tree

SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "small": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6, "intermediate_size": 1536},
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256},
}
UNTIMED = ("pooler_output will be None", "model does not use")  # what loading warns of and no timing depends on
DEFAULT_VOCABULARY, SHARD_BYTES = 50_000, 5_000_000_000


def prepare_folder(model: str, target: Path, head: str = "base", query_scale: float = 1.0) -> RoFormerConfig:
    """Write the model to `target` as config.json and model.safetensors, which all the others read.

    Args:
        model: a folder, a model in the box, a config.json, or base, small or tiny.
        target: where to.
        head: of a model of drawn weights; a folder's weights come as this head needs them.
        query_scale: of drawn weights, a factor of every query: 0 makes all scores alike, 30 very different.

    Raises:
        InputError: `model` is none of these.
        CheckpointError, ConfigError, WeightsError: what is wrong with the folder or the file.
    """
    path = Path(model)
    if model in SIZES and not path.exists():
        sizes: dict[str, Any] = SIZES[model]
        return _drawn(RoFormerConfig(vocab_size=DEFAULT_VOCABULARY, **sizes), head, query_scale, target)
    if path.suffix == ".json" and path.is_file():
        return _drawn(RoFormerConfig.from_json_file(path), head, query_scale, target)
    if not resolve(model).is_dir():
        allowed = f"a folder, a config.json, {', '.join([*SIZES, *names()])}"
        raise InputError(f"MODEL {model!r} is neither a folder nor a name that is known; allowed: {allowed}")
    with warnings.catch_warnings():
        for what in UNTIMED:
            warnings.filterwarnings("ignore", f".*{what}", UserWarning)
        made = MODELS[head].from_pretrained(resolve(model))
    made.save_pretrained(target)
    return made.config


def _drawn(config: RoFormerConfig, head: str, query_scale: float, target: Path) -> RoFormerConfig:
    write_folder(target, strong_weights(config, head, query_scale), config, head, SHARD_BYTES)
    return config


def strong_weights(config: RoFormerConfig, head: str = "base", query_scale: float = 1.0) -> Weights[Array]:
    """Weights of which none is 0 or 1, under which states keep their size through the layers.

    LayerNorm weights 1 + 0.2 · N, biases 0.1 · N, kernels N · 1.2 / √fan_in, embeddings 0.1 · N.
    """
    return map_leaves(lambda name, shape: _strong(name, shape, query_scale), shape_tree(config, head))


def _strong(name: str, shape: tuple[int, ...], query_scale: float) -> Array:
    normal = np.random.default_rng([0, zlib.crc32(name.encode())]).standard_normal(shape, np.float32)
    if name.endswith(".gamma"):
        return 1 + np.float32(0.2) * normal
    is_kernel = name.endswith(".kernel")
    values = normal * np.float32(1.2 / np.sqrt(shape[0]) if is_kernel else 0.1)
    return values * np.float32(query_scale) if ".attention.query." in name else values
