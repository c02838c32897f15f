"""The entry point of `roformer-conformance`, which a bare install has too: it says what is missing."""

import os
import sys
from collections.abc import MutableMapping, Sequence


def main() -> None:
    """Run the command, or say which extra it needs."""
    # an adapter may lie in the folder that one stands in; last, so that nothing there hides an installed module
    sys.path.append(os.getcwd())
    share_cores(sys.argv[1:], os.environ)
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


def share_cores(arguments: Sequence[str], environment: MutableMapping[str, str]) -> None:
    """Give NumPy one thread for checks, before it is imported, unless the user chose.

    The models of the checks are tiny: on busy cores a second thread of OpenBLAS waits far longer than it computes. A
    model of the user's own may be large.
    """
    if arguments[:1] == ["check"] and not any(one.startswith("--model") for one in arguments):
        environment.setdefault("OPENBLAS_NUM_THREADS", "1")
