"""No event is lost or invented on the way into frames; every way of slicing, counting and resizing by hand."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.events import cache as cache_module
from neurokd.events.archive import read_events
from neurokd.events.cache import cached_frames
from neurokd.events.frames import FrameSettings, frames_of, to_frames
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    """A recording of 8..40 random events on a sensor of up to 9 x 9, some of them at the same time."""
    height, width, count = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(8, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t, x, y, p = (generator.integers(0, top, count) for top in (60, width, height, 2))
    return Events(t, x, y, p, (height, width), sort=True)


SIZES = st.none() | st.tuples(st.integers(1, 20), st.integers(1, 20))


@settings(deadline=None, max_examples=40)
@given(recordings(), st.integers(1, 8), st.sampled_from(["number", "time"]), SIZES, st.sampled_from(["count", "sum"]))
def test_frames_count_every_event_once(
    events: Events, count: int, slicing: Any, size: tuple[int, int] | None, counting: Any
) -> None:
    frames = to_frames(events, FrameSettings(count, slicing, size=size, counting=counting))
    assert frames.shape == (count, 1 if counting == "sum" else 2, *(size or events.sensor))
    assert int(frames.sum()) == len(events)
    if counting == "count":
        assert int(frames[:, 1].sum()) == int(events.p.sum())
    if slicing == "number":
        each = len(events) // count
        assert frames.sum((1, 2, 3)).tolist() == [each] * (count - 1) + [len(events) - each * (count - 1)]


@settings(deadline=None, max_examples=40)
@given(recordings(), st.integers(1, 8), st.sampled_from(["number", "time"]))
def test_every_count_is_that_of_a_loop_over_the_events(events: Events, count: int, slicing: Any) -> None:
    expected = np.zeros((count, 2, *events.sensor), int)
    span = events.duration_us + 1
    for number in range(len(events)):
        by_number = min(number // (len(events) // count), count - 1)
        by_time = int(events.t[number] - events.t[0]) * count // span
        slice_ = by_number if slicing == "number" else by_time
        expected[slice_, events.p[number], events.y[number], events.x[number]] += 1
    frames = to_frames(events, FrameSettings(count, slicing))
    assert np.array_equal(frames, expected)
    assert np.array_equal(to_frames(events, FrameSettings(count, slicing, counting="binary")), expected > 0)
    total = to_frames(events, FrameSettings(count, slicing, counting="sum", dtype="uint16"))
    assert total.dtype == np.uint16
    assert np.array_equal(total[:, 0], expected.sum(1))


@settings(deadline=None, max_examples=40)
@given(st.lists(recordings(), min_size=1, max_size=4), st.randoms())
def test_the_order_of_recordings_is_that_of_frames(many: list[Events], random: Any) -> None:
    chosen = FrameSettings(2, size=(4, 4))
    order = random.sample(range(len(many)), len(many))
    assert np.array_equal(frames_of(many, chosen)[order], frames_of([many[k] for k in order], chosen))


def row(times: list[int], width: int = 4) -> Events:
    """Events of a sensor of one row, each one pixel further than the one before."""
    return Events(times, np.arange(len(times)) % width, [0] * len(times), [1] * len(times), (1, width))


def test_fixed_durations_leave_out_what_comes_later_and_end_in_empty_frames() -> None:
    events = row([100, 109, 110, 130])
    late = to_frames(events, FrameSettings(2, "duration", duration_us=10))
    assert late[:, 1, 0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 0]]
    short = to_frames(events, FrameSettings(5, "duration", duration_us=10))
    assert short.sum((1, 2, 3)).tolist() == [2, 1, 0, 1, 0]


def test_equal_spans_of_a_recording_of_one_moment() -> None:
    assert to_frames(row([5, 5]), FrameSettings(3, "time")).sum((1, 2, 3)).tolist() == [2, 0, 0]


def test_scaling_moves_events_and_nearest_copies_pixels() -> None:
    events = row([0, 1, 2, 3])
    assert to_frames(events, FrameSettings(1, size=(1, 2)))[0, 1, 0].tolist() == [2, 2]
    assert to_frames(events, FrameSettings(1, size=(2, 8)))[0, 1].tolist() == [[1, 0] * 4, [0] * 8]
    near = FrameSettings(1, size=(2, 8), resizing="nearest")
    assert to_frames(events, near)[0, 1].tolist() == [[1] * 8, [1] * 8]
    fewer = FrameSettings(1, size=(1, 2), resizing="nearest")
    assert to_frames(row([0, 1, 1], 4), fewer)[0, 1, 0].tolist() == [1, 0]  # of the pixels 0..3 it takes 1 and 3


def test_too_many_events_in_one_pixel_are_refused_or_saturate() -> None:
    events = row([0] * 300, width=1)
    with pytest.raises(NeurokdError, match="frame 0 has 300 events in one pixel, allowed is 255; use dtype 'uint16'"):
        to_frames(events, FrameSettings(1))
    assert to_frames(events, FrameSettings(1, overflow="saturate")).max() == 255
    assert to_frames(events, FrameSettings(1, dtype="uint16")).max() == 300
    assert to_frames(events, FrameSettings(1, dtype="float32")).max() == 300.0
    assert to_frames(events, FrameSettings(1, counting="binary")).max() == 1
    with pytest.raises(NeurokdError, match="allowed is 31; raise max_count, use more frames"):
        to_frames(events, FrameSettings(1, max_count=31))
    assert to_frames(events, FrameSettings(1, max_count=31, overflow="saturate")).max() == 31


def test_fewer_events_than_frames() -> None:
    events = row([0, 10])
    with pytest.raises(NeurokdError, match="recording 0: frames: 2 events cannot fill 3 frames by number"):
        frames_of([events], FrameSettings(3))
    assert to_frames(events, FrameSettings(3, "time")).sum((1, 2, 3)).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"slicing": "count"}, "slicing is 'count', allowed are number, time, duration"),
        ({"slicing": "duration"}, "needs duration_us"),
        ({"duration_us": 10}, "slicing is 'number' and duration_us 10"),
        ({"slicing": "duration", "duration_us": 0}, "duration_us is 0"),
        ({"dtype": "int8"}, "dtype is 'int8', allowed are uint8, uint16, float32"),
        ({"max_count": 0}, r"max_count is 0, allowed is 1\.\.255"),
        ({"max_count": 256}, r"max_count is 256, allowed is 1\.\.255"),
        ({"size": (0, 4)}, r"size is \(0, 4\)"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen: Any, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        FrameSettings(**{"frames": 2, **chosen})


def test_two_sensors_need_a_size(toy: EventSet) -> None:
    mixed = [toy[0], row([0, 1])]
    with pytest.raises(NeurokdError, match=r"recording 1: sensor is \(1, 4\), recording 0 has \(10, 12\); set size"):
        frames_of(mixed, FrameSettings(2))
    assert frames_of(mixed, FrameSettings(2, size=(5, 5))).shape == (2, 2, 2, 5, 5)


def test_frames_are_made_once(toy: EventSet, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_frames(toy, FrameSettings(3))
    assert np.array_equal(first[:], frames_of(toy, FrameSettings(3)))
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "each_frames", None)
        assert torch.equal(cached_frames(toy, FrameSettings(3))[:], first[:])
    cached_frames(toy, FrameSettings(4))
    cached_frames([toy[0]], FrameSettings(3))
    assert len(list((own_cache / "event-frames").iterdir())) == 3
    with pytest.raises(NeurokdError, match="dtype is 'uint16', allowed in the cache is uint8; use frames_of"):
        cached_frames(toy, FrameSettings(3, dtype="uint16"))


def test_a_list_of_recordings_has_the_frames_of_its_set(toy: EventSet, own_cache: Path) -> None:
    assert torch.equal(cached_frames(list(toy), FrameSettings(3))[:], cached_frames(toy, FrameSettings(3))[:])


def test_without_a_cache_the_file_is_temporary(
    toy: EventSet, own_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.mkdir(exist_ok=True)
    (own_cache / "in-the-way").write_text("a file, no folder")
    monkeypatch.setattr(cache_module, "cache_dir", lambda: own_cache / "in-the-way")
    frames = cached_frames(toy, FrameSettings(3))
    assert np.array_equal(frames[:], frames_of(toy, FrameSettings(3)))
    assert "could not be cached" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_cache_is_rebuilt(
    toy: EventSet, own_cache: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = cached_frames(toy, FrameSettings(3))[:]
    (file,) = (own_cache / "event-frames").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes({"truncated": content[:300], "flipped": content, "empty": b""}[damage])
    assert torch.equal(cached_frames(toy, FrameSettings(3))[:], first)
    assert "is made again" in caplog.text
    caplog.clear()
    assert torch.equal(cached_frames(toy, FrameSettings(3))[:], first)
    assert not caplog.text


def write(data: EventSet, start: Any, results: Any) -> None:
    """Make frames in another process, together with others."""
    start.wait()
    results.put(int(cached_frames(data, FrameSettings(3))[:].sum()))


def test_processes_may_write_at_once(toy: EventSet, own_cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=write, args=(toy, start, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=30) for _ in workers] == [300] * 3
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    (file,) = (own_cache / "event-frames").iterdir()
    assert np.load(file)["array"].sum() == 300


def test_nmnist_becomes_frames(nmnist: Path) -> None:
    data = read_events(nmnist / "test.npz")
    frames = cached_frames(data, FrameSettings(10))
    assert frames.shape == (100, 10, 2, 34, 34)
    assert int(frames[:].sum()) == 385_596
