"""The service in a process of its own is made by the tests; `door` is the one in this process."""

from __future__ import annotations

from tests.api.conftest import door

__all__ = ["door"]
