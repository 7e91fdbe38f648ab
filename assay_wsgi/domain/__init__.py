"""The rules, as pure functions: rows in, a `Change` out.

Here live what a run, a task, an activity may do and what becomes of it. There is no clock, no chance,
no I/O, no SQL and no logging: `now` and everything random is handed in.
"""
