"""Wiring: a Flask app over an engine. `create_app` is the whole service, `init_app` a guest elsewhere."""

from __future__ import annotations

import atexit

from flask import Flask
from flask import Response
from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound
from werkzeug.routing import RequestRedirect

from .api import activities
from .api import audit
from .api import errors
from .api import feeds
from .api import keys
from .api import namespaces
from .api import pages
from .api import schedules
from .api import service
from .api import sockets
from .api import tasks
from .api import tickets
from .api import workers
from .api import workflows
from .api.admission import Admission
from .api.context import guard_against_pages
from .api.context import install
from .api.context import request_id
from .api.paths import keeping_slashes
from .auth.door import Door
from .engine import Engine
from .settings import Settings

API_PREFIX = "/api/v1"
_API = (
    workflows.bp, activities.bp, workers.bp, tasks.bp, namespaces.bp, schedules.bp, feeds.bp, sockets.bp, keys.bp,
    audit.bp, tickets.bp, service.api,
)  # fmt: skip
_ROOT = (service.root, pages.bp)


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> Flask:
    """Make the service. Without an engine it opens one, so call it where it will serve: after a fork."""
    settings = settings or Settings.from_env()
    if engine is None:
        engine = Engine.open(settings.database_url, settings=settings.engine)
        atexit.register(engine.close)
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.register_error_handler(HTTPException, errors.answer)
    app.register_error_handler(Exception, errors.answer)
    app.register_blueprint(pages.front)
    if not settings.asks_who_calls and not settings.http.insecure_no_auth:
        guard_against_pages(app, settings.allowed_hosts)
    _register(app, engine, settings, "")
    return app


def init_app(app: Flask, engine: Engine, settings: Settings | None = None, url_prefix: str = "") -> None:
    """Serve `engine` from a stranger's app, below `url_prefix`. Its own routes and errors stay its own."""
    below = f"{url_prefix}{API_PREFIX}/"

    def refuse_unknown_routes() -> Response | None:
        problem = request.routing_exception
        if problem is None or not request.path.startswith(below):
            return None
        # The host may merge slashes by a redirect; here, two slashes are another path.
        return errors.answer(NotFound() if isinstance(problem, RequestRedirect) else problem)

    app.before_request(refuse_unknown_routes)
    _register(app, engine, settings or Settings(), url_prefix)


def _register(app: Flask, engine: Engine, settings: Settings, url_prefix: str) -> None:
    app.wsgi_app = keeping_slashes(app.wsgi_app, f"{url_prefix}{API_PREFIX}/")  # type: ignore[method-assign, assignment]
    app.config.setdefault("SOCK_SERVER_OPTIONS", sockets.OPTIONS)
    install(app, engine, Admission.of(settings), Door.of(settings, engine.store), settings)
    for blueprint in _API:
        app.register_blueprint(blueprint, url_prefix=f"{url_prefix}{API_PREFIX}")
    for blueprint in _ROOT:
        app.register_blueprint(blueprint, url_prefix=url_prefix or None)


# What a browser may do with an answer: nothing but hand it to a page of this very site.
_FOR_BROWSERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OF_DATA = "default-src 'none'; frame-ancestors 'none'"


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = request_id()
    for name, value in _FOR_BROWSERS.items():
        headers.setdefault(name, value)
    if response.mimetype != "text/html":
        headers.setdefault("Content-Security-Policy", _OF_DATA)
    return response


for _blueprint in (*_API, *_ROOT, pages.front):
    _blueprint.register_error_handler(HTTPException, errors.answer)
    _blueprint.register_error_handler(Exception, errors.answer)
    _blueprint.after_request(_finish)
