"""Sets of event recordings, as frames."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from neurokd.data.config import DataConfig, EventsConfig
from neurokd.data.images import DataSet, ImageSet, IntArray
from neurokd.data.splits import divide, folds
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.cache import cached_frames
from neurokd.events.catalogue import event_files
from neurokd.events.digits import digits_dvs
from neurokd.events.recording import Events
from neurokd.events.sets import EventData, EventSet

DIVIDE_SEED = 0  # fixed: every run tests on the same recordings of a set without an official test part

_digits = functools.cache(digits_dvs)  # simulated once in a process, in three seconds


def load_events(config: DataConfig, root: Path) -> DataSet:
    """Return the frames of the event set that `config` names, `[N, T, C, H, W]`, read from the cache on demand.

    T is `events.frames` and what `augment.temporal_crop` asks for beside. A set without an official test part is
    divided by the SHA-256 of its groups: neither the order of its files nor that of its recordings plays a part.
    Raises NeurokdError for files that are missing or damaged, and for recordings that cannot fill the frames.
    """
    events = config.events or EventsConfig()
    name, sets = _recordings(config, root)
    recordings = [Joined(sets)] if events.folds else sets
    settings = events.settings(config.augment.temporal_crop)
    parts = []
    for part in recordings:
        try:
            frames = cached_frames(part, settings)
        except NeurokdError as error:
            raise NeurokdError(f"data '{name}': {error}") from error
        labels, groups = part.labels.astype(np.int64), part.groups.astype(np.int64)
        parts.append(ImageSet(frames, torch.from_numpy(labels), groups))
    if len(parts) == 1:
        rest, chosen = _divided(labels, groups, events)
        parts = [parts[0].subset(torch.from_numpy(rows)) for rows in (rest, chosen)]
    classes = recordings[0].classes or tuple(str(label) for label in range(_classes(recordings)))
    return DataSet(name, parts[0], parts[1], classes, config.encoding)


class Joined:
    """The recordings of several sets one after the other."""

    def __init__(self, sets: Sequence[EventSet]) -> None:
        self._sets = sets
        self._starts = np.cumsum([0, *map(len, sets)])
        self.labels, self.groups = (np.concatenate([getattr(one, key) for one in sets]) for key in ("labels", "groups"))
        self.classes = sets[0].classes

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Events:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._sets[part][index - int(self._starts[part])]


def _divided(labels: IntArray, groups: IntArray, events: EventsConfig) -> tuple[IntArray, IntArray]:
    """Indices of training and of test recordings."""
    if not events.folds:
        return divide(labels, groups, events.test, DIVIDE_SEED)
    fold = folds(labels, groups, events.folds, DIVIDE_SEED)
    return np.flatnonzero(fold != events.fold), np.flatnonzero(fold == events.fold)


def _recordings(config: DataConfig, root: Path) -> tuple[str, Sequence[EventSet]]:
    """The name of the set; its training and its test part, or one part that is to be divided."""
    if config.name == "digits-dvs":
        data = _digits()
        return data.name, [data.train, data.test]
    name = config.path.stem if config.path else str(config.name)
    files = _files(root / config.path.expanduser()) if config.path else event_files(name, root)
    parts = [read_events(file) for file in files if file is not None]
    if len(parts) == 2:
        _ = EventData(name, *parts)  # raises if sensor or classes differ
    return name, parts


def _files(path: Path) -> tuple[Path, Path | None]:
    if path.is_file():
        return path, None
    train, test = path / "train.npz", path / "test.npz"
    for file in (train, test):
        if not file.is_file():
            raise NeurokdError(
                f"data 'events': '{file}' is missing; `path` is a folder with train.npz and test.npz, or one npz file"
            )
    return train, test


def _classes(parts: Sequence[EventSet | Joined]) -> int:
    return max(int(part.labels.max()) for part in parts) + 1
