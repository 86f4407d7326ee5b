"""A file grows recording by recording and appears whole or not at all."""

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.cache import cached_frames
from neurokd.events.frames import FrameSettings, frames_of
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet
from neurokd.events.writer import EventWriter

BLINK = Events(t=[0, 10], x=[1, 1], y=[0, 0], p=[1, 0], sensor=(2, 2))


def test_what_is_added_is_read(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "deep" / "events.npz", (2, 2), ("a", "b")) as writer:
        writer.add(BLINK, label=1)
        writer.add(BLINK, label=0, sample_id=9)
        writer.add(dataclasses.replace(BLINK, t=[2**32 - 5, 2**32 - 1]), label=0, sample_id=4, group=9)
    data = read_events(tmp_path / "deep" / "events.npz")
    assert data.sample_ids.tolist() == [0, 9, 4]
    assert data.groups.tolist() == [0, 9, 9]
    assert data.labels.tolist() == [1, 0, 0]
    assert (data.t.dtype, data.x.dtype) == (np.uint32, np.uint8)
    assert data[2].t.tolist() == [2**32 - 5, 2**32 - 1]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["events.npz"]


@pytest.mark.parametrize("times", [[-1, 5], [0, 2**32]])
def test_times_beyond_32_bits_stay_as_they_are(tmp_path: Path, times: list[int]) -> None:
    with EventWriter(tmp_path / "events.npz", (2, 2)) as writer:
        writer.add(dataclasses.replace(BLINK, t=times), label=0)
        writer.add(BLINK, label=0)
    data = read_events(tmp_path / "events.npz")
    assert (data[0].t.tolist(), data[1].t.tolist()) == (times, [0, 10])


def test_the_same_recordings_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        with EventWriter(tmp_path / name, (2, 2)) as writer:
            writer.add(BLINK, label=0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


WRONG = {
    "sensor": (dataclasses.replace(BLINK, sensor=(3, 2)), 0, r"recording 0 has sensor \(3, 2\), allowed is \(2, 2\)"),
    "label": (BLINK, 2, r"recording 0 has label 2, allowed is 0\.\.1"),
    "negative": (BLINK, -1, "recording 0 has label -1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_failure_leaves_nothing(tmp_path: Path, name: str) -> None:
    recording, label, message = WRONG[name]
    with pytest.raises(NeurokdError, match=message), EventWriter(tmp_path / "e.npz", (2, 2), ("a", "b")) as writer:
        writer.add(recording, label)
    assert not list(tmp_path.iterdir())


def test_no_recording_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match=r"e.npz': there is no recording"), EventWriter(tmp_path / "e.npz", (2, 2)):
        pass
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    long = Events(*np.zeros((4, 200_000), np.int64), sensor=(2, 2))
    tracemalloc.start()
    try:
        with EventWriter(tmp_path / "e.npz", (2, 2)) as writer:
            for _ in range(40):
                writer.add(long, label=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "e.npz").stat().st_size > 40 * 200_000 * 7
    assert peak < 20e6  # a block of 2^20 times twice, as they are and as bytes


def test_a_subset_is_a_view(toy: EventSet) -> None:
    part = toy.subset([3, 0, 4])
    assert [len(recording) for recording in part] == [70, 40, 80]
    assert part.sample_ids.tolist() == part.groups.tolist() == [2, 7, 5]
    assert part.labels.tolist() == [0, 0, 1]
    assert np.shares_memory(part.t, toy.t)
    assert repr(part) == "EventSet(3 recordings, 190 events on 10x12)"
    assert part.subset(np.array([2, 1]))[0].fingerprint() == toy[4].fingerprint()
    assert part[-1].fingerprint() == toy[4].fingerprint()
    with pytest.raises(IndexError):
        part[3]


def test_a_subset_has_its_own_frames_in_the_cache(toy: EventSet) -> None:
    settings = FrameSettings(frames=2)
    for rows in ([0, 1], [1, 0], [2, 3]):
        cached = cached_frames(toy.subset(rows), settings)
        assert cached[:].numpy().tolist() == frames_of(toy, settings)[rows].tolist()
