"""From a sweep to its points: one recipe and one folder for each run."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurokd.errors import NeurokdError
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import RUNS, Run
from neurokd.sweep.overrides import override
from neurokd.sweep.spec import Sweep, Variant


@dataclass(frozen=True)
class Point:
    """One run to be made. `shared` are its values of the sweep's grid, `own` of its variant's grid."""

    variant: str
    shared: dict[str, Any]
    own: dict[str, Any]
    seed: int
    recipe: Recipe
    run: Run

    @property
    def settings(self) -> dict[str, Any]:
        """Every value that the grids gave."""
        return {**self.shared, **self.own}


def points(sweep: Sweep, folder: Path | None = None) -> list[Point]:
    """Every point, validated, in `folder` (default `runs/NAME`); all variants of the first seed come first.

    Raises NeurokdError for a recipe that is not valid, naming its point, and for two points of one folder.
    """
    root = folder or RUNS / sweep.name
    found = [
        _point(sweep, variant, shared, own, seed, root)
        for seed in sweep.seeds
        for variant in sweep.variants
        for shared in combinations(sweep.grid)
        for own in combinations(variant.grid)
    ]
    folders: set[Path] = set()
    for point in found:
        if point.run.path in folders:
            raise NeurokdError(f"sweep '{sweep.name}': point '{point.run.path.name}' comes twice")
        folders.add(point.run.path)
    return found


def combinations(grid: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The Cartesian product; the last key changes fastest, an empty grid has one empty point.

    >>> list(combinations({"a": [1, 2], "b": [3]}))
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def short(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as people read them: the last part of the key where that is clear, a section by its name.

    >>> short({"method.temperature": 2, "model": {"name": "vgg-tiny", "width": 8}})
    {'temperature': '2', 'model': 'vgg-tiny'}
    """
    leaves = [key.rpartition(".")[2] for key in settings]
    names = [leaf if leaves.count(leaf) == 1 else key for key, leaf in zip(settings, leaves, strict=True)]
    return {name: _text(value) for name, value in zip(names, settings.values(), strict=True)}


def _point(sweep: Sweep, variant: Variant, shared: dict[str, Any], own: dict[str, Any], seed: int, root: Path) -> Point:
    settings = {**shared, **own}
    name = "-".join([variant.name, *(f"{key}={_safe(value)}" for key, value in short(settings).items()), f"s{seed}"])
    subject = f"sweep '{sweep.name}', point '{name}'"
    values = override(
        override(sweep.base, variant.changes, subject), {**settings, **dict.fromkeys(sweep.seeded, seed)}, subject
    )
    recipe = parse_recipe(values, subject)
    if recipe.qat is not None:
        raise NeurokdError(
            f"{subject}: a sweep trains float students; leave qat out, and take a run on with: "
            "neurokd train RUN --set qat.bits=8"
        )
    return Point(variant.name, shared, own, seed, recipe, Run(root / name))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["name"]) if "name" in value else ",".join(f"{k}={_text(v)}" for k, v in value.items())
    return "null" if value is None else str(value)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+=-]+", "_", text)
