"""Whether routes refuse only with the codes that they declare."""

from __future__ import annotations

from flask import Flask
from flask import Response
from flask import request

from assay_wsgi.api import openapi


def watched(app: Flask) -> list[str]:
    """Watch what an app answers. Gives a list that fills with the refusals that no route declares."""
    undeclared: list[str] = []

    def look(response: Response) -> Response:
        rule = request.url_rule
        body = response.get_json() if response.status_code >= 400 else None
        if rule is not None and isinstance(body, dict) and "code" in body:
            declared = openapi.refusals(rule, app.view_functions[rule.endpoint].operation)  # type: ignore[attr-defined]
            if body["code"] not in declared:
                undeclared.append(f"{request.method} {rule} answers {body['code']}: {body['error']}")
        return response

    app.after_request(look)
    return undeclared
