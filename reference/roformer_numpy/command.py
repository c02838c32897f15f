"""The entry point of `roformer`, which a bare install has too: it says what is missing."""

import sys


def main() -> None:
    """Run the command, or say which extra it needs."""
    try:
        from .cli import app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("roformer"):
            raise
        print(f'roformer needs {package}: pip install "roformer-reference[cli]"', file=sys.stderr)
        raise SystemExit(2) from error
    app()
