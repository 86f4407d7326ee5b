"""One recording of an event camera."""

import hashlib
from dataclasses import InitVar, dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError

Array: TypeAlias = npt.NDArray[Any]

MAX_SIDE = 2**16  # coordinates are kept as uint16


@dataclass(frozen=True, eq=False)
class Events:
    """Events in the order of time: `t` in microseconds, `x` and `y` in pixels, `p` 1 where it became brighter, else 0.

    All four are `[N]` integers, N >= 1, and become int64, uint16, uint16 and uint8; they are copied only where the type
    changes. `p` may be bool, 0/1 or -1/1. `sensor` is (height, width). `sort=True` sorts by time and keeps the order of
    events at the same time.

    Times of type uint32 or int32 that wrap are unwrapped: a step back by more than half the range starts a new round,
    and after one a step forward by more than half belongs to the round before. The range is 2^31 when all times are in
    0..2^31-1, else 2^32. Times of 64 bits are taken as they are.

    Raises NeurokdError with the number of the first wrong event: out of order without `sort`, outside the sensor,
    another polarity; also for no event at all, for times that are not integers and for columns of different length.

    >>> Events(t=[5, 9], x=[0, 3], y=[1, 1], p=[-1, 1], sensor=(2, 4))
    Events(2 events on 2x4 in 4 us)
    """

    t: Array
    x: Array
    y: Array
    p: Array
    sensor: tuple[int, int]
    sort: InitVar[bool] = False

    def __post_init__(self, sort: bool) -> None:
        height, width = sensor_size(self.sensor)
        columns = {name: _integers(name, getattr(self, name), bools=name == "p") for name in "txyp"}
        for name, column in columns.items():
            if len(column) != len(columns["t"]):
                raise NeurokdError(f"events: {name} has {len(column)} values, t has {len(columns['t'])}; give as many")
        if len(columns["t"]) == 0:
            raise NeurokdError("events: the recording is empty; leave it out")
        columns["t"] = _times(columns["t"])
        columns["x"] = _coordinates("x", columns["x"], width)
        columns["y"] = _coordinates("y", columns["y"], height)
        columns["p"] = _polarities(columns["p"])
        back = np.flatnonzero(columns["t"][1:] < columns["t"][:-1])
        if len(back) and not sort:
            first = int(back[0]) + 1
            before, after = columns["t"][first - 1 : first + 1].tolist()
            raise NeurokdError(
                f"events: event {first} is at {after} us, the one before it at {before} us; "
                "allowed are times that never fall, sort=True sorts them"
            )
        order = np.argsort(columns["t"], kind="stable") if len(back) else slice(None)
        for name, column in columns.items():
            object.__setattr__(self, name, column[order])
        object.__setattr__(self, "sensor", (height, width))

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"Events({len(self)} events on {self.sensor[0]}x{self.sensor[1]} in {self.duration_us} us)"

    @property
    def duration_us(self) -> int:
        """Microseconds from the first to the last event."""
        return int(self.t[-1]) - int(self.t[0])

    def fingerprint(self) -> str:
        """Return the SHA-256 of sensor and events: equal only for equal content in equal order."""
        digest = hashlib.sha256(f"{self.sensor} {len(self)}".encode())
        for column in (self.t, self.x, self.y, self.p):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


class Recordings(Protocol):
    """Any numbered collection of recordings: a list, a tuple, an `EventSet`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Events: ...


def sensor_size(sensor: tuple[int, int]) -> tuple[int, int]:
    """Return `sensor` as two integers, (height, width); raises NeurokdError for sides outside 1..65536."""
    sides = np.asarray(sensor)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1 or sides.max() > MAX_SIDE:
        raise NeurokdError(f"events: sensor is {sensor}, allowed is (height, width), each 1..{MAX_SIDE}")
    return int(sides[0]), int(sides[1])


def _integers(name: str, values: Any, bools: bool = False) -> Array:
    column = np.asarray(values)
    if column.size == 0:
        return np.zeros(0, np.int64)
    if column.ndim != 1 or column.dtype.kind not in ("iub" if bools else "iu"):
        nan = " with NaN" if column.dtype.kind in "fc" and np.isnan(column).any() else ""
        unit = " in microseconds" if name == "t" else ""
        raise NeurokdError(
            f"events: {name} is {column.dtype}{nan} {list(column.shape)}, allowed are integers{unit} [N]; convert them"
        )
    return column


def _times(times: Array) -> Array:
    if times.dtype == np.uint64 and int(times.max()) >= 2**63:
        first = int(np.argmax(times >= np.uint64(2**63)))
        raise NeurokdError(f"events: event {first} is at {times[first]} us, allowed is less than 2^63; shift the times")
    wide: Array = times.astype(np.int64, copy=False)
    if times.dtype not in (np.uint32, np.int32):
        return wide
    period = 2**31 if wide.min() >= 0 and wide.max() < 2**31 else 2**32
    steps = np.diff(wide)
    wraps = steps < -(period // 2)
    if not wraps.any():
        return wide
    rounds = np.cumsum(wraps.astype(np.int64) - (steps > period // 2))
    unwrapped: Array = wide + period * np.concatenate(([0], rounds))
    return unwrapped


def _coordinates(name: str, values: Array, size: int) -> Array:
    outside = (values < 0) | (values >= size)
    if outside.any():
        first = int(np.argmax(outside))
        raise NeurokdError(
            f"events: event {first} has {name} = {values[first]}, allowed is 0..{size - 1}; correct it or the sensor"
        )
    return values.astype(np.uint16, copy=False)


def _polarities(values: Array) -> Array:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    low = -1 if (values == -1).any() else 0
    wrong = (values != low) & (values != 1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise NeurokdError(
            f"events: event {first} has polarity {values[first]}, allowed is {low} or 1; use 0/1, -1/1 or bool"
        )
    return (values == 1).astype(np.uint8) if low else values.astype(np.uint8, copy=False)
