"""Who calls, and what that caller may do: from a bearer token to a Principal, from a Principal to namespaces."""
