"""The pages of docs/ that are rendered from the code: `python -m assay_wsgi.reference docs` writes them anew."""

from __future__ import annotations

from collections.abc import Callable

from . import commands
from . import cron
from . import errors
from . import events
from . import feed
from . import filters
from . import limits
from . import roles
from . import routes

# Path below docs/ -> what renders it.
PAGES: dict[str, Callable[[], str]] = {
    "reference/routes.md": routes.rendered,
    "reference/commands.md": commands.rendered,
    "reference/events.md": events.rendered,
    "reference/cron.md": cron.rendered,
    "reference/roles.md": roles.rendered,
    "reference/feed.md": feed.rendered,
    "reference/errors.md": errors.rendered,
    "reference/filters.md": filters.rendered,
    "explain/limits.md": limits.rendered,
}
