"""Distillation objectives: one file each, the equation in its docstring.

An objective maps the student's logits at every step, the labels and the teacher's logits to a
loss and its named terms. Logits are `[T, B, C]` for the student, `[B, C]` for the teacher.
"""

from typing import Annotated

from pydantic import Field

from neurokd.distill.ce import CE
from neurokd.distill.kd import KD
from neurokd.distill.objective import Objective, Terms
from neurokd.distill.tser import TSER

METHODS: dict[str, type[Objective]] = {"ce": CE, "kd": KD, "tser": TSER}

Method = Annotated[CE | KD | TSER, Field(discriminator="name")]

__all__ = ["CE", "KD", "METHODS", "TSER", "Method", "Objective", "Terms"]
