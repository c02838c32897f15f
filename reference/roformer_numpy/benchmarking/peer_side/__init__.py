"""What runs in somebody else's Python: scripts beside each other that import nothing of ours but where they say so."""
