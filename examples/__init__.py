"""Small programs on the SDK: `hello`, and a document approval that meets an unreliable service."""
