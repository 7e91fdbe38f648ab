"""Commands that ask a running service over HTTP. They load neither Flask nor Peewee."""

from __future__ import annotations
