"""Events per second into frames, beside tonic's `ToFrame` where tonic is installed; simulated recordings per second.

Run it as `python benchmarks/event_frames.py [DATA.npz]`: without a file the events are random. Both take turns in one
process on one core. Time is processor time, the mean of many runs, so that other work on the machine hardly enters.
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
TRIES = 10
IMAGES = 4  # simulated at a time


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


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the mean processor seconds of a run."""
    work()  # compiles and loads what is loaded late
    start = time.process_time()
    for _ in range(TRIES):
        work()
    return (time.process_time() - start) / TRIES


def compare(name: str, recordings: list[Events]) -> None:
    """Print events per second of both, recording by recording in turns."""
    settings = FrameSettings(FRAMES, dtype="uint16")
    contenders = {"neurokd": lambda recording: to_frames(recording, settings), "tonic": tonic_frames(recordings)}
    seconds = dict.fromkeys(contenders, 0.0)
    for recording in recordings:
        for who, transform in contenders.items():
            if transform is not None:
                seconds[who] += seconds_of(lambda run=transform, events=recording: run(events))
    for who, total in seconds.items():
        rate = f"{sum(map(len, recordings)) / total / 1e6:.1f} M events/s" if total else "not installed"
        print(f"{name}: {who} {rate}")


def main() -> None:
    """Compare on short and on long recordings, then simulate."""
    if len(sys.argv) > 1:
        compare(Path(sys.argv[1]).name, list(read_events(Path(sys.argv[1])))[:30])
    else:
        compare("4,000 random events on 34x34", random_recordings(30, 4000, (34, 34)))
    compare("200,000 random events on 128x128", random_recordings(1, 200_000, (128, 128)))
    rows, columns = np.mgrid[-14:14, -14:14]
    ring = (255 * (np.abs(np.hypot(rows, columns) - 8) < 2)).astype(np.uint8)  # about as much contour as a digit
    for side in (34, 48):
        images, motion = ring[None].repeat(IMAGES, 0), saccades()
        events = len(simulate(images, motion, (side, side))[0])
        rate = IMAGES / seconds_of(lambda i=images, m=motion, s=side: simulate(i, m, (s, s)))
        print(f"simulated recordings at {side}x{side}, {events} events each: {rate:.0f}/s of processor time")


if __name__ == "__main__":
    main()
