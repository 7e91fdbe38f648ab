"""`python -m assay_wsgi.sdk worker MODULE:APP`: a worker where the server's packages are not installed."""

from __future__ import annotations

import argparse
import sys

from .launch import BrokenModule
from .launch import main


def command(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m assay_wsgi.sdk", description=__doc__)
    worker = parser.add_subparsers(required=True, metavar="worker").add_parser("worker", help="run a worker")
    worker.add_argument("target", metavar="MODULE:APP", help="where the app is, such as hello:app")
    worker.add_argument("--url", help="the service (else the app's, or ASSAY_ENGINE_URL)")
    worker.add_argument("--namespace")
    worker.add_argument("--queue")
    worker.add_argument("--worker-id", help="a name that stays, so that a crash costs no time")
    worker.add_argument("--workflow-slots", type=int, metavar="N")
    worker.add_argument("--activity-slots", type=int, metavar="N")
    worker.add_argument("--grace", type=float, metavar="SECS", help="for activities to finish at the end")
    options = vars(parser.parse_args(arguments))
    try:
        return main(options.pop("target"), **options)
    except BrokenModule as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(command())
