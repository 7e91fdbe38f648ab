"""`python -m demo`: 200 approvals while everything that can be killed is killed, and what is left afterwards.

The service runs as a user runs it (`assay serve`), with two workers. Whatever it promised is looked up
afterwards in its database and in a ledger that the activities keep. Not part of the package.
"""
