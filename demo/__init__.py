"""`python -m demo`: approvals and checkouts while everything that can be killed is killed, and what is left then.

The service runs as a user runs it (`assay serve`), with two workers. Whatever it promised is looked up
afterwards in its database, in a ledger that the activities keep, and in the books of the shop. Not part of the package.
"""
