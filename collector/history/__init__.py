"""Adapters of the history port, and `History` values on disk."""
