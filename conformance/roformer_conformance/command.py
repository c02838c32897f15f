"""The entry point of `roformer-conformance`, which a bare install has too: it says what is missing."""

import sys


def main() -> None:
    """Run the command, or say which extra it needs."""
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
