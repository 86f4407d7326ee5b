"""Distillation objectives: one file each, the equation in its docstring.

An objective maps what it sees of a batch (`Observed`: the student's logits at every step, the labels, the teacher's
logits and, for feature methods, the features of both) to a loss and its named terms.
"""

from typing import Annotated

from pydantic import Field

from neurokd.distill.bkdsnn import BKDSNN
from neurokd.distill.ce import CE
from neurokd.distill.hsd import HSD
from neurokd.distill.kd import KD
from neurokd.distill.kdsnn import KDSNN
from neurokd.distill.lasnn import LaSNN
from neurokd.distill.objective import FeaturePair, Objective, Observed, Terms
from neurokd.distill.sakd import SAKD
from neurokd.distill.tet import TET
from neurokd.distill.tser import TSER

METHODS: dict[str, type[Objective]] = {
    "ce": CE,
    "tet": TET,
    "kd": KD,
    "kdsnn": KDSNN,
    "lasnn": LaSNN,
    "bkdsnn": BKDSNN,
    "sakd": SAKD,
    "tser": TSER,
    "hsd": HSD,
}

Method = Annotated[CE | TET | KD | KDSNN | LaSNN | BKDSNN | SAKD | TSER | HSD, Field(discriminator="name")]

__all__ = [
    "BKDSNN", "CE", "HSD", "KD", "KDSNN", "METHODS", "SAKD", "TET", "TSER",
    "FeaturePair", "LaSNN", "Method", "Objective", "Observed", "Terms",
]  # fmt: skip
