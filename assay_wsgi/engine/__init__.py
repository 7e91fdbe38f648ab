"""What the product does, one public method an operation. No SQL, no HTTP, no rule of the domain.

A method hands operations to the committer, which has them decided (domain) and written (store) in one
transaction; or it reads.
"""

from __future__ import annotations

from .engine import Engine

__all__ = ["Engine"]
