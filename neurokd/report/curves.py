"""Training curves from the sparse rows of Lightning's `metrics.csv`."""

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurokd.errors import NeurokdError


@dataclass(frozen=True)
class Curve:
    """One column of `metrics.csv`: `points` are (epoch, mean over the rows of that epoch)."""

    name: str
    kind: Literal["loss", "accuracy"]
    points: tuple[tuple[int, float], ...]


def read_curves(path: Path) -> tuple[Curve, ...]:
    """Every loss and accuracy column by epoch; none where the file is missing.

    Raises NeurokdError where a row has no epoch or a value is not a finite number.
    """
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NeurokdError(f"{path}: not a CSV file: {error}") from error
    kinds = {name: kind for name in (rows[0] if rows else {}) if name and (kind := _kind(name))}
    values: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in kinds}
    for line, row in enumerate(rows, start=2):
        for name in kinds:
            if text := (row.get(name) or "").strip():
                epoch = int(_number(path, line, "epoch", row.get("epoch") or ""))
                values[name][epoch].append(_number(path, line, name, text))
    return tuple(Curve(name, kinds[name], _means(by_epoch)) for name, by_epoch in values.items() if by_epoch)


def _kind(column: str) -> Literal["loss", "accuracy"] | None:
    stem = column.removesuffix("_epoch")
    if stem.endswith("loss"):
        return "loss"
    return "accuracy" if stem.endswith(("accuracy", "acc")) else None


def _means(by_epoch: dict[int, list[float]]) -> tuple[tuple[int, float], ...]:
    return tuple((epoch, sum(items) / len(items)) for epoch, items in sorted(by_epoch.items()))


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NeurokdError(f"{path}: line {line}: {column} is {text!r}; expected a finite number")
    return value
