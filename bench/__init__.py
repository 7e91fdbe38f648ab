"""`python -m bench`: what the service does in a second, measured as its users meet it: over HTTP, in processes.

A figure is printed only where `assay fsck` finds the benchmark's database clean. Not part of the package.
"""
