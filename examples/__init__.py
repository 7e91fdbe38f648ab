"""Programs to copy from. Each says at its top what it shows; all need the service (`make serve`).

hello, then documents, then any of the others.
"""
