"""What is written is read again; a damaged or lying file is named with the key."""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events, write_events
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet


@st.composite
def event_sets(draw: st.DrawFn) -> EventSet:
    """Sets of 1..4 recordings on one sensor, with times below 2^40 and sides up to 400."""
    height, width = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    latest = draw(st.sampled_from([1000, 2**32 - 1, 2**40]))
    event = st.tuples(st.integers(0, latest), st.integers(0, width - 1), st.integers(0, height - 1), st.integers(0, 1))
    recordings = []
    for _ in range(draw(st.integers(1, 4))):
        columns = np.array(draw(st.lists(event, min_size=1, max_size=8))).T
        recordings.append(Events(*columns, sensor=(height, width), sort=True))
    return EventSet.of(recordings, list(range(len(recordings))))


@given(data=event_sets())
@settings(max_examples=30, deadline=None)
def test_round_trip(data: EventSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.npz"
        write_events(path, data)
        again = read_events(path)
        assert [r.fingerprint() for r in again] == [r.fingerprint() for r in data]
        assert again.labels.tolist() == data.labels.tolist()
        assert again.sample_ids.tolist() == data.sample_ids.tolist()
        assert again.groups.tolist() == data.groups.tolist()
        assert (again.sensor, again.classes) == (data.sensor, data.classes)


@pytest.fixture
def path(tmp_path: Path, toy: EventSet) -> Path:
    """The small set in a file."""
    write_events(tmp_path / "toy.npz", toy)
    return tmp_path / "toy.npz"


def test_names_and_ids_come_back(path: Path) -> None:
    data = read_events(path)
    assert data.classes == ("ant", "bee", "cat")
    assert data.sample_ids.tolist() == [7, 3, 11, 2, 5]
    assert len(data[-1]) == 80
    assert [len(recording) for recording in data] == [40, 50, 60, 70, 80]


def test_stored_columns_are_mapped_and_compressed_ones_read(path: Path, toy: EventSet) -> None:
    assert all(isinstance(getattr(read_events(path), key), np.memmap) for key in "txyp")
    with np.load(path) as archive:
        np.savez_compressed(path, **archive)
    assert read_events(path)[1].fingerprint() == toy[1].fingerprint()
    assert not any(isinstance(getattr(read_events(path), key), np.memmap) for key in "txyp")


def test_ids_and_names_may_be_missing(path: Path) -> None:
    rewrite(path, group=None)
    assert read_events(path).groups.tolist() == [7, 3, 11, 2, 5]
    rewrite(path, sample_id=None, class_names=None)
    data = read_events(path)
    assert data.sample_ids.tolist() == data.groups.tolist() == [0, 1, 2, 3, 4]
    assert data.classes == ()


def rewrite(path: Path, **changed: Any) -> None:
    """Write the file again with some arrays changed, or left out where None."""
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    np.savez(path, **{key: value for key, value in {**arrays, **changed}.items() if value is not None})


OFFSETS = np.array([0, 40, 90, 150, 220, 300])
LIES = {
    "missing": ({"t": None}, "key 't': missing"),
    "float times": ({"t": np.zeros(300)}, r"key 't': got float64 \[300\], allowed are integers"),
    "pickled": ({"x": np.array([{}] * 300, dtype=object)}, "key 'x': cannot be read .*pickled objects"),
    "short column": ({"y": np.zeros(299, np.uint8)}, "key 'y': 299 values for 300 of 't'"),
    "offsets too long": ({"offsets": np.append(OFFSETS[:-1], 301)}, "key 'offsets': run from 0 to 301, .* 300 events"),
    "offsets late": ({"offsets": np.append(1, OFFSETS[1:])}, "key 'offsets': run from 1"),
    "offsets back": ({"offsets": OFFSETS - [0, 0, 60, 0, 0, 0]}, "recording 1 ends at 30, before its start 40"),
    "offsets equal": ({"offsets": OFFSETS - [0, 0, 50, 0, 0, 0]}, "key 'offsets': recording 1 is empty"),
    "offsets unsigned": ({"offsets": (OFFSETS - [0, 0, 60, 0, 0, 0]).astype(np.uint64)}, "recording 1 ends at 30"),
    "no recording": ({"offsets": np.array([0])}, "key 'offsets': got 1 values"),
    "labels": ({"labels": np.zeros(4, int)}, "key 'labels': 4 values for 5 recordings"),
    "label range": ({"labels": np.array([0, 1, 2, 3, 0])}, r"key 'labels': got 3, allowed is 0\.\.2"),
    "negative label": ({"labels": np.array([0, 1, 2, -1, 0])}, "key 'labels': got -1"),
    "ids": ({"sample_id": np.zeros((5, 1), int)}, r"key 'sample_id': got int64 \[5, 1\]"),
    "groups": ({"group": np.zeros(4, int)}, "key 'groups': 4 values for 5 recordings"),
    "sensor": ({"sensor_size": np.array([10, 12, 2])}, "key 'sensor_size': got 3 values"),
    "no sensor": ({"sensor_size": np.array([0, 12])}, r"sensor is \(0, 12\)"),
    "names": ({"class_names": np.array([1, 2, 3])}, "key 'class_names': got int64"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_file_is_refused_with_the_key(path: Path, name: str) -> None:
    changed, message = LIES[name]
    rewrite(path, **changed)
    with pytest.raises(NeurokdError, match=message) as caught:
        read_events(path)
    assert str(path) in str(caught.value)


def test_a_wrong_event_is_named_with_its_recording(path: Path, toy: EventSet) -> None:
    rewrite(path, x=np.where(np.arange(300) == 42, 12, toy.x))
    data = read_events(path)
    assert len(data[0]) == 40
    with pytest.raises(NeurokdError, match=r"recording 1 \(sample 3\): events: event 2 has x = 12, allowed is 0..11"):
        data[1]


def test_events_out_of_order_are_sorted_on_request(path: Path, toy: EventSet) -> None:
    rewrite(path, t=toy.t[::-1])
    with pytest.raises(NeurokdError, match=r"recording 0 \(sample 7\).*sort=True"):
        read_events(path)[0]
    assert read_events(path, sort=True)[0].t.tolist() == np.sort(toy.t[::-1][:40]).tolist()


@pytest.mark.parametrize("kept", [0, 1, 100, 1000, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(NeurokdError, match=r"toy.npz', key '\(archive\)': cannot be read"):
        read_events(path)


def test_a_header_that_promises_more_than_there_is(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:  # with checksums that are right
        for name, content in members.items():
            archive.writestr(name, content.replace(b"(300,)", b"(900,)") if name == "t.npy" else content)
    with pytest.raises(NeurokdError, match=r"key 't': .*its header promises 3600 bytes, the file has 1200"):
        read_events(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match="no such file"):
        read_events(tmp_path / "none.npz")


def test_recordings_of_two_sensors_are_no_set(toy: EventSet) -> None:
    with pytest.raises(NeurokdError, match=r"recording 1 has sensor \(2, 2\), recording 0 has \(10, 12\)"):
        EventSet.of([toy[0], Events([0], [0], [0], [1], (2, 2))], [0, 1])


def test_nmnist_is_read(nmnist: Path) -> None:
    data = read_events(nmnist / "test.npz")
    assert (len(data), data.sensor) == (100, (34, 34))
    assert sum(len(recording) for recording in data) == 385_596
    assert all(250_000 < recording.duration_us < 350_000 for recording in data)
