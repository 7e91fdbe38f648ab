"""All SQL, and nothing else: no rule of the domain is decided here.

The way of a unit of work: find keys -> lock runs -> load rows -> (the operations decide) -> write -> claim
-> commit. `unit.py` walks it; each step has a file of its own. What differs between SQLite and PostgreSQL
stands in `sqlite.py` and `postgres.py`, and nowhere else.
"""
