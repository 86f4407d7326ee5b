"""Events are normalised; what is wrong is refused with the number of the event."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.events.recording import Events


def events(**changed: Any) -> Events:
    """Three events on a sensor of 4 x 6 with some columns changed."""
    return Events(**{"t": [1, 1, 5], "x": [0, 5, 2], "y": [3, 0, 1], "p": [0, 1, 1], "sensor": (4, 6), **changed})


def test_columns_take_their_types() -> None:
    made = events()
    assert [getattr(made, name).dtype for name in "txyp"] == [np.int64, np.uint16, np.uint16, np.uint8]
    assert (len(made), made.duration_us, made.sensor) == (3, 4, (4, 6))


@pytest.mark.parametrize("polarity", [[0, 1, 1], [-1, 1, 1], [False, True, True], np.array([0, 1, 1], np.uint8)])
def test_three_writings_of_polarity_are_one(polarity: Any) -> None:
    assert events(p=polarity).p.tolist() == [0, 1, 1]


def test_what_fits_is_not_copied_and_nothing_is_changed() -> None:
    times = np.array([1, 2, 9], np.int64)
    assert np.shares_memory(events(t=times).t, times)
    times = np.array([9, 2, 1], np.int64)
    assert events(t=times, sort=True).t.tolist() == [1, 2, 9]
    assert times.tolist() == [9, 2, 1]


def test_sorting_keeps_the_order_of_events_at_the_same_time() -> None:
    made = events(t=[7, 2, 2], sort=True)
    assert made.t.tolist() == [2, 2, 7]
    assert made.x.tolist() == [5, 2, 0]


WRONG = {
    "order": ({"t": [1, 5, 4]}, "event 2 is at 4 us, the one before it at 5 us; .* sort=True sorts"),
    "x too large": ({"x": [0, 6, 7]}, r"event 1 has x = 6, allowed is 0\.\.5"),
    "y negative": ({"y": [0, 0, -1]}, r"event 2 has y = -1, allowed is 0\.\.3"),
    "polarity 2": ({"p": [0, 1, 2]}, "event 2 has polarity 2, allowed is 0 or 1"),
    "polarity -1 and 0": ({"p": [-1, 1, 0]}, "event 2 has polarity 0, allowed is -1 or 1"),
    "float times": ({"t": [0.0, 1.0, 2.0]}, r"t is float64 \[3\], allowed are integers in microseconds"),
    "NaN": ({"t": [0.0, np.nan, 2.0]}, r"t is float64 with NaN \[3\]"),
    "float coordinates": ({"x": [0.0, 1.0, 2.0]}, "x is float64"),
    "lengths": ({"y": [0, 0]}, "y has 2 values, t has 3"),
    "two rows": ({"x": [[0, 1, 2]]}, r"x is int64 \[1, 3\]"),
    "empty": ({"t": [], "x": [], "y": [], "p": []}, "the recording is empty"),
    "sensor": ({"sensor": (0, 6)}, r"sensor is \(0, 6\), allowed is \(height, width\)"),
    "huge time": ({"t": np.array([1, 2, 2**63], np.uint64)}, "event 2 is at 9223372036854775808 us"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name: str) -> None:
    changed, message = WRONG[name]
    with pytest.raises(NeurokdError, match=message):
        events(**changed)


@settings(deadline=None, max_examples=40)
@given(
    start=st.integers(0, 2**32 - 1),
    steps=st.lists(st.integers(0, 2**30 - 1), min_size=1, max_size=20),
    bits=st.sampled_from([31, 32]),
)
def test_times_that_wrap_are_unwrapped(start: int, steps: list[int], bits: int) -> None:
    start %= 2**bits
    true = start + np.cumsum([0, *steps])
    wrapped = (true % 2**bits).astype(np.uint32)
    if bits == 32 and wrapped.max() < 2**31:  # nothing in the file tells the two ranges apart
        wrapped = np.append(wrapped[0], wrapped[0])
        true = np.array([start, start])
    size = len(wrapped)
    made = Events(wrapped, np.zeros(size, int), np.zeros(size, int), np.zeros(size, int), (1, 1))
    assert made.t.tolist() == true.tolist()


def test_signed_times_wrap_to_negative_ones() -> None:
    times = np.array([2**31 - 2, 2**31 - 1, 2**31, 2**31 + 7]).astype(np.uint32).astype(np.int32)
    assert times[2] < 0
    made = Events(times, [0] * 4, [0] * 4, [1] * 4, (1, 1))
    assert np.diff(made.t).tolist() == [1, 1, 7]


def test_late_events_around_a_wrap_are_sorted_into_place() -> None:
    times = np.array([2**32 - 6, 3, 2**32 - 1, 5], np.uint32)
    made = Events(times, [0, 1, 2, 3], [0] * 4, [1] * 4, (1, 4), sort=True)
    assert made.x.tolist() == [0, 2, 1, 3]
    assert made.duration_us == 11


def test_wide_times_and_small_steps_back_are_not_wraps() -> None:
    with pytest.raises(NeurokdError, match="event 1 is at 0 us"):
        events(t=np.array([2**32 - 1, 0, 1], np.int64))
    with pytest.raises(NeurokdError, match="event 1 is at 0 us"):
        events(t=np.array([1000, 0, 1], np.uint32))


def test_the_fingerprint_sees_every_column() -> None:
    prints = {events().fingerprint(), events(t=np.array([1, 1, 5], np.uint16)).fingerprint()}
    assert len(prints) == 1
    for changed in ({"t": [1, 1, 6]}, {"x": [0, 5, 3]}, {"y": [3, 0, 2]}, {"p": [1, 1, 1]}, {"sensor": (4, 7)}):
        prints.add(events(**changed).fingerprint())
    assert len(prints) == 6
