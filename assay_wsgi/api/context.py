"""What a view needs from the app that serves it: the only module that says `current_app`."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

from flask import Flask
from flask import current_app
from flask import request

from .admission import Admission

if TYPE_CHECKING:
    from ..auth.door import Door
    from ..engine import Engine
    from ..settings import Settings

ENGINE = "assay_wsgi"
_ADMISSION = "assay_wsgi.admission"
_DOOR = "assay_wsgi.door"
_SETTINGS = "assay_wsgi.settings"
_HOSTS = "assay_wsgi.hosts"
_REQUEST_ID = "assay_wsgi.request_id"
_SANE_ID = re.compile(r"[!-~]{1,128}")


def install(app: Flask, engine: Engine, admission: Admission, door: Door, settings: Settings) -> None:
    """Keep with `app` what its views will ask for."""
    app.extensions[ENGINE] = engine
    app.extensions[_ADMISSION] = admission
    app.extensions[_DOOR] = door
    app.extensions[_SETTINGS] = settings


def engine() -> Engine:
    """Give the engine of the app that serves this request."""
    return cast("Engine", current_app.extensions[ENGINE])


def serving_app() -> Flask:
    """Give the app that serves this request."""
    return cast(Any, current_app)._get_current_object()  # type: ignore[no-any-return]


def admission() -> Admission:
    """Give the budget of this process."""
    return cast(Admission, current_app.extensions[_ADMISSION])


def door() -> Door:
    """Give the door of this process."""
    return cast("Door", current_app.extensions[_DOOR])


def settings() -> Settings:
    """Give the settings of this process."""
    return cast("Settings", current_app.extensions[_SETTINGS])


def guard_against_pages(app: Flask, hosts: frozenset[str]) -> None:
    """Have requests refused that a stranger's page may have sent; `hosts` = names that are the service's own."""
    app.extensions[_HOSTS] = hosts


def own_hosts() -> frozenset[str] | None:
    """Give the names that are the service's own; None where it does not matter who is asked by which."""
    return cast("frozenset[str] | None", current_app.extensions.get(_HOSTS))


def request_id() -> str:
    """Name this request: as its caller did, if that can stand in a header and a log line."""
    environ = request.environ
    known = environ.get(_REQUEST_ID)
    if known is None:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        known = sent if _SANE_ID.fullmatch(sent) else secrets.token_hex(12)
        environ[_REQUEST_ID] = known
    return cast(str, known)
