"""The entry point of `roformer-conformance`, which a bare install has too: it says what is missing."""

import os
import sys


def main() -> None:
    """Run the command, or say which extra it needs."""
    # an adapter may lie in the folder that one stands in; last, so that nothing there hides an installed module
    sys.path.append(os.getcwd())
    try:
        from .cli import app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("roformer"):
            raise
        message = f'roformer-conformance needs {package}: pip install "roformer-reference[conformance]"'
        print(message, file=sys.stderr)
        raise SystemExit(2) from error
    app()
