"""An event version of an image set: every image once in front of a simulated sensor."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from neurokd.data.images import DataSet, ImageSet, IntArray
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.picture import fitting, picture
from neurokd.events.pixels import PixelSettings
from neurokd.events.processes import in_order
from neurokd.events.recording import sensor_size
from neurokd.events.sets import EventSet
from neurokd.events.simulate import BATCH, saccades, simulate
from neurokd.events.writer import EventWriter
from neurokd.files import atomic_folder, write_json

PHOTOGRAPHS = PixelSettings(threshold=0.4, mismatch=0.03, refractory_us=300, noise_hz=0.5)


@dataclass(frozen=True)
class Recorder:
    """The simulated sensor, (height, width), and how an image moves before it.

    The image takes `side` (height, width), or the largest size that stays on the sensor. It makes three saccades of
    `amplitude` pixels in `duration_us`, `rounds` times. `seed` draws the mismatch and the noise of the pixels.
    """

    sensor: tuple[int, int]
    side: tuple[int, int] | None = None
    amplitude: float = 4.0
    duration_us: int = 300_000
    rounds: int = 1
    pixels: PixelSettings = PHOTOGRAPHS
    seed: int = 0


def simulate_set(
    source: DataSet, folder: Path, recorder: Recorder, train: int, test: int, processes: int = 1
) -> dict[Path, EventSet]:
    """Write `train.npz` and `test.npz` with a recording of each of `train` and `test` images; return both, opened.

    The images are a stratified choice of the training and of the test images of `source`, drawn by the seed.
    `sample_id` and `group` are the number of the image: training images count from 0, test images go on behind them.
    `simulation.json` keeps the settings. The files do not depend on `processes`; the folder appears whole.
    Raises NeurokdError for a folder that holds something, and for numbers of images that are not there.
    """
    _check(source, folder, train, test)
    sensor = sensor_size(recorder.sensor)
    side = recorder.side or fitting(source.shape[1:], sensor, recorder.amplitude)
    recorder = replace(recorder, sensor=sensor, side=side)
    motion = saccades(recorder.amplitude, recorder.duration_us, rounds=recorder.rounds)
    record = partial(simulate, motion=motion, sensor=sensor, settings=recorder.pixels, seed=recorder.seed)
    with atomic_folder(folder) as part:
        for name, images, count, first in (
            ("train", source.train, train, 0),
            ("test", source.test, test, len(source.train)),
        ):
            chosen = stratified(images.labels.numpy(), count, recorder.seed)
            answers = in_order(record, _batches(images, chosen, side, first), processes)
            with EventWriter(part / f"{name}.npz", sensor, source.classes) as writer:
                for number, events in zip(chosen.tolist(), chain.from_iterable(answers), strict=True):
                    writer.add(events, int(images.labels[number]), sample_id=first + number)
        settings = {"source": source.name, "train": train, "test": test, **asdict(recorder)}
        write_json(part / "simulation.json", settings)
    return {path: read_events(path) for path in (folder / "train.npz", folder / "test.npz")}


def part_sizes(source: DataSet, samples: int) -> tuple[int, int]:
    """Return how many of `samples` recordings train and test, in the proportion of the images of `source`."""
    train, test = len(source.train), len(source.test)
    if not 2 <= samples <= train + test:
        raise NeurokdError(f"data '{source.name}': samples is {samples}, allowed is 2..{train + test}")
    few = min(max(round(samples * test / (train + test)), 1), samples - 1, test)
    return samples - few, few


def _check(source: DataSet, folder: Path, train: int, test: int) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NeurokdError(f"'{folder}' is there and not empty; remove it or choose another folder")
    for part, count, images in (("training", train, source.train), ("test", test, source.test)):
        if not 1 <= count <= len(images):
            raise NeurokdError(f"data '{source.name}': {count} {part} images asked for, allowed is 1..{len(images)}")


def _batches(images: ImageSet, chosen: IntArray, side: tuple[int, int], first: int) -> Iterator[dict[str, Any]]:
    """Yield what `simulate` needs of the images `chosen`; image k has the number `first` + k."""
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        shown = picture(images.images[torch.from_numpy(batch)], side)
        yield {"images": shown, "ids": (batch + first).tolist()}
