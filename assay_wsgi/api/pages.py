"""The page at /workflow/, until the dashboard lives there: the links that exist."""

from __future__ import annotations

from flask import Blueprint
from flask import Response
from flask import redirect
from flask import render_template_string
from flask import url_for
from werkzeug.wrappers import Response as AnyResponse

bp = Blueprint("assay_pages", __name__)
front = Blueprint("assay_front", __name__)  # a guest in a stranger's app leaves / to its host

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Assay Workflow Engine</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>
</head>
<body>
<h1>Assay Workflow Engine</h1>
<ul>
{%- for endpoint, text in links %}
<li><a href="{{ url_for(endpoint) }}">{{ text }}</a></li>
{%- endfor %}
</ul>
</body>
</html>
"""
_LINKS = (
    ("assay_workflows.list_runs", "Runs, newest first (JSON)"),
    ("assay_workers.list_workers", "Workers (JSON)"),
    ("assay_namespaces.queues", "Queues (JSON)"),
    ("assay_namespaces.list_namespaces", "Namespaces (JSON)"),
    ("assay_service.description", "This API as OpenAPI (JSON)"),
    ("assay_service.version", "Version"),
    ("assay_service.health", "Health"),
    ("assay_probes.readyz", "Readiness"),
    ("assay_probes.livez", "Liveness"),
)


@bp.get("/workflow/")
def index() -> Response:
    """Show the links that exist."""
    return Response(render_template_string(_PAGE, links=_LINKS), content_type="text/html; charset=utf-8")


@front.get("/")
@bp.get("/workflow")
def to_index() -> AnyResponse:
    """Send a browser to the page."""
    return redirect(url_for("assay_pages.index"), 308)
