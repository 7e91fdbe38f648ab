"""The engine in a Flask application of yours: its API lies below /flow, and workers connect there.

    python -m flask --app examples.embedding.in_flask:make_app run --port 5000
    assay worker examples.hello:app --url http://127.0.0.1:5000/flow
    curl -s -X POST http://127.0.0.1:5000/greet/Ada

The first two go on: give each a terminal of its own.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

import assay_wsgi


def make_app(url: str = "sqlite://flow.db") -> Flask:
    """Make the application. Call it where it will serve: an engine is opened after a fork, never before."""
    app = Flask("shop")
    engine = assay_wsgi.Engine.open(url, upkeep=True)
    assay_wsgi.init_app(app, engine, url_prefix="/flow")

    @app.post("/greet/<who>")
    def greet(who: str) -> dict[str, Any]:
        return engine.workflows.start("GreetWorkflow", f"greet-{who}", task_queue="default", input={"who": who})

    return app
