"""A sweep: one experiment of many runs, as a YAML file or as a recipe with a grid."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurokd.errors import NeurokdError
from neurokd.sweep.overrides import override
from neurokd.sweep.reading import explain, nearest, read_mapping, values_of

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
_RECIPE_KEYS = {"data", "model"}  # every recipe has them, no sweep has


class SweepFile(BaseModel):
    """The keys of a sweep file; exactly one of `recipe` (a path beside the file) and `base` (inline)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    recipe: Path | None = None
    base: dict[str, Any] | None = None
    seeds: list[int] | None = Field(default=None, min_length=1)
    seeded: list[str] = Field(default=["seed"], min_length=1)
    variants: dict[str, dict[str, Any] | None] | None = Field(default=None, min_length=1)
    grid: dict[str, list[Any]] = {}
    baseline: str | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "SweepFile":
        if (self.recipe is None) == (self.base is None):
            raise ValueError("give either 'recipe', the path of one, or 'base', a recipe written out here")
        if self.seeds is not None and "seed" in self.grid:
            raise ValueError("'seeds' and a grid over 'seed' say the same thing; keep one")
        return self


class Variant(BaseModel):
    """One thing that is compared: changes to the base recipe, and a grid of its own."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern=NAME)
    changes: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}


class Sweep(BaseModel):
    """A sweep with everything read and checked but the single recipes (`neurokd.sweep.grid.points`)."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    base: dict[str, Any]
    seeds: list[int]
    seeded: list[str] = ["seed"]
    variants: list[Variant]
    grid: dict[str, list[Any]]
    baseline: str | None = None


def load_sweep(path: Path, grid: list[str] | None = None, settings: list[str] | None = None) -> Sweep:
    """Read a sweep file, or a recipe to sweep; `grid` (`key=a,b`) and `settings` (`key=value`) add to it.

    Raises NeurokdError for a file that cannot be read, an unknown key (with the nearest allowed
    one), an empty list, a name given twice.
    """
    values = read_mapping(path, "sweep")
    is_recipe = bool(_RECIPE_KEYS & set(values))
    subject = f"sweep '{path}'"
    file = _parse({"base": values} if is_recipe else values, subject)
    base = file.base if file.base is not None else read_mapping(path.parent / (file.recipe or ""), "recipe")
    base = override(base, dict(_setting(text) for text in settings or []), subject)
    asked = {**file.grid, **dict(values_of(text) for text in grid or [])}
    name = f"{base.get('name', path.stem)}-sweep" if is_recipe else path.stem
    sweep = Sweep(
        name=name,
        title=file.title or name,
        base=base,
        seeds=_seeds(asked, file.seeds, base, subject),
        seeded=file.seeded,
        variants=_variants(file.variants, base, subject),
        grid={key: values for key, values in asked.items() if key != "seed"},
        baseline=file.baseline,
    )
    _check(sweep, subject)
    return sweep


def _parse(values: dict[str, Any], subject: str) -> SweepFile:
    try:
        return SweepFile.model_validate(values)
    except ValidationError as error:
        raise NeurokdError(
            f"{subject}: " + "; ".join(explain(e, SweepFile.model_fields) for e in error.errors())
        ) from error


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise NeurokdError(f"--set {text}: expected key=value, e.g. training.epochs=5")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise NeurokdError(f"--set {text}: '{value}' is not a YAML value") from error


def _seeds(grid: dict[str, list[Any]], seeds: list[int] | None, base: dict[str, Any], subject: str) -> list[int]:
    chosen = grid.get("seed") or seeds or [base.get("seed", 0)]
    wrong = [seed for seed in chosen if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0]
    if wrong:
        raise NeurokdError(f"{subject}: seeds: expected whole numbers from 0, got {wrong[0]!r}")
    return chosen


def _variants(variants: dict[str, dict[str, Any] | None] | None, base: dict[str, Any], subject: str) -> list[Variant]:
    if variants is None:
        variants = {str(base.get("name", "run")): None}
    try:
        return [
            Variant(name=name, changes={k: v for k, v in (changes or {}).items() if k != "grid"},
                    grid=(changes or {}).get("grid", {}))
            for name, changes in variants.items()
        ]  # fmt: skip
    except ValidationError as error:
        raise NeurokdError(
            f"{subject}: variants: " + "; ".join(explain(e, SweepFile.model_fields) for e in error.errors())
        ) from error


def _check(sweep: Sweep, subject: str) -> None:
    names = [variant.name for variant in sweep.variants]
    if sweep.baseline is not None and sweep.baseline not in names:
        raise NeurokdError(f"{subject}: baseline: no variant '{sweep.baseline}'{nearest(sweep.baseline, names)}")
    for where, grid in [("grid", sweep.grid), *((f"variants.{v.name}.grid", v.grid) for v in sweep.variants)]:
        for key, values in grid.items():
            if not values:
                raise NeurokdError(f"{subject}: {where}.{key}: is empty; give one value or more")
    for variant in sweep.variants:
        twice = sorted(set(variant.grid) & set(sweep.grid)) + ["seed"] * ("seed" in variant.grid)
        if twice:
            raise NeurokdError(f"{subject}: variants.{variant.name}.grid: '{twice[0]}' belongs to the whole sweep")
        if variant.name == sweep.baseline and variant.grid:
            raise NeurokdError(f"{subject}: baseline: variant '{variant.name}' has a grid; name one without")
