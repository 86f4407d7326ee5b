"""Make the files of an event set that are missing below the data root."""

from collections.abc import Callable
from pathlib import Path

from neurokd.data.catalogue import CATALOGUE
from neurokd.events.archive import read_events, write_events
from neurokd.events.catalogue import event_files
from neurokd.events.digits import digits_dvs
from neurokd.events.sets import EventSet
from neurokd.events.tonic_sets import SOURCES, import_tonic


def prepare_events(name: str, root: Path) -> dict[Path, EventSet]:
    """Import or simulate the event set `name` where a file of it is missing; return its files, opened."""
    if CATALOGUE[name].missing(root):
        MAKERS[name](name, root)
    return {path: read_events(path) for path in event_files(name, root) if path is not None}


def _simulate_digits(name: str, root: Path) -> None:
    data, folder = digits_dvs(), root / CATALOGUE[name].folder
    write_events(folder / "train.npz", data.train)
    write_events(folder / "test.npz", data.test)


MAKERS: dict[str, Callable[[str, Path], None]] = {
    "digits-dvs": _simulate_digits,
    **dict.fromkeys(SOURCES, import_tonic),
}
