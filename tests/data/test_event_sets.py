"""Event sets by name: their frames and windows, and the splits that no group crosses."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurokd.data.config import DataConfig
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet
from neurokd.data.splits import folds
from neurokd.data.stored import StoredImages
from neurokd.errors import NeurokdError
from neurokd.events.archive import write_events
from neurokd.events.frames import FrameSettings, to_frames
from neurokd.events.recording import Events
from neurokd.events.sets import EventSet
from neurokd.inputs import SPIKES, Encoding

Writer = Callable[..., EventSet]


def event_set(count: int, seed: int = 0, **changes: Any) -> EventSet:
    """Recordings of two classes in turns, 60 random events on 6 x 8 each."""
    generator = np.random.default_rng(seed)
    recordings = []
    for _ in range(count):
        t = np.sort(generator.integers(0, 10_000, 60))
        x, y, p = (generator.integers(0, top, 60) for top in (8, 6, 2))
        recordings.append(Events(t, x, y, p, (6, 8)))
    return EventSet.of(recordings, **{"labels": np.arange(count) % 2, **changes})


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, EventSet, EventSet]:
    """A folder with 20 training and 6 test recordings."""
    folder = tmp_path / "gestures"
    folder.mkdir()
    train, test = event_set(20, 0), event_set(6, 1, sample_ids=np.arange(100, 106))
    write_events(folder / "train.npz", train)
    write_events(folder / "test.npz", test)
    return folder, train, test


def load(path: Path, **events: Any) -> DataSet:
    """The data set as a recipe names it."""
    return load_dataset(DataConfig.model_validate({"name": "events", "path": path, "events": events}))


def test_frames_of_both_files(two_files: tuple[Path, EventSet, EventSet]) -> None:
    folder, train, test = two_files
    dataset = load(folder, frames=4)
    assert dataset.shape == (2, 6, 8) and dataset.classes == ("0", "1") and dataset.name == "gestures"
    assert dataset.encoding == Encoding(255, 1.0)
    for part, events in ((dataset.train, train), (dataset.test, test)):
        expected = np.stack([to_frames(recording, FrameSettings(4)) for recording in events])
        assert np.array_equal(part.images[:], expected)
        assert part.labels.tolist() == events.labels.tolist()
    assert load(folder, frames=4, counting="binary").encoding == SPIKES
    assert load(folder, frames=4, max_count=31).encoding == Encoding(31, 1.0)


def test_a_window_is_a_part_of_the_same_recordings(two_files: tuple[Path, EventSet, EventSet]) -> None:
    dataset = load(two_files[0], frames=6)
    part = dataset.window(2, 3)
    assert torch.equal(part.train.images[:], dataset.train.images[:][:, 2:5])
    assert torch.equal(part.test.images[:], dataset.test.images[:][:, 2:5])
    assert torch.equal(part.train.window(1, 2).images[4:6], dataset.train.images[4:6][:, 3:5])
    assert part.lessons is None and part.train.frames == 3
    assert part.train.fingerprint() == dataset.train.fingerprint()
    chosen = torch.tensor([7, 0, 7])
    assert torch.equal(part.train.subset(chosen).images[:], dataset.train.images[:][chosen][:, 2:5])
    assert torch.equal(part.train.subset(chosen).subset(torch.tensor([1])).images[:], dataset.train.images[0:1][:, 2:5])
    with pytest.raises(NeurokdError, match=r"frames 4 up to 7 are asked for, there are 6; raise data\.events\.frames"):
        dataset.window(4, 3)


def test_a_file_that_is_cut_short_while_in_use(two_files: tuple[Path, EventSet, EventSet]) -> None:
    images = load(two_files[0], frames=6).train.images
    assert isinstance(images, StoredImages)
    assert images[torch.tensor([], dtype=torch.int64)].shape == (0, 6, 2, 6, 8)
    with pytest.raises(IndexError, match=r"rows -1\.\.3 of 20"):
        images[torch.tensor([3, -1])]
    with pytest.raises(IndexError, match=r"rows 0\.\.20 of 20"):
        images.subset(torch.tensor([0, 20]))
    assert torch.equal(images[-2:], images[:][-2:]) and images[5:5].shape[0] == 0
    os.truncate(images.path, images.offset + 1000)
    with pytest.raises(NeurokdError, match="cut short while in use; start again"):
        images[:]


def test_lessons_hold_spare_frames_around_and_the_teachers_in_front(
    two_files: tuple[Path, EventSet, EventSet],
) -> None:
    dataset = load(two_files[0], frames=9)
    part = dataset.window(3, 3, spare=2, before=3)
    whole = dataset.train.images[:]
    assert part.lessons is not None
    assert torch.equal(part.lessons.images[:], whole[:, :8])
    assert torch.equal(part.train.images[:], whole[:, 4:7])  # the middle of frames 3..7


def test_one_file_is_divided_by_the_hash_of_its_groups(tmp_path: Path) -> None:
    groups = np.arange(40) // 4  # ten subjects, who show both classes
    data = event_set(40, sample_ids=np.arange(40), groups=groups)
    write_events(tmp_path / "all.npz", data)
    dataset = load(tmp_path / "all.npz", frames=2, test=0.2)
    assert (len(dataset.train), len(dataset.test)) == (32, 8)
    assert dataset.train.groups is not None and dataset.test.groups is not None
    assert not set(dataset.train.groups) & set(dataset.test.groups)
    shuffled = np.random.default_rng(1).permutation(40)
    write_events(tmp_path / "shuffled.npz", data.subset(shuffled))
    again = load(tmp_path / "shuffled.npz", frames=2, test=0.2)
    assert again.test.groups is not None
    assert set(again.test.groups) == set(dataset.test.groups)


def test_folds_join_all_recordings_and_test_each_once(two_files: tuple[Path, EventSet, EventSet]) -> None:
    folder = two_files[0]
    parts = [load(folder, frames=2, folds=5, fold=fold) for fold in range(5)]
    tested = np.concatenate([part.test.groups for part in parts if part.test.groups is not None])
    assert sorted(tested) == [*range(20), *range(100, 106)]
    for part in parts:
        assert len(part.train) + len(part.test) == 26
        assert part.test.labels.sum() in (2, 3)
        assert part.train.groups is not None and part.test.groups is not None
        assert not set(part.train.groups) & set(part.test.groups)
    whole = load(folder, frames=2)
    images = {row.numpy().tobytes() for side in (whole.train, whole.test) for row in side.images[:]}
    assert {row.numpy().tobytes() for side in (parts[2].train, parts[2].test) for row in side.images[:]} == images


def test_folds_keep_groups_and_shares() -> None:
    labels, groups = np.arange(60) % 3, np.arange(60) // 6
    found = folds(labels, groups, 5, seed=0)
    assert all(len(set(found[groups == group])) == 1 for group in range(10))
    assert np.bincount(found).tolist() == [12] * 5
    single = folds(labels, np.arange(60), 5, seed=0)
    assert all(np.bincount(single[labels == label]).tolist() == [4] * 5 for label in range(3))
    order = np.random.default_rng(0).permutation(60)
    assert np.array_equal(folds(labels[order], order, 5, seed=0), single[order])
    assert not np.array_equal(folds(labels, np.arange(60), 5, seed=1), single)
    with pytest.raises(NeurokdError, match="folds: 11 of 10 groups, allowed is 2 to the number of groups"):
        folds(labels, groups, 11, seed=0)


def test_the_built_in_digits_have_their_official_split() -> None:
    dataset = load_dataset(DataConfig.model_validate({"name": "digits-dvs", "events": {"frames": 2, "size": 8}}))
    assert (len(dataset.train), len(dataset.test), dataset.shape) == (1437, 360, (2, 8, 8))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"train\.npz' is missing; `path` is a folder with train\.npz and test\.npz, or one npz file"),
        ({"train": event_set(4)}, r"test\.npz' is missing"),
        (
            {"train": event_set(4), "test": event_set(4, classes=("left", "right"))},
            "classes: .* in training, .* in test",
        ),
        (
            {"train": event_set(4), "test": event_set(4), "events": {"frames": 90}},
            "recording 0: .*60 events cannot fill 90",
        ),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    events = {"frames": 2, **files.pop("events", {})}
    for name, data in files.items():
        write_events(tmp_path / f"{name}.npz", data)
    with pytest.raises(NeurokdError, match=message):
        load(tmp_path, **events)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "digits", "events": {}}, "data 'digits' takes no `events`; it is for digits-dvs"),
        ({"name": "digits", "augment": {"nda": True}}, r"takes no `augment\.nda`; it is for"),
        ({"name": "events"}, "data 'events' needs `path`"),
        ({"name": "digits-dvs", "path": "x"}, "takes no `path`"),
        ({"name": "digits-dvs", "events": {"frames": 4, "pretrain": 4}}, "pretrain 4 and inference 1 are more than"),
        ({"name": "digits-dvs", "events": {"frames": 4, "inference": 5}}, "inference 5 are more than the 4 frames"),
        ({"name": "digits-dvs", "events": {"slicing": "duration"}}, "needs duration_us"),
        ({"name": "digits-dvs", "events": {"max_count": 256}}, "less than or equal to 255"),
        ({"name": "digits-dvs", "events": {"folds": 3, "fold": 3}}, "fold is 3, allowed is less than folds, 3"),
        ({"name": "digits-dvs", "events": {"fold": 1}}, "allowed is less than folds, which is not given"),
    ],
)
def test_keys_that_do_not_go_together(config: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, NeurokdError), match=message):
        DataConfig.model_validate(config)
