"""A document is checked, waits for somebody's word, and is published or not.

    python -m examples.documents.service                        # the unreliable service, port 8090
    assay worker examples.documents.workflow:app
    python -m examples.documents.feed --limit 3 --approve       # start and approve three documents

DOCUMENTS_SERVICE_URL says where the service is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import requests

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry

app = Assay()
patient = Retry(max_attempts=20, initial=0.2, backoff=1.5, max_interval=3.0)


@dataclass
class Document:
    id: str
    title: str
    author: str
    department: str
    pages: int
    text: str = ""


@dataclass
class Findings:
    words: int
    remarks: list[str]


@dataclass
class Decision:
    by: str
    ok: bool = True
    note: str = ""


@dataclass
class Outcome:
    document: str
    status: str  # published or rejected
    by: str
    url: str = ""
    note: str = ""


@app.activity(retry=patient, timeout=30.0)
def check(document: Document) -> Findings:
    """Have the service read the document."""
    found = ask("check", document.id, {"title": document.title, "text": document.text})
    return Findings(found["words"], found["remarks"])


@app.activity(retry=patient, timeout=30.0)
def publish(document_id: str, title: str, approver: str) -> str:
    """Have the service publish the document. Publishing it twice gives the same address."""
    published = ask("publish", document_id, {"title": title, "approver": approver})
    return str(published["url"])


@app.workflow
def ApproveDocument(ctx: Context, document: Document) -> Outcome:
    """Check, wait for the signal `approve` with {"by", "ok", "note"}, publish."""
    stage = "checking"
    ctx.register_query("stage", lambda: stage)
    ctx.upsert_search_attributes({"department": document.department, "stage": stage})
    findings = ctx.execute_activity(check, document)

    stage = "waiting for approval"
    ctx.register_query("remarks", lambda: findings.remarks)
    ctx.upsert_search_attributes({"stage": stage})
    decision = ctx.wait_for_signal("approve", Decision)
    if not decision.ok:
        stage = "rejected"
        ctx.upsert_search_attributes({"stage": stage})
        return Outcome(document.id, stage, decision.by, note=decision.note)

    stage = "publishing"
    url = ctx.execute_activity(publish, document.id, document.title, decision.by)
    stage = "published"
    ctx.upsert_search_attributes({"stage": stage})
    return Outcome(document.id, stage, decision.by, url)


def ask(operation: str, document_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call the service. What it refuses is final; anything else is worth another attempt."""
    url = os.environ.get("DOCUMENTS_SERVICE_URL", "http://127.0.0.1:8090")
    answer = requests.post(f"{url}/{operation}/{document_id}", json=body, timeout=10)
    if answer.status_code == 422:
        raise ApplicationError(answer.text, type="Refused", non_retryable=True)
    answer.raise_for_status()
    return dict(answer.json())
