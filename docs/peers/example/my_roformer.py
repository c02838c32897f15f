"""A plain RoFormer encoder in PyTorch, as one writes it in an afternoon; it knows nothing of the suite."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Layer(nn.Module):
    """Attention with rotated queries and keys, then a feed-forward."""

    def __init__(self, hidden: int, heads: int, intermediate: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(hidden, hidden) for _ in range(4))
        self.up, self.down = nn.Linear(hidden, intermediate), nn.Linear(intermediate, hidden)
        self.norm1, self.norm2 = nn.LayerNorm(hidden, eps=1e-12), nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, seq_len, hidden) → the same."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        out = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.norm1(x + self.o(out.transpose(1, 2).flatten(2)))
        return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))


class RoFormer(nn.Module):
    """Embeddings and layers."""

    def __init__(
        self, vocab: int, types: int, embedding: int, hidden: int, layers: int, heads: int, intermediate: int
    ) -> None:
        super().__init__()
        self.words, self.types = nn.Embedding(vocab, embedding), nn.Embedding(types, embedding)
        self.norm = nn.LayerNorm(embedding, eps=1e-12)
        self.project = nn.Identity() if embedding == hidden else nn.Linear(embedding, hidden)
        self.layers = nn.ModuleList(Layer(hidden, heads, intermediate) for _ in range(layers))
        self.head_dim = hidden // heads

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """(batch, seq_len) → (batch, seq_len, hidden)."""
        frequencies = 10000.0 ** (-torch.arange(0, self.head_dim, 2, dtype=torch.float64) / self.head_dim)
        angles = torch.arange(input_ids.shape[1])[:, None] * frequencies
        cos, sin = angles.cos().float(), angles.sin().float()
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        x = self.project(self.norm(self.words(input_ids) + self.types(types)))
        mask = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return x


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (2i, 2i + 1) turned by its angle."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)
