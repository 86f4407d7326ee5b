"""Published event sets, imported once through tonic's loaders: N-MNIST, DVS128 Gesture, CIFAR10-DVS, N-Caltech101."""

import logging
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from neurokd.data.catalogue import CATALOGUE
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.catalogue import event_files
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet
from neurokd.events.writer import EventWriter

TEST_IMAGES = 60000  # N-MNIST: number of the first MNIST test image, behind the training images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A set of tonic: its class, the sensor (height, width), the class names, and what numbers a recording.

    `number` makes the `sample_id` from the place of a file in the sorted order, its name and its label; `group` the
    group from the file's name, None where every recording is one of its own. `parts` are the files to write, with
    what tonic's class is told for each.
    """

    kind: str
    sensor: tuple[int, int]
    number: Callable[[int, PurePath, int], int]
    classes: tuple[str, ...] = ()
    group: Callable[[PurePath], int] | None = None
    parts: dict[str, dict[str, Any]] = field(default_factory=lambda: {"all": {}})


def _last_number(path: PurePath) -> int:
    return int(re.findall(r"\d+", path.stem)[-1])


def _in_class(place: int, path: PurePath, label: int) -> int:
    """Number files that count anew in every class, of which none has 1,000."""
    return 1000 * label + _last_number(path)


HALVES: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
SOURCES = {
    "nmnist": Source(
        "NMNIST",
        (34, 34),
        number=lambda place, path, label: _last_number(path) + (TEST_IMAGES if path.parts[0] == "Test" else 0),
        classes=tuple("0123456789"),
        parts=HALVES,
    ),
    "dvs-gesture": Source(
        "DVSGesture",
        (128, 128),
        number=lambda place, path, label: place,
        group=lambda path: int(re.findall(r"\d+", path.parent.name)[0]),
        parts=HALVES,
    ),
    "cifar10-dvs": Source("CIFAR10DVS", (128, 128), number=_in_class),
    "ncaltech101": Source("NCALTECH101", (180, 240), number=_in_class),
}


def prepare_tonic(name: str, root: Path) -> dict[Path, EventSet]:
    """Import what is missing of the set `name` of `SOURCES` below the data root `root`; return its files, opened.

    tonic keeps its own files in a folder of `root` and downloads them where they are missing; they may be removed
    afterwards. Recordings are written one by one, ordered by the relative names of their files; the events of each
    are sorted by time (stably), and the log says in how many that changed something.
    Raises NeurokdError for a failed download, with the files to get by hand, a damaged recording, and a number of
    recordings that is not the published one.
    """
    source, entry = SOURCES[name], CATALOGUE[name]
    for part, options in source.parts.items():
        out = root / entry.folder / f"{part}.npz"
        if not out.is_file():
            data = _open(name, source.kind, root, part, options)
            published = entry.test if part == "test" else entry.train
            if len(data) != published:
                raise NeurokdError(
                    f"data '{name}': '{Path(data.location_on_system, data.folder_name)}' has {len(data)} recordings, "
                    f"published are {published}; remove this folder and run `neurokd datasets prepare {name}` again"
                )
            _write(out, source, data)
    return {path: read_events(path) for path in event_files(name, root) if path is not None}


def _write(out: Path, source: Source, data: Any) -> None:
    """Write all recordings of tonic's set `data`."""
    base = Path(data.location_on_system)
    names = [PurePath(Path(path).relative_to(base).as_posix()) for path in data.data]
    order = sorted(range(len(names)), key=lambda index: names[index].as_posix())
    classes = source.classes or tuple(getattr(data, "classes", None) or sorted(set(data.targets)))
    unsorted = 0
    with EventWriter(out, source.sensor, classes) as writer:
        for place, index in enumerate(order):
            label = data.targets[index]
            label = classes.index(label) if isinstance(label, str) else int(label)
            events, back = _recording(data, index, source.sensor)
            unsorted += back
            group = source.group(names[index]) if source.group else None
            writer.add(events, label, source.number(place, names[index], label), group)
    if unsorted:
        logger.warning("'%s': in %d of %d recordings events were sorted by time", out, unsorted, len(order))


def _open(name: str, kind: str, root: Path, part: str, options: dict[str, Any]) -> Any:
    """Return tonic's data set, which downloads and unpacks what is missing."""
    try:
        from tonic import datasets
    except ImportError as error:
        raise NeurokdError(
            f"data '{name}' is imported by the package tonic ({error}); run: pip install 'neurokd[events]' "
            "(Python 3.10 or 3.11), or import it elsewhere and copy the npz files"
        ) from error
    make = getattr(datasets, kind)
    try:
        data = make(str(root), **options)
        if not len(data) and _unpacked_inner(data):
            data = make(str(root), **options)
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError) as error:
        file, url, md5 = (_published(make, part, what) for what in ("filename", "url", "md5"))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NeurokdError(
            f"data '{name}' could not be downloaded ({reason}); put the file {file} (from {url}, MD5 {md5}) into "
            f"'{root / kind}' and run the same command again"
        ) from error
    return data


def _published(kind: Any, part: str, what: str) -> str:
    """Return file name, address or MD5, which tonic keeps per part or for the whole set."""
    whole = "file_md5" if what == "md5" else what
    return str(getattr(kind, f"{part}_{what}", None) or getattr(kind, whole))


def _unpacked_inner(data: Any) -> bool:
    """Unpack an archive within the archive, as N-Caltech101 comes; return whether there was one."""
    base = Path(data.location_on_system)
    inner = sorted(base.rglob(data.data_filename)) if isinstance(getattr(data, "data_filename", None), str) else []
    for path in inner:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(base)
    return bool(inner)


def _recording(data: Any, index: int, sensor: tuple[int, int]) -> tuple[Events, bool]:
    """Return a recording and whether its events had to be sorted."""
    try:
        events, _ = data[index]
        t = events["t"].astype(np.int64)
        return Events(t, events["x"], events["y"], events["p"], sensor, sort=True), bool((t[1:] < t[:-1]).any())
    except ImportError as error:
        raise NeurokdError(f"'{data.data[index]}': {error}; run: pip install 'neurokd[events]'") from error
    except Exception as error:  # for damaged content tonic raises anything from IndexError to ValueError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NeurokdError(f"'{data.data[index]}' cannot be imported ({reason}); get it again") from error
