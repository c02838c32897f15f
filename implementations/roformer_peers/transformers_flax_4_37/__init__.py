"""A peer: see peer.toml."""
