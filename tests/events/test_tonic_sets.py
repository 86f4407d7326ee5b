"""Published sets in their own formats, read by tonic's classes, give the events that were written."""

import dataclasses
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from neurokd.cli.main import run
from neurokd.data.catalogue import CATALOGUE
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.catalogue import event_files
from neurokd.events.recording import Events
from neurokd.events.tonic_sets import prepare_tonic

tonic = pytest.importorskip("tonic", reason="tonic is for Python 3.10 and 3.11: pip install 'neurokd[events]'")

Rows = Sequence[tuple[int, int, int, int]]
Write = Callable[[Path, Rows], None]


def rows(seed: int, side: int = 34) -> list[tuple[int, int, int, int]]:
    """Twenty random events in the order of time."""
    generator = np.random.default_rng(seed)
    t = np.sort(generator.integers(0, 300_000, 20)).tolist()
    return [(time, *generator.integers(0, (side, side, 2)).tolist()) for time in t]


def listed(events: Events) -> list[tuple[int, int, int, int]]:
    """The events as (t, x, y, p)."""
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let tonic be content with one extracted file, and publish sets of a few recordings."""

    def enough(self: object, count: int, suffix: str) -> bool:
        return bool(original(self, 1, suffix))

    original = tonic.dataset.Dataset._folder_contains_at_least_n_files_of_type
    monkeypatch.setattr(tonic.dataset.Dataset, "_folder_contains_at_least_n_files_of_type", enough)

    def publish(name: str, train: int, test: int | None = None) -> None:
        monkeypatch.setitem(CATALOGUE, name, dataclasses.replace(CATALOGUE[name], train=train, test=test))

    yield publish


def archive(root: Path, *names: str) -> None:
    """Put the archives down, which tonic looks for even where they are extracted."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_nmnist(tmp_path: Path, write_atis: Write, small: Callable[..., None]) -> None:
    small("nmnist", 3, 1)
    archive(tmp_path / "NMNIST", "train.zip", "test.zip")
    written = {"Train/7/00012.bin": 1, "Train/0/00002.bin": 2, "Train/0/00022.bin": 3, "Test/4/00005.bin": 4}
    for name, seed in written.items():
        write_atis(tmp_path / "NMNIST" / name, rows(seed))
    parts = prepare_tonic("nmnist", tmp_path)
    assert (
        tuple(parts) == event_files("nmnist", tmp_path) == (tmp_path / "nmnist/train.npz", tmp_path / "nmnist/test.npz")
    )
    train, test = parts.values()
    assert [listed(recording) for recording in train] == [rows(2), rows(3), rows(1)]
    assert train.sample_ids.tolist() == train.groups.tolist() == [2, 22, 12]
    assert train.labels.tolist() == [0, 0, 7]
    assert (listed(test[0]), test.labels.tolist(), test.sample_ids.tolist()) == (rows(4), [4], [60005])
    assert (train.sensor, train.classes, test.classes) == ((34, 34), tuple("0123456789"), tuple("0123456789"))


