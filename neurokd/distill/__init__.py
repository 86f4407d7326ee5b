"""Distillation objectives: one file each, the equation in its docstring."""
