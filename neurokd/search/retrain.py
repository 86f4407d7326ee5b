"""Train chosen subnets from scratch, as ordinary recipes: what the shared weights are measured by."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neurokd.search.space import Subnet
from neurokd.search.spec import Search
from neurokd.search.supernet import recipe_of
from neurokd.training import fit

if TYPE_CHECKING:
    from neurokd.search.summary import Summary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retrained:
    """A subnet trained on its own; `why` it was chosen. Accuracies at the last step."""

    why: str
    subnet: Subnet
    supernet_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    test_images: int


def retrain_subnets(
    search: Search, summary: "Summary", best: int, folder: Path, data_root: Path | None, progress: bool
) -> list[Retrained]:
    """Train the `best` subnets by validation accuracy, the largest, the smallest and the median, each once.

    Each is a run below `folder/retrained` that continues where it was stopped.
    """
    named = [(f"best {place}", trial) for place, trial in enumerate(summary.top[:best], start=1)]
    named += [("largest", summary.largest), ("smallest", summary.smallest), ("median", summary.median)]
    why: dict[Subnet, list[str]] = {}
    for name, trial in named:
        why.setdefault(trial.subnet, []).append(name)
    measured = {trial.subnet: trial.accuracy for _, trial in named}
    found = []
    for subnet, names in why.items():
        logger.info("search: training %s (%s) from scratch", subnet.name, ", ".join(names))
        path = folder / "retrained" / subnet.name
        result = fit(recipe_of(search.base, subnet), path, data_root=data_root, progress=progress).result()
        student = result["student"]
        found.append(
            Retrained(
                ", ".join(names), subnet, measured[subnet], student["validation_accuracy"], student["accuracy"],
                result["data"]["test"],
            )
        )  # fmt: skip
    return found
