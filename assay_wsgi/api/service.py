"""The service itself: health, and whether this process lives and is ready."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask import request

from ..auth.roles import Access
from ..domain.errors import Unavailable
from . import openapi
from . import records
from .context import engine
from .context import serving_app
from .contract import Answer
from .contract import operation

_DESCRIPTION = "assay_wsgi.description"
SIDECAR = "sidecar"  # the lease that the leading sidecar holds

api = Blueprint("assay_service", __name__)
root = Blueprint("assay_probes", __name__)


@api.get("/health")
@operation(access=Access.PUBLIC, returns=records.Health)
def health() -> Any:
    """Say that the service answers, in assay's own words."""
    return {"status": "ok", "service": "assay-workflow"}


@api.get("/version")
@operation(access=Access.PUBLIC, returns=records.Version, tagged=True)
def version() -> Any:
    """Say which build answers, in assay's own words."""
    return {"version": engine().version, "build_profile": "release"}


@api.get("/openapi.json")
@operation(access=Access.KNOWN, returns=records.Description, tagged=True)
def description() -> Any:
    """Describe this API: what each route takes and gives."""
    app = serving_app()
    described = app.extensions.get(_DESCRIPTION)
    if described is None:
        described = app.extensions[_DESCRIPTION] = openapi.describe(app)
    return {**described, "servers": [{"url": request.script_root or "/"}]}


@root.get("/livez")
@operation(access=Access.PUBLIC, returns=records.Health)
def livez() -> Any:
    """Say that this process lives: whoever gets no answer may kill it."""
    return {"status": "ok", "service": "assay-workflow"}


@root.get("/readyz")
@operation(access=Access.PUBLIC, returns=records.Readiness, also=(503,))
def readyz() -> Any:
    """Say whether this process should be sent requests: 503 while it drains or has no database."""
    core = engine()
    try:
        core.health()
        database, sidecar_leads = "ok", _sidecar_leads()
    except Unavailable:
        database, sidecar_leads = "unavailable", False
    ready = database == "ok" and not core.draining
    found = {"ready": ready, "database": database, "sidecar_leads": sidecar_leads, "draining": core.draining}
    return found if ready else Answer(found, 503, {"Retry-After": "1"})


def _sidecar_leads() -> bool:
    store = engine().store
    held = store.leases.holder(SIDECAR)
    return held is not None and held[2] > store.now()
