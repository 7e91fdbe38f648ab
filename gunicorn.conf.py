"""For plain `gunicorn` beside this file: the same service as `assay serve --no-sidecar`.

What it says stands in assay_wsgi/cli/processes/gunicorn_conf.py. Run `assay sidecar` beside it.
"""

from __future__ import annotations

from assay_wsgi.cli.processes.gunicorn_conf import *  # noqa: F403
