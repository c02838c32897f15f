"""Adapters to other people's RoFormers: a folder each, run in an environment of its own, never imported by us.

A folder holds peer.toml (what it is), requirements.txt (the pinned packages of its environment), adapter.py (what runs
there) and expected.toml (where it is known to differ). `roformer-conformance peers` finds them.
"""
