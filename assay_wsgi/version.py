"""The version of this build: on the bottom floor, so that every floor may name it."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
