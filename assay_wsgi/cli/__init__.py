"""The `assay` command and the processes that it runs: what every command shares, and a package a kind of command.

remote/     ask a running service
workflow/   the same, about runs
db/         look after a database
processes/  be the service, its sidecar, a worker
"""
