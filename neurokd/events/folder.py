"""Recordings of other tools in a folder with one sub-folder per class, gathered into one file."""

import logging
from pathlib import Path

from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.foreign import READERS, read_recording
from neurokd.events.sets import EventSet
from neurokd.events.writer import EventWriter

logger = logging.getLogger(__name__)


def import_folder(folder: Path, out: Path, sensor: tuple[int, int], sort: bool = False) -> EventSet:
    """Write the recordings `folder/CLASS/FILE` to the npz file `out` and return it, opened.

    They are ordered by class and file name; `sample_id` is the place in this order, label `k` the k-th class by name.
    `sort` as in `Events`. Entries with another suffix than those of `READERS` are counted in the log.
    Raises NeurokdError that names the file, for a folder without recordings and where `out` is there already.
    """
    if out.exists():
        raise NeurokdError(f"'{out}' is there; remove it or choose another file")
    if not folder.is_dir():
        raise NeurokdError(f"recordings '{folder}': there is no such folder; make one sub-folder of files per class")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise NeurokdError(f"recordings '{folder}': there is no class folder; make one sub-folder of files per class")
    with EventWriter(out, sensor, tuple(classes)) as writer:
        for label, name in enumerate(classes):
            for path in _files(folder / name):
                writer.add(read_recording(path, sensor, sort), label)
    return read_events(out)


def _files(folder: Path) -> list[Path]:
    present = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
    files = [path for path in present if path.suffix.lower() in READERS]
    if not files:
        raise NeurokdError(f"class folder '{folder}' has no recording ({', '.join(READERS)}); add some or remove it")
    if len(files) < len(present):
        others = len(present) - len(files)
        logger.warning("%d entries in '%s' are no recordings and were left out", others, folder)
    return files
