"""Events per second into frames, beside tonic's `ToFrame` where tonic is installed; simulated recordings per second.

Run it as `python benchmarks/event_frames.py [DATA.npz]`: without a file the events are random. Both take turns in one
process on one core. Time is processor time, the mean of many runs, so that other work on the machine hardly enters.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurokd.events.archive import read_events
from neurokd.events.cache import cached_frames
from neurokd.events.frames import FrameSettings, to_frames
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet
from neurokd.events.simulate import saccades, simulate

FRAMES = 10
TRIES = 5
BATCH = 64
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


def seconds_once(work: Callable[[], Any]) -> float:
    """Return the processor seconds of one run."""
    start = time.process_time()
    work()
    return time.process_time() - start


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


def compare_with_cache(name: str, data: EventSet) -> None:
    """Print the speed of the first pass over a whole set and of later ones, from the cache, beside tonic's."""
    settings = FrameSettings(FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEUROKD_CACHE"] = folder
        first = seconds_once(lambda: cached_frames(data, settings))
        opened = seconds_once(lambda: cached_frames(data, settings))
        frames = cached_frames(data, settings)
        order = torch.randperm(len(frames)).split(BATCH)
        epoch = seconds_of(lambda: [frames[rows] for rows in order])
    rate = len(data.t) / 1e6
    print(f"{name}: first pass, with checks, hash and writing, {rate / first:.1f} M events/s")
    print(f"{name}: opened again, hash and checksum tested, {first / opened:.1f} times faster")
    print(f"{name}: an epoch from the cache, {rate / epoch:.0f} M events/s, {first / epoch:.0f} times faster")
    recordings = list(data)
    transform = tonic_frames(recordings)
    if transform is not None:
        theirs = seconds_of(lambda: [transform(recording) for recording in recordings])
        print(f"{name}: an epoch of tonic's ToFrame {rate / theirs:.1f} M events/s")
        print(f"{name}: the cache is {theirs / epoch:.0f} times faster than tonic")


def main() -> None:
    """Compare on short and on long recordings, from the cache too, then simulate."""
    if len(sys.argv) > 1:
        compare(Path(sys.argv[1]).name, list(read_events(Path(sys.argv[1])))[:30])
        compare_with_cache(Path(sys.argv[1]).name, read_events(Path(sys.argv[1])))
    else:
        short = random_recordings(30, 4000, (34, 34))
        compare("4,000 random events on 34x34", short)
        many = [short[number % 30] for number in range(600)]
        compare_with_cache("600 such recordings", EventSet.of(many, [0] * len(many)))
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
