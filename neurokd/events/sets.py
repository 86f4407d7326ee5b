"""Many labelled recordings, kept as long columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array, Events, sensor_size


@dataclass(frozen=True, eq=False)
class EventSet:
    """N recordings of one sensor with labels; recording `k` is the events `offsets[k]..offsets[k+1]` of the columns.

    `t`, `x`, `y`, `p` are `[M]` integers as in `Events` and may lie in a file that is mapped into memory: a recording
    is read and checked when it is asked for. `labels` (>= 0), `sample_ids` and `groups` are `[N]`. A group is what
    recordings share, a subject or a source image: training, validation and test must not divide it. `classes` may be
    empty. With `rows` (`[N]`) the set has only these recordings of the columns, in this order. Errors name the file
    `source`.
    Raises NeurokdError that names the key when lengths or offsets do not fit together.

    >>> blink = Events(t=[0, 10], x=[1, 1], y=[0, 0], p=[1, 0], sensor=(2, 2))
    >>> data = EventSet.of([blink, blink], labels=[0, 1])
    >>> len(data), data[1]
    (2, Events(2 events on 2x2 in 10 us))
    """

    t: Array
    x: Array
    y: Array
    p: Array
    offsets: Array
    labels: Array
    sample_ids: Array
    groups: Array
    sensor: tuple[int, int]
    classes: tuple[str, ...] = ()
    sort: bool = False
    rows: Array | None = None
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sensor", sensor_size(self.sensor))
        for key in "xyp":
            if len(getattr(self, key)) != len(self.t):
                raise _error(key, f"{len(getattr(self, key))} values for {len(self.t)} of 't'; give one per event")
        _check_offsets(self.offsets, len(self.t))
        for key in ("labels", "sample_ids", "groups"):
            if len(getattr(self, key)) != len(self):
                raise _error(key, f"{len(getattr(self, key))} values for {len(self)} recordings; give one for each")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0:
            raise _error("labels", f"got {low}, allowed is 0 and more; number the classes from 0")
        if self.classes and high >= len(self.classes):
            allowed = f"0..{len(self.classes) - 1} for {len(self.classes)} classes"
            raise _error("labels", f"got {high}, allowed is {allowed}; correct the label or add its class")

    @classmethod
    def of(
        cls,
        recordings: Sequence[Events],
        labels: Sequence[int] | Array,
        sample_ids: Sequence[int] | Array | None = None,
        classes: tuple[str, ...] = (),
        groups: Sequence[int] | Array | None = None,
    ) -> "EventSet":
        """Join `recordings`, all of one sensor; `sample_ids` count from 0 and `groups` are these unless given."""
        if not recordings:
            raise NeurokdError("event set: there is no recording; add at least one")
        sensor = recordings[0].sensor
        for number, recording in enumerate(recordings):
            if recording.sensor != sensor:
                raise NeurokdError(
                    f"event set: recording {number} has sensor {recording.sensor}, recording 0 has {sensor}; "
                    "put them into sets of their own"
                )
        t, x, y, p = (np.concatenate([getattr(r, name) for r in recordings]) for name in "txyp")
        offsets = np.cumsum([0, *map(len, recordings)])
        ids = np.arange(len(recordings)) if sample_ids is None else np.asarray(sample_ids)
        shared = ids if groups is None else np.asarray(groups)
        return cls(t, x, y, p, offsets, np.asarray(labels), ids, shared, sensor, classes)

    def subset(self, indices: Sequence[int] | Array) -> "EventSet":
        """Return the recordings at `indices` (`[K]`), in that order; no event is copied."""
        chosen = np.asarray(indices, np.int64)
        rows = (np.arange(len(self)) if self.rows is None else self.rows)[chosen]
        kept = {key: getattr(self, key)[chosen] for key in ("labels", "sample_ids", "groups")}
        return replace(self, **kept, rows=rows)

    def __len__(self) -> int:
        return len(self.offsets) - 1 if self.rows is None else len(self.rows)

    def __getitem__(self, index: int) -> Events:
        """Return recording `index`, checked; raises NeurokdError that names the recording."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        row = index if self.rows is None else int(self.rows[index])
        part = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        try:
            return Events(self.t[part], self.x[part], self.y[part], self.p[part], self.sensor, sort=self.sort)
        except NeurokdError as error:
            where = f"'{self.source}', " if self.source else ""
            raise NeurokdError(f"{where}recording {index} (sample {self.sample_ids[index]}): {error}") from error

    def __iter__(self) -> Iterator[Events]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        sizes = np.diff(self.offsets.astype(np.int64))
        events = int(sizes.sum() if self.rows is None else sizes[self.rows].sum())
        return f"EventSet({len(self)} recordings, {events} events on {self.sensor[0]}x{self.sensor[1]})"


@dataclass(frozen=True, eq=False)
class EventData:
    """A named pair of training and test recordings of one sensor; label `k` is called `classes[k]` in both."""

    name: str
    train: EventSet
    test: EventSet

    def __post_init__(self) -> None:
        for what in ("sensor", "classes"):
            ours, theirs = getattr(self.train, what), getattr(self.test, what)
            if ours != theirs:
                raise NeurokdError(
                    f"event data '{self.name}': {what}: {ours} in training, {theirs} in test; make them equal"
                )


def _check_offsets(offsets: Array, events: int) -> None:
    if len(offsets) < 2:
        raise _error("offsets", f"got {len(offsets)} values, allowed are 2 and more; add at least one recording")
    if offsets[0] != 0 or offsets[-1] != events:
        raise _error("offsets", f"run from {offsets[0]} to {offsets[-1]}, allowed is 0 to the {events} events")
    steps = np.diff(offsets.astype(np.int64))
    if steps.min() < 1:
        first = int(np.argmax(steps < 1))
        what = "is empty" if steps[first] == 0 else f"ends at {offsets[first + 1]}, before its start {offsets[first]}"
        raise _error("offsets", f"recording {first} {what}; leave it out or correct the offsets")


def _error(key: str, message: str) -> NeurokdError:
    return NeurokdError(f"event set, key '{key}': {message}")
