"""The HTTP API: HTTP in, HTTP out. No SQL, no transitions, no transaction.

`context.py` alone names Flask's current app. A request's schema stands above the view that takes it.
"""