def test_dvs_gesture_keeps_subjects_together(tmp_path: Path, small: Callable[..., None]) -> None:
    small("dvs-gesture", 3, 1)
    archive(tmp_path / "DVSGesture", "ibmGestureTrain.tar.gz", "ibmGestureTest.tar.gz")
    written = {"Train/user02_led": [10], "Train/user01_lab": [3, 10], "Test/user24_led": [0]}
    for folder, labels in written.items():
        path = tmp_path / "DVSGesture" / f"ibmGesture{folder}"
        path.mkdir(parents=True)
        for label in labels:
            t, x, y, p = np.array(rows(label, 128)).T
            np.save(path / f"{label}.npy", np.stack([x, y, p, t // 1000], 1))  # tonic's files count milliseconds
    train, test = prepare_tonic("dvs-gesture", tmp_path).values()
    assert train.labels.tolist() == [10, 3, 10]  # by name: user01_lab/10.npy, user01_lab/3.npy, user02_led/10.npy
    assert train.groups.tolist() == [1, 1, 2]
    assert train.sample_ids.tolist() == [0, 1, 2]
    assert listed(train[1]) == [(t // 1000 * 1000, x, y, p) for t, x, y, p in rows(3, 128)]
    assert (test.groups.tolist(), test.sensor) == ([24], (128, 128))
    assert train.classes[10] == "Other gestures"


def test_cifar10_dvs(tmp_path: Path, write_aedat4: Write, small: Callable[..., None]) -> None:
    small("cifar10-dvs", 3)
    archive(tmp_path / "CIFAR10DVS", "CIFAR10DVS.zip")
    written = {"frog/cifar10_frog_3": 1, "airplane/cifar10_airplane_12": 2, "airplane/cifar10_airplane_9": 3}
    for name, seed in written.items():
        write_aedat4(tmp_path / "CIFAR10DVS" / f"{name}.aedat4", rows(seed, 128))
    assert run(["datasets", "prepare", "cifar10-dvs", "--data-root", str(tmp_path)]) == 0
    assert event_files("cifar10-dvs", tmp_path) == (tmp_path / "cifar10-dvs" / "all.npz", None)
    data = read_events(tmp_path / "cifar10-dvs" / "all.npz")
    assert [listed(recording) for recording in data] == [rows(2, 128), rows(3, 128), rows(1, 128)]
    assert (data.sample_ids.tolist(), data.labels.tolist()) == ([12, 9, 6003], [0, 0, 6])
    assert data.classes[6] == "frog"


def test_ncaltech101_moves_recordings_to_the_corner(
    tmp_path: Path, write_atis: Write, small: Callable[..., None]
) -> None:
    small("ncaltech101", 2)
    base = tmp_path / "NCALTECH101"
    archive(base, "N-Caltech101-archive.zip")
    wide = [(0, 239, 179, 1), (5, 10, 20, 0)]
    write_atis(base / "Caltech101" / "yin_yang" / "image_0001.bin", wide)
    write_atis(base / "Caltech101" / "ant" / "image_0020.bin", [(9, 5, 6, 1), (3, 7, 6, 0)])  # out of order
    (data,) = prepare_tonic("ncaltech101", tmp_path).values()
    assert (data.sensor, data.classes, data.sample_ids.tolist()) == ((180, 240), ("ant", "yin_yang"), [20, 1001])
    assert listed(data[0]) == [(3, 2, 0, 0), (9, 0, 0, 1)]
    assert listed(data[1]) == [(0, 229, 159, 1), (5, 0, 0, 0)]


def test_an_archive_within_the_archive_is_unpacked(
    tmp_path: Path, write_atis: Write, small: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    small("ncaltech101", 1)
    base = tmp_path / "NCALTECH101"
    write_atis(tmp_path / "ant" / "image_0001.bin", rows(1))
    base.mkdir()
    with zipfile.ZipFile(base / "Caltech101.zip", "w") as inner:
        inner.write(tmp_path / "ant" / "image_0001.bin", "Caltech101/ant/image_0001.bin")
    shutil.rmtree(tmp_path / "ant")
    monkeypatch.setattr(tonic.datasets.NCALTECH101, "download", lambda self: archive(base, self.filename))
    (data,) = prepare_tonic("ncaltech101", tmp_path).values()
    assert len(data[0]) == 20


def test_events_out_of_order_are_told(
    tmp_path: Path, write_atis: Write, small: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    small("ncaltech101", 2)
    archive(tmp_path / "NCALTECH101", "N-Caltech101-archive.zip")
    for number, events in enumerate((rows(1), rows(2)[::-1])):
        write_atis(tmp_path / "NCALTECH101" / "Caltech101" / "ant" / f"image_{number:04}.bin", events)
    prepare_tonic("ncaltech101", tmp_path)
    assert "in 1 of 2 recordings events were sorted by time" in caplog.text


def test_a_missing_recording_is_no_set(tmp_path: Path, write_atis: Write, small: Callable[..., None]) -> None:
    small("nmnist", 2, 1)
    archive(tmp_path / "NMNIST", "train.zip")
    write_atis(tmp_path / "NMNIST" / "Train/7/00012.bin", rows(1))
    with pytest.raises(NeurokdError, match=r"NMNIST/Train' has 1 recordings, published are 2; remove this folder"):
        prepare_tonic("nmnist", tmp_path)
    assert not (tmp_path / "nmnist").exists()


def test_a_damaged_recording_is_named(tmp_path: Path, write_atis: Write, small: Callable[..., None]) -> None:
    small("nmnist", 2, 1)
    archive(tmp_path / "NMNIST", "train.zip")
    for name in ("00012.bin", "00013.bin"):
        write_atis(tmp_path / "NMNIST" / "Train" / "7" / name, rows(1))
    path = tmp_path / "NMNIST" / "Train" / "7" / "00013.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(NeurokdError, match=r"Train/7/00013.bin' cannot be imported \(.*\); get it again"):
        prepare_tonic("nmnist", tmp_path)
    assert not list((tmp_path / "nmnist").iterdir())


@pytest.mark.parametrize(
    ("name", "file", "md5"),
    [
        ("nmnist", "train.zip", "20959b8e626244a1b502305a9e6e2031"),
        ("dvs-gesture", "ibmGestureTrain.tar.gz", "3a8f0d4120a166bac7591f77409cb105"),
        ("cifar10-dvs", "CIFAR10DVS.zip", "ce3a4a0682dc0943703bd8f749a7701c"),
        ("ncaltech101", "N-Caltech101-archive.zip", "66201824eabb0239c7ab992480b50ba3"),
    ],
)
def test_a_failed_download_says_which_file_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, file: str, md5: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", fail)
    assert run(["datasets", "prepare", name, "--data-root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"data '{name}' could not be downloaded (no network); put the file {file} (from https://" in said
    assert f"MD5 {md5}) into '{tmp_path}" in said
