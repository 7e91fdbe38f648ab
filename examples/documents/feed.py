"""Start approvals for the documents of documents.jsonl, and give the word on them if asked to.

    python -m examples.documents.feed [--limit N] [--approve] [--wait SECS]

Every seventh document is rejected.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from examples.documents.workflow import ApproveDocument
from examples.documents.workflow import Decision
from examples.documents.workflow import Document
from examples.documents.workflow import app

DOCUMENTS = Path(__file__).with_name("documents.jsonl")
REJECTED = 7  # every so many


def documents(path: Path = DOCUMENTS) -> Iterator[Document]:
    """Yield the documents of the file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Document(**json.loads(line))


def decision(number: int) -> Decision:
    """Return the word on the document in this place of the file, counted from 1."""
    if number % REJECTED == 0:
        return Decision("erin", ok=False, note="needs another author")
    return Decision("alice" if number % 2 else "bob")


def main() -> None:
    """Feed the documents."""
    parser = argparse.ArgumentParser(description="feed documents to the approval workflow")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--approve", action="store_true", help="signal a decision on each, too")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECS", help="for each result")
    options = parser.parse_args()
    runs = []
    for number, document in enumerate(documents(), 1):
        if options.limit is not None and number > options.limit:
            break
        handle = app.client.start(ApproveDocument, document, id=f"approve-{document.id}", id_conflict="use_existing")
        runs.append(handle)
        if options.approve:
            handle.signal("approve", decision(number), signal_id=f"decision-{document.id}")
    print(f"{len(runs)} approvals started")
    if options.approve:
        for handle in runs:
            outcome = handle.result(timeout=options.wait)
            print(f"{outcome.document}: {outcome.status} by {outcome.by} {outcome.url or outcome.note}")


if __name__ == "__main__":
    main()
