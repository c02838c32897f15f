"""Where an output is computed: what can be wrong when it is the first that differs."""

from __future__ import annotations

from .surgery import EMBEDDINGS, LAYERS, SCORES

_TOPS = {
    "last_hidden_state": "the encoder, or what is done to its last state",
    "pooler_output": "the pooler",
    "logits": "the head",
    "start_logits": "the head",
    "end_logits": "the head",
    "loss": "the loss: labels, their shift, or the reduction",
}


def place_of(tap: str) -> str:
    """What computes an output from outputs that agree."""
    name, _, rest = tap.partition(".")
    layer = int(rest.partition(".")[0]) if rest else 0
    if name == "hidden_states" and layer == 0:
        return "the embeddings: rows, token types, LayerNorm, projection"
    if name == "hidden_states":
        return f"layer {layer - 1} after its attention weights: value, output, residual, LayerNorm, feed-forward"
    if name in ("attentions", "cross_attentions"):
        kind = "cross-attention" if name.startswith("cross") else "attention"
        return f"layer {layer}, its {kind} weights: query, key, rotation, scale, mask, softmax"
    if name == "past_key_values":
        return f"layer {layer}, what it caches: keys turned, values"
    return _TOPS.get(name, "the head")


def stage_of(tap: str) -> int | None:
    """How far surgery reaches for an output: None for what stands on top of the encoder."""
    name = tap.partition(".")[0]
    if tap == "hidden_states.0":
        return EMBEDDINGS
    return {"attentions": SCORES, "cross_attentions": SCORES, "hidden_states": LAYERS, "last_hidden_state": LAYERS}.get(
        name
    )
