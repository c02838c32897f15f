"""The adapter to my_roformer.py: runs in the model's own Python, and imports nothing of the suite."""

import torch
from my_roformer import RoFormer

PARTS = {"query": "q", "key": "k", "value": "v", "attention.output.dense": "o", "attention.output.LayerNorm": "norm1",
         "intermediate.dense": "up", "output.dense": "down", "output.LayerNorm": "norm2",
         "embeddings_project": "project", "word_embeddings": "words", "token_type_embeddings": "types",
         "embeddings.LayerNorm": "norm"}  # fmt: skip
SIZES = {"vocab_size": 50000, "type_vocab_size": 2, "embedding_size": None, "hidden_size": 768, "num_hidden_layers": 12,
         "num_attention_heads": 12, "intermediate_size": 3072}  # fmt: skip
ONLY = {"hidden_act": "gelu", "rotary_value": False, "is_decoder": False, "layer_norm_eps": 1e-12}


class Unsupported(Exception):
    """What is asked for is not there: the check counts as not claimed."""


class Adapter:
    """Called Adapter, with these four names."""

    name, version = "mine", "0.1"
    capabilities = dict(heads=["base"], hidden_states=False, attentions=False, pooler_output=False)  # noqa: C408, RUF012

    def load(self, head, config, weights, dtype):
        """A model with weights by the names of Hugging Face's PyTorch files."""
        for name, value in ONLY.items():
            if config.get(name, value) != value:
                raise Unsupported(f"another {name}")
        sizes = {**SIZES, "embedding_size": config.get("hidden_size", 768), **config}  # left out: the default
        model = RoFormer(*(sizes[name] for name in SIZES)).eval()
        mine = {k: torch.tensor(v) for k, v in weights.items() if "pooler" not in k and "embed_positions" not in k}
        model.load_state_dict({my_name(name): tensor for name, tensor in mine.items()})

        def call(inputs, *, style, options):
            if "inputs_embeds" in inputs:
                raise Unsupported("inputs_embeds")
            with torch.no_grad():
                return {"last_hidden_state": model(**{k: torch.tensor(v) for k, v in inputs.items()}).numpy()}

        return call


def my_name(name):
    """The model's name for a weight."""
    name = name.replace("encoder.layer.", "layers.").replace("attention.self.", "")
    for theirs in sorted(PARTS, key=len, reverse=True):
        name = name.replace(theirs, PARTS[theirs])
    return name.removeprefix("embeddings.")
