"""The engine as a library: no HTTP, no other process.

    python -m examples.embedding.library

The run waits for a worker, which needs HTTP: see in_flask.py.
"""

from __future__ import annotations

import sys

from assay_wsgi import AlreadyStarted
from assay_wsgi import Engine


def main(url: str = "sqlite://flow.db") -> str:
    """Start a run, signal it, give its status."""
    engine = Engine.open(url, upkeep=True)  # upkeep: timers and time-outs are seen to in a thread
    try:
        engine.workflows.start("Ingest", "ingest-7", input={"n": 1})
    except AlreadyStarted:
        print("ingest-7 is on its way already")
    engine.workflows.signal("ingest-7", "more", value={"n": 2})
    status: str = engine.workflows.describe("ingest-7")["status"]
    engine.close()
    return status


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
