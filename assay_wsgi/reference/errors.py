"""docs/reference/errors.md: every code, its status, what it means and what to do."""

from __future__ import annotations

from ..api.codes import GROUPS
from .markdown import code
from .markdown import contents
from .markdown import head
from .markdown import table

_INTRO = """
Every refusal is JSON of one shape, whatever is refused:

```json
{
    "error": "not found: workflow order-8",
    "code": "not_found",
    "request_id": "...",
    "details": [],
    "type": "urn:assay:error:not_found",
    "title": "Not found",
    "status": 404,
    "detail": "not found: workflow order-8"
}
```

- `code` is for programs: it stays as it is. `error` and `detail` are for people: their words may change.
- `details` names the fields that will not do, as `{"field", "issue"}`: a JSON pointer into the body, or the name of a parameter.
- `request_id` stands in the service's log, and in the answer's `X-Request-Id` header.
- Some codes bring members of their own, `run_id` for instance.
- Who sends `Accept: application/problem+json` gets that content type. The members are those of RFC 9457 in any case.
- A 503 has `Retry-After: 1`.

"""


def rendered() -> str:
    """The text of the page."""
    lines = [head("Errors", "assay_wsgi/api/codes.py"), _INTRO, contents(GROUPS)]
    for heading, group in GROUPS.items():
        rows = [(code(name), str(one.status), one.means, one.remedy) for name, one in group.items()]
        lines += [f"\n## {heading}\n\n", table(("code", "status", "what it means", "what to do"), rows)]
    return "".join(lines)
