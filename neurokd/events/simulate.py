"""Event recordings of images that move in front of a simulated sensor, the way N-MNIST was recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.pixels import PixelSettings, crossings
from neurokd.events.recording import Array, Events, sensor_size

BATCH = 64  # images at a time: they fit into the processor's cache and change no result


@dataclass(frozen=True)
class Motion:
    """Where the image is at which time: `[K]` moments in us, rising from 0, and pixels to the right and down.

    Between two moments the image moves in a straight line. Raises NeurokdError for fewer than two moments, times that
    do not rise from 0, and lengths that differ.
    """

    time_us: tuple[int, ...]
    right: tuple[float, ...]
    down: tuple[float, ...]

    def __post_init__(self) -> None:
        sizes = len(self.time_us), len(self.right), len(self.down)
        if len(set(sizes)) != 1 or sizes[0] < 2:
            raise NeurokdError(f"motion: {sizes} times, rights and downs; give two or more, as many of each")
        if self.time_us[0] != 0 or np.diff(self.time_us).min() <= 0:
            raise NeurokdError("motion: the times do not rise from 0; sort them and start with 0")


def saccades(amplitude: float = 4.0, duration_us: int = 300_000, steps: int = 16, rounds: int = 1) -> Motion:
    """Return three saccades along an isosceles triangle (Orchard et al. 2015), each of `steps` straight pieces.

    The triangle is `amplitude` pixels wide and high, its middle is the middle of the sensor. A saccade takes a third of
    `duration_us`, starts and ends at rest and goes as (1 - cos) / 2 between. `rounds` repeats all three, as the closed
    loops of CIFAR10-DVS (Li et al. 2017) do: then every round shows the same motion.

    >>> motion = saccades(amplitude=2.0, steps=2)
    >>> motion.time_us
    (0, 50000, 100000, 150000, 200000, 250000, 300000)
    >>> motion.right
    (-1.0, -0.5, 0.0, 0.5, 1.0, 0.0, -1.0)
    """
    if steps < 1 or duration_us < 3 * steps or rounds < 1:
        raise NeurokdError(
            f"saccades: {rounds} rounds, {steps} steps each in {duration_us} us, allowed are 1 and more of at least "
            "1 us; change one"
        )
    triangle = np.array([[0.0, 0.5], [0.5, -0.5], [-0.5, -0.5]])
    corners = np.concatenate([triangle[-1:], *([triangle] * rounds)]) * amplitude
    times = [number * duration_us // (3 * steps) for number in range(3 * steps * rounds + 1)]
    way = (1 - np.cos(np.pi * np.arange(1, steps + 1) / steps)) / 2
    legs = [start + way[:, None] * (stop - start) for start, stop in pairwise(corners)]
    places = np.round(np.concatenate([corners[:1], *legs]), 9)
    return Motion(tuple(times), tuple(places[:, 0].tolist()), tuple(places[:, 1].tolist()))


def simulate(
    images: Array,
    motion: Motion,
    sensor: tuple[int, int],
    settings: PixelSettings | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    batch: int = BATCH,
) -> list[Events]:
    """Return one recording per image of `[N, h, w]` (uint8), shown in the middle of a sensor (height, width).

    Around the image it is black; between pixels the light is interpolated bilinearly. `seed` gives the mismatch of the
    sensor, `seed` and an image's number in `ids` (0..N-1 without it) its noise: the same image with the same number
    has the same recording, whatever stands beside it and whatever `batch` is. Events are in the order of time, then of
    rows. Raises NeurokdError for other images, for one larger than the sensor and for one that gives no event.

    >>> step = np.array([[[0, 255]]], np.uint8)
    >>> once = Motion(time_us=(0, 1000), right=(0.0, -1.0), down=(0.0, 0.0))
    >>> simulate(step, once, sensor=(1, 2), settings=PixelSettings(threshold=2.0))
    [Events(2 events on 1x2 in 0 us)]
    """
    height, width = sensor_size(sensor)
    settings = settings or PixelSettings()
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1] > height or images.shape[2] > width:
        raise NeurokdError(
            f"simulate: images are {images.dtype} {list(images.shape)}, allowed are uint8 [N, h, w] with "
            f"h <= {height} and w <= {width}; convert them or take a larger sensor"
        )
    numbers = list(range(len(images)) if ids is None else ids)
    if len(numbers) != len(images):
        raise NeurokdError(f"simulate: {len(numbers)} ids for {len(images)} images; give one per image")
    if any(not 0 <= number < 2**32 for number in (seed, *numbers)) or batch < 1:
        raise NeurokdError(f"simulate: seed is {seed}, batch {batch}; allowed are seed and ids 0..2^32-1, batch >= 1")
    recordings: list[Events] = []
    for first in range(0, len(images), batch):
        part = slice(first, first + batch)
        recordings += _record(images[part], motion, (height, width), settings, seed, numbers[part])
    return recordings


def _record(
    images: Array, motion: Motion, sensor: tuple[int, int], settings: PixelSettings, seed: int, ids: list[int]
) -> list[Events]:
    """Record one batch: all its pixels together, then noise, then every image for itself in the order of time."""
    pixels = sensor[0] * sensor[1]
    thresholds = np.tile(settings.thresholds(pixels, seed), len(images))
    found = crossings(_light(images, motion, sensor, settings.dark), thresholds, settings.refractory_us)
    duration = motion.time_us[-1]
    noise = [_noise(settings.noise_hz, duration, pixels, seed, number) for number in ids]
    position = np.concatenate([found.position, *(noise[k][0] + k * pixels for k in range(len(ids)))])
    time = np.concatenate([np.rint(found.time_us).astype(np.int64), *(part[1] for part in noise)])
    polarity = np.concatenate([found.polarity, *(part[2] for part in noise)])
    image, pixel = np.divmod(position, pixels)
    order = np.argsort((image * (duration + 1) + time) * pixels + pixel, kind="stable")
    cuts = np.searchsorted(image[order], np.arange(len(ids) + 1))
    recordings = []
    for number, start, stop in zip(ids, cuts[:-1], cuts[1:], strict=True):
        if start == stop:
            raise NeurokdError(
                f"simulate: image {number} gives no event; leave it out, lower the threshold or move it further"
            )
        events = order[start:stop]
        y, x = np.divmod(pixel[events], sensor[1])
        recordings.append(Events(time[events], x, y, polarity[events], sensor))
    return recordings


def _light(images: Array, motion: Motion, sensor: tuple[int, int], dark: float) -> Iterator[tuple[float, Array]]:
    """Yield time and logarithm of the light, `[N * H * W]`, at every moment of the motion."""
    margin = int(np.ceil(np.abs([*motion.right, *motion.down]).max())) + 1
    height, width = sensor
    top, left = (height - images.shape[1]) // 2 + margin, (width - images.shape[2]) // 2 + margin
    scene = np.full((len(images), height + 2 * margin, width + 2 * margin), dark)
    scene[:, top : top + images.shape[1], left : left + images.shape[2]] += images / 255
    for time, right, down in zip(motion.time_us, motion.right, motion.down, strict=True):
        rows = _shifted(scene, 1, margin - down, height)
        yield float(time), np.log(_shifted(rows, 2, margin - right, width)).ravel()


def _shifted(scene: Array, axis: int, start: float, size: int) -> Array:
    """Return `size` values along `axis` from the broken index `start` on, interpolated between neighbours."""
    whole = int(np.floor(start))
    part = start - whole
    here: list[slice] = [slice(None)] * 3
    there = list(here)
    here[axis], there[axis] = slice(whole, whole + size), slice(whole + 1, whole + 1 + size)
    values: Array = scene[tuple(here)]
    return values if part == 0 else values * (1 - part) + scene[tuple(there)] * part


def _noise(noise_hz: float, duration_us: int, pixels: int, seed: int, number: int) -> tuple[Array, Array, Array]:
    """Return position, time and polarity of the noise of one recording."""
    if noise_hz == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8)
    generator = np.random.RandomState([seed, number])
    count = int(generator.poisson(noise_hz * pixels * duration_us / 1e6))
    place, time = generator.randint(0, pixels, count), generator.randint(0, duration_us + 1, count)
    return place, time, generator.randint(0, 2, count).astype(np.uint8)
