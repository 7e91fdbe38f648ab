"""Numbered steps between released schemas: NNNN_what.sql, forward only, with the marks of schema.sql."""

from __future__ import annotations
