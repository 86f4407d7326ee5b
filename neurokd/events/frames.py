"""Events gathered into frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array, Events, Recordings

Slicing: TypeAlias = Literal["number", "time", "duration"]
Counting: TypeAlias = Literal["count", "binary", "sum"]
Resizing: TypeAlias = Literal["scale", "nearest"]
Overflow: TypeAlias = Literal["refuse", "saturate"]
FrameType: TypeAlias = Literal["uint8", "uint16", "float32"]


_LARGEST = {"uint8": 2**8 - 1, "uint16": 2**16 - 1, "float32": 2**24}


@dataclass(frozen=True)
class FrameSettings:
    """How a recording becomes `frames` frames `[T, C, H, W]` (HSD eq. 1, Zhong et al. 2024).

    `slicing`: "number", T slices of N // T events each, the last one takes the remainder (as SpikingJelly does);
    "time", T equal spans from the first to the last event; "duration", T spans of `duration_us` from the first event
    on: what comes later is left out, and a shorter recording ends in empty frames.
    `counting`: "count", events per pixel and polarity, C = 2 (0: darker, 1: brighter); "binary", 1 where there was
    one, C = 2; "sum", events of both polarities together, C = 1.
    `size`: (height, width) of the frames, the sensor's without it. `resizing`: "scale" moves the events,
    x * W // sensor width, and loses none; "nearest" takes the counts of the nearest sensor pixel, so some are lost
    or repeated.
    `max_count` (without it the largest that `dtype` holds: 255, 65,535 or 2^24, up to which float32 counts exactly):
    `overflow` says whether a larger count is refused, or becomes this value ("saturate").
    Raises NeurokdError for a value outside these.
    """

    frames: int
    slicing: Slicing = "number"
    duration_us: int | None = None
    counting: Counting = "count"
    size: tuple[int, int] | None = None
    resizing: Resizing = "scale"
    dtype: FrameType = "uint8"
    max_count: int | None = None
    overflow: Overflow = "refuse"

    def __post_init__(self) -> None:
        choices = (("slicing", Slicing), ("counting", Counting), ("resizing", Resizing))
        for name, kind in (*choices, ("dtype", FrameType), ("overflow", Overflow)):
            if getattr(self, name) not in get_args(kind):
                allowed = ", ".join(get_args(kind))
                raise NeurokdError(f"frames: {name} is '{getattr(self, name)}', allowed are {allowed}")
        if self.frames < 1:
            raise NeurokdError(f"frames: frames is {self.frames}, allowed is 1 and more")
        if self.max_count is not None and not 1 <= self.max_count <= _LARGEST[self.dtype]:
            raise NeurokdError(f"frames: max_count is {self.max_count}, allowed is 1..{_LARGEST[self.dtype]}")
        if (self.slicing == "duration") != (self.duration_us is not None):
            raise NeurokdError(
                f"frames: slicing is '{self.slicing}' and duration_us {self.duration_us}; "
                "slicing 'duration' needs duration_us, the others have none"
            )
        if self.duration_us is not None and self.duration_us < 1:
            raise NeurokdError(f"frames: duration_us is {self.duration_us}, allowed is 1 and more")
        if self.size is not None and min(self.size) < 1:
            raise NeurokdError(f"frames: size is {self.size}, allowed is (height, width), each 1 and more")

    @property
    def limit(self) -> int:
        """The largest count that a frame may hold."""
        return 1 if self.counting == "binary" else self.max_count or _LARGEST[self.dtype]

    def shape(self, sensor: tuple[int, int]) -> tuple[int, int, int, int]:
        """The shape of the frames of one recording, `(T, C, H, W)`."""
        return (self.frames, 1 if self.counting == "sum" else 2, *(self.size or sensor))


def to_frames(events: Events, settings: FrameSettings) -> Array:
    """Return the frames of one recording, `[T, C, H, W]`, of the settings' `dtype`.

    Raises NeurokdError for slices by number when there are fewer events than frames (by time, such a recording has
    empty frames), and for a count that does not fit unless it may saturate.

    >>> events = Events(t=[0, 1, 2], x=[0, 0, 1], y=[0, 0, 0], p=[1, 1, 0], sensor=(1, 2))
    >>> to_frames(events, FrameSettings(frames=1)).tolist()
    [[[[0, 1]], [[2, 0]]]]
    """
    cuts = _cuts(events, settings)
    moved = settings.size is not None and settings.resizing == "scale"
    height, width = settings.size if moved and settings.size else events.sensor
    shape = (settings.shape(events.sensor)[1], height, width)
    cells = _cells(events, settings, height, width)
    frames = np.empty((settings.frames, *shape), settings.dtype)
    for number in range(settings.frames):  # one slice after the other: a bincount over all of them was slower
        counts: Array = np.bincount(cells[cuts[number] : cuts[number + 1]], minlength=int(np.prod(shape)))
        if settings.counting == "binary":
            counts = counts > 0
        elif counts.max() > settings.limit:
            if settings.overflow == "refuse":
                raise _too_many(number, int(counts.max()), settings)
            counts = np.minimum(counts, settings.limit)
        frames[number] = counts.reshape(shape)
    return frames if settings.size is None or moved else _nearest(frames, *settings.size)


def frames_of(recordings: Recordings, settings: FrameSettings) -> Array:
    """Return the frames of many recordings of one sensor, `[N, T, C, H, W]`; raises NeurokdError that names one."""
    if not len(recordings):
        raise NeurokdError("frames: there is no recording; give at least one")
    return np.stack(list(each_frames(recordings, settings)))


def each_frames(recordings: Recordings, settings: FrameSettings) -> Iterator[Array]:
    """Yield the frames of one recording after the other, as `frames_of` joins them."""
    first = recordings[0].sensor
    for number in range(len(recordings)):
        events = recordings[number]
        if events.sensor != first and settings.size is None:
            raise NeurokdError(
                f"recording {number}: sensor is {events.sensor}, recording 0 has {first}; set size to join them"
            )
        try:
            yield to_frames(events, settings)
        except NeurokdError as error:
            raise NeurokdError(f"recording {number}: {error}") from error


def _cuts(events: Events, settings: FrameSettings) -> list[int]:
    """Return T + 1 event numbers: slice j holds the events cuts[j]..cuts[j + 1]."""
    count = settings.frames
    if settings.slicing == "number":
        if len(events) < count:
            raise NeurokdError(
                f"frames: {len(events)} events cannot fill {count} frames by number; "
                "ask for fewer frames, slice by time or leave the recording out"
            )
        return [j * (len(events) // count) for j in range(count)] + [len(events)]
    start = int(events.t[0])
    if settings.duration_us is not None:
        bounds = [start + j * settings.duration_us for j in range(count + 1)]
    else:
        span = events.duration_us + 1  # so that the last event lies inside
        bounds = [start - (-j * span // count) for j in range(count + 1)]  # start + j * span / T, rounded up
    latest = int(events.t[-1]) + 1
    return [int(cut) for cut in np.searchsorted(events.t, [min(bound, latest) for bound in bounds])]


def _cells(events: Events, settings: FrameSettings, height: int, width: int) -> Array:
    """Return the position of every event in one flattened frame `[C, H, W]`."""
    y, x = (values.astype(np.int64) for values in (events.y, events.x))
    if (height, width) != events.sensor:
        y = y * height // events.sensor[0]
        x = x * width // events.sensor[1]
    y *= width
    y += x
    if settings.counting != "sum":
        y += events.p * np.int64(height * width)
    return y


def _nearest(frames: Array, height: int, width: int) -> Array:
    """Take for every pixel of the result the source pixel whose centre is nearest."""
    rows = (2 * np.arange(height) + 1) * frames.shape[2] // (2 * height)
    columns = (2 * np.arange(width) + 1) * frames.shape[3] // (2 * width)
    return np.ascontiguousarray(frames[:, :, rows[:, None], columns])


def _too_many(number: int, count: int, settings: FrameSettings) -> NeurokdError:
    wider = ""
    if settings.limit < _LARGEST[settings.dtype]:
        wider = "raise max_count, "
    elif settings.dtype == "uint8":
        wider = "use dtype 'uint16', "
    return NeurokdError(
        f"frames: frame {number} has {count} events in one pixel, allowed is {settings.limit}; {wider}use more frames "
        "or overflow 'saturate'"
    )
