"""The approvals of the demo: a document each, and a word on it."""

from __future__ import annotations

import itertools
from typing import Any

from assay_wsgi.sdk import Client
from assay_wsgi.sdk import WorkflowHandle
from examples.documents.feed import decision
from examples.documents.feed import documents
from examples.documents.workflow import ApproveDocument
from examples.documents.workflow import Document

from .runs import End


class Approval:
    """One document on its way."""

    kind = "approvals"
    follow_up_secs = 3.0

    def __init__(self, number: int, document: Document) -> None:
        self.workflow_id = f"approve-{document.id}"
        self._document = document
        self._word = decision(number)

    def start(self, client: Client) -> WorkflowHandle[Any]:
        """Hand the document in."""
        return client.start(ApproveDocument, self._document, id=self.workflow_id)

    def follow_up(self, client: Client) -> None:
        """Approve it or reject it."""
        handle = client.handle(self.workflow_id)
        handle.signal("approve", self._word, signal_id=f"decision-{self._document.id}")

    def judge(self, end: End) -> tuple[str, str | None]:
        """It is published or rejected, as was decided, by the one who decided."""
        word = "published" if self._word.ok else "rejected"
        result = end.result or {}
        if end.status == "COMPLETED" and (result.get("status"), result.get("by")) == (word, self._word.by):
            return word, None
        return word, f"is {end.status} with {result}, expected {word} by {self._word.by}"


def approvals(total: int) -> list[Approval]:
    """The first documents of the file."""
    return [Approval(number, document) for number, document in enumerate(itertools.islice(documents(), total), 1)]
