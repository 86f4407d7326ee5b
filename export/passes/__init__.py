"""Rewrites of the float graph: one per file, each proven equal."""
