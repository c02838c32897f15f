"""Other people's implementations: what they are, their environments, and the commands about them.

The adapters themselves are in the package `roformer_peers`; nothing of it is imported here, its files are read.
"""
