"""Events per second into frames, beside tonic's `ToFrame` where tonic is installed; simulated recordings per second.

Run it as `python benchmarks/event_frames.py [DATA.npz]`: without a file the events are random. Both take turns in one
process on one core. The figures count processor time, so that other work on the machine does not enter; the wall
time's figure stands beside it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurokd.events.archive import read_events
from neurokd.events.frames import FrameSettings, to_frames
from neurokd.events.recording import Events
from neurokd.events.simulate import saccades, simulate

FRAMES = 10
ROUNDS = 3


def random_recordings(count: int, events: int, sensor: tuple[int, int]) -> list[Events]:
    """Return `count` recordings of `events` events each."""
    generator = np.random.default_rng(0)
    columns = [(generator.integers(0, top, events) for top in (300_000, sensor[1], sensor[0], 2)) for _ in range(count)]
    return [Events(*column, sensor=sensor, sort=True) for column in columns]


def tonic_frames(recordings: list[Events]) -> Callable[[Events], Any] | None:
    """Return tonic's transform for recordings that are already in its own form, or None without tonic."""
    try:
        from tonic.transforms import ToFrame
    except ImportError:
        return None
    height, width = recordings[0].sensor
    transform = ToFrame(sensor_size=(width, height, 2), n_event_bins=FRAMES)
    kinds = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
    theirs = {}
    for recording in recordings:
        theirs[id(recording)] = np.empty(len(recording), kinds)
        for name in "xytp":
            theirs[id(recording)][name] = getattr(recording, name)
    return lambda recording: transform(theirs[id(recording)])


def rates(work: Callable[[], Any], amount: int) -> tuple[float, float]:
    """Return amount per second of processor time and of wall time, the best of some rounds."""
    best = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        best.append((amount / (time.process_time() - cpu), amount / (time.perf_counter() - wall)))
    return max(best)


def compare(name: str, recordings: list[Events]) -> None:
    """Print both rates for one kind of recording."""
    settings = FrameSettings(FRAMES, dtype="uint16")
    contenders = {"neurokd": lambda recording: to_frames(recording, settings), "tonic": tonic_frames(recordings)}
    events = sum(map(len, recordings))
    for who, transform in contenders.items():
        if transform is None:
            print(f"{name}: {who} is not installed")
            continue
        transform(recordings[0])  # compiles and loads what is loaded late
        cpu, wall = rates(lambda run=transform: [run(recording) for recording in recordings], events)
        print(f"{name}: {who} {cpu / 1e6:.1f} M events/s of processor time ({wall / 1e6:.1f} M/s wall)")


def main() -> None:
    """Compare on short and on long recordings, then simulate."""
    if len(sys.argv) > 1:
        compare(Path(sys.argv[1]).name, list(read_events(Path(sys.argv[1])))[:100])
    else:
        compare("4,000 random events on 34x34", random_recordings(100, 4000, (34, 34)))
    compare("1,000,000 random events on 128x128", random_recordings(1, 1_000_000, (128, 128)))
    rows, columns = np.mgrid[-14:14, -14:14]
    ring = (255 * (np.abs(np.hypot(rows, columns) - 8) < 2)).astype(np.uint8)  # about as much contour as a digit
    for side in (34, 48):
        recordings: list[Events] = []
        cpu, wall = rates(
            lambda s=side, r=recordings: r.extend(simulate(ring[None].repeat(64, 0), saccades(), (s, s))), 64
        )
        print(
            f"simulated recordings at {side}x{side}, {len(recordings[0])} events each: "
            f"{cpu:.0f}/s of processor time ({wall:.0f}/s wall)"
        )


if __name__ == "__main__":
    main()
