"""`python -m roformer_conformance` is `roformer-conformance`, of the interpreter that one means."""

from .command import main

if __name__ == "__main__":
    main()
