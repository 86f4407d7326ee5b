"""Evaluated subnets, one a line in `subnets.jsonl`: what a killed search continues from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurokd.errors import NeurokdError
from neurokd.search.space import Subnet


@dataclass(frozen=True)
class Trial:
    """One evaluated subnet; `how` it was chosen: `largest`, `smallest`, `random` or `tpe`.

    `wrong` are the positions among the `images` validation images that it classifies wrongly.
    """

    how: str
    subnet: Subnet
    parameters: int
    macs: int
    images: int
    wrong: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """On validation data."""
        return 1.0 - len(self.wrong) / self.images


def append_trial(path: Path, trial: Trial) -> None:
    """Add a line, whole or torn, but never between others."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(trial)) + "\n")


def read_trials(path: Path) -> list[Trial]:
    """The trials in a file, none if it is missing. A last line that a kill left torn is cut off.

    Raises NeurokdError for any other line that is not a trial.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole, _, torn = text.rpartition("\n")
    if torn:
        path.write_text(whole + "\n" if whole else "", encoding="utf-8")
    return [_read(line, f"'{path}' line {number}") for number, line in enumerate(whole.splitlines(), start=1)]


def distinct(trials: Sequence[Trial]) -> list[Trial]:
    """The first trial of every subnet, in order."""
    first: dict[Subnet, Trial] = {}
    for trial in trials:
        first.setdefault(trial.subnet, trial)
    return list(first.values())


def _read(line: str, subject: str) -> Trial:
    try:
        values: dict[str, Any] = json.loads(line)
        subnet = Subnet(tuple(values["subnet"]["channels"]), tuple(values["subnet"]["depths"]))
        return Trial(**{**values, "subnet": subnet, "wrong": tuple(values["wrong"])})
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError) as error:
        raise NeurokdError(f"{subject}: damaged; delete the file, its subnets are then evaluated again") from error
