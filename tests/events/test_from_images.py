"""An image set becomes recordings: the same whatever computes them, with the number of every source image."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from neurokd.cli.main import run
from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.from_images import Recorder, part_sizes, simulate_set
from neurokd.events.picture import fitting, picture
from neurokd.events.simulate import saccades, simulate

RECORDER = Recorder(sensor=(14, 12), amplitude=2.0, seed=3)


@pytest.fixture
def source() -> DataSet:
    """150 and 12 random colour images of 6 x 5 in three classes, the classes in turn."""
    generator = torch.Generator().manual_seed(0)
    parts = [
        ImageSet(torch.randint(0, 256, (size, 3, 6, 5), generator=generator, dtype=torch.uint8), torch.arange(size) % 3)
        for size in (150, 12)
    ]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def test_recordings_are_those_of_the_numbered_images(tmp_path: Path, source: DataSet) -> None:
    files = simulate_set(source, tmp_path / "out", RECORDER, train=90, test=6)
    train, test = (read_events(tmp_path / "out" / f"{part}.npz") for part in ("train", "test"))
    assert [len(part) for part in files.values()] == [90, 6]
    assert (train.sensor, train.classes, test.classes) == ((14, 12), ("a", "b", "c"), ("a", "b", "c"))
    assert np.bincount(train.labels).tolist() == [30, 30, 30]
    assert train.sample_ids.tolist() == sorted(set(train.sample_ids.tolist())) == train.groups.tolist()
    assert all(150 <= number < 162 for number in test.sample_ids)
    for part, images, first in ((train, source.train, 0), (test, source.test, 150)):
        number = int(part.sample_ids[2]) - first
        assert part.labels[2] == images.labels[number]
        shown = picture(images.images[number : number + 1], (12, 10))
        motion = saccades(amplitude=2.0)
        (alone,) = simulate(shown, motion, (14, 12), RECORDER.pixels, seed=3, ids=[number + first])
        assert part[2].fingerprint() == alone.fingerprint()
    kept = json.loads((tmp_path / "out" / "simulation.json").read_text())
    assert (kept["source"], kept["side"], kept["seed"], kept["pixels"]["threshold"]) == ("blobs", [12, 10], 3, 0.4)


def test_the_files_do_not_depend_on_the_processes(tmp_path: Path, source: DataSet) -> None:
    simulate_set(source, tmp_path / "one", RECORDER, train=140, test=3)
    simulate_set(source, tmp_path / "two", RECORDER, train=140, test=3, processes=2)
    for name in ("train.npz", "test.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_colour_becomes_luminance_and_is_scaled_bilinearly() -> None:
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    assert picture(colours[:, :, None, None], (1, 1))[:, 0, 0].tolist() == [76, 150, 29, 255]
    step = torch.tensor([[[[0, 200]]]], dtype=torch.uint8)
    assert picture(step, (1, 4)).tolist() == [[[0, 50, 150, 200]]]


def test_an_image_takes_the_room_that_the_motion_leaves() -> None:
    assert fitting((32, 32), (48, 48), 4.0) == (44, 44)
    assert fitting((20, 10), (34, 60), 4.0) == (30, 15)
    with pytest.raises(NeurokdError, match="leaves no room for 8x8 images that move by 4 pixels"):
        fitting((8, 8), (4, 4), 4.0)


def test_samples_keep_the_proportion(source: DataSet) -> None:
    assert part_sizes(source, 54) == (50, 4)
    assert part_sizes(source, 162) == (150, 12)
    assert part_sizes(source, 2) == (1, 1)
    with pytest.raises(NeurokdError, match=r"samples is 163, allowed is 2\.\.162"):
        part_sizes(source, 163)


def test_more_images_than_there_are(tmp_path: Path, source: DataSet) -> None:
    with pytest.raises(NeurokdError, match=r"13 test images asked for, allowed is 1\.\.12"):
        simulate_set(source, tmp_path / "out", RECORDER, train=10, test=13)
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_no_folder(tmp_path: Path, source: DataSet) -> None:
    too_large = Recorder(sensor=(14, 12), side=(15, 12))
    with pytest.raises(NeurokdError, match=r"h <= 14 and w <= 12"):
        simulate_set(source, tmp_path / "out", too_large, train=10, test=3)
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "events"
    arguments = ["datasets", "simulate-events", "digits", "--out", str(out), "--sensor", "20x24", "--samples", "50"]
    assert run(arguments) == 0
    assert f"{out / 'train.npz'}: 40 recordings" in capsys.readouterr().out
    assert read_events(out / "test.npz").sensor == (20, 24)
    assert run(arguments) == 2
    assert "is there and not empty" in capsys.readouterr().err


WRONG = {
    "events": (["nmnist"], "'nmnist' is no image set; allowed are digits"),
    "path": (["arrays"], "needs `path`"),
    "sensor": (["digits", "--sensor", "20x"], "sensor is '20x', allowed is HEIGHTxWIDTH"),
    "counts": (["digits", "--samples", "9", "--test", "2"], "not both"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_command_refuses(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = WRONG[name]
    assert run(["datasets", "simulate-events", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
