"""Lava in a process of its own: environment, worker, runner."""
