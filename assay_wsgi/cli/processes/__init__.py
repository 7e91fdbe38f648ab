"""Commands that are processes: the service, its sidecar, a worker; and what starts, watches and ends them."""

from __future__ import annotations
