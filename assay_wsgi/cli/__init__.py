"""The `assay` command, one module a command group, and the processes that it runs.

Whatever belongs to a process (signals, children, exit codes, logging) is here; what it does is below.
"""
