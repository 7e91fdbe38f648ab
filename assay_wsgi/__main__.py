"""The `assay` command, and `python -m assay_wsgi`. Says what is missing where the server's packages are."""

from __future__ import annotations

import sys

_ADVICE = """\
assay: {reason}
The server and this command come with the extra 'server', on Python 3.11 or later:
    pip install 'assay-wsgi[server]'
A worker needs neither:
    python -m assay_wsgi.sdk worker MODULE:APP"""


def main() -> None:
    """Run the command line, or say which extra to install."""
    if sys.version_info < (3, 11):
        _give_up(f"this is Python {sys.version_info[0]}.{sys.version_info[1]}")
    try:
        from .cli.main import cli
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("assay_wsgi"):
            raise
        _give_up(f"the package {missing.name!r} is not installed")
    cli(prog_name="assay")


def _give_up(reason: str) -> None:
    print(_ADVICE.format(reason=reason), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
