"""Edges that move give the events that a pencil gives; the same seed gives the same recording."""

import dataclasses
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.data.digits import load_digits
from neurokd.errors import NeurokdError
from neurokd.events.digits import digits_dvs
from neurokd.events.frames import FrameSettings, frames_of
from neurokd.events.pixels import PixelSettings, crossings
from neurokd.events.recording import Events
from neurokd.events.sets import EventData
from neurokd.events.simulate import Motion, saccades, simulate

STEP = np.repeat(np.array([[[0, 0, 255, 255]]], np.uint8), 3, axis=1)
RANGE = log(1.1 / 0.1)  # from black to white with the light `dark` = 0.1
IMAGES = np.random.RandomState(0).randint(0, 256, (5, 6, 6)).astype(np.uint8)
NOISY = PixelSettings(mismatch=0.1, refractory_us=200, noise_hz=20)
BACK_AND_FORTH = Motion((0, 5000, 9000, 20000), (0.0, 1.5, 1.5, 0.0), (0.0, -0.5, 1.0, 0.0))


def listed(events: Events) -> list[tuple[int, int, int, int]]:
    """The events as (t, x, y, p)."""
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def test_an_edge_that_moves_one_pixel_to_the_left_brightens_one_column_and_darkens_another() -> None:
    motion = Motion((0, 1000), (0.0, -1.0), (0.0, 0.0))
    (events,) = simulate(STEP, motion, (3, 4), PixelSettings(threshold=1.0))
    first, second = round(1000 / RANGE), round(2000 / RANGE)
    edges = [(1, 1), (3, 0)]  # the white enters column 1; behind the image's last column comes the black around it
    assert listed(events) == [(t, x, y, p) for t in (first, second) for y in range(3) for x, p in edges]


def test_an_edge_that_moves_down_is_seen_by_one_row() -> None:
    image = np.array([[[255, 255], [0, 0], [0, 0], [0, 0]]], np.uint8)
    (events,) = simulate(image, Motion((0, 500), (0.0, 0.0), (0.0, 1.0)), (4, 2), PixelSettings(threshold=2.0))
    assert listed(events) == [(round(1000 / RANGE), x, y, p) for y, p in ((0, 0), (1, 1)) for x in (0, 1)]


def test_the_time_of_a_crossing_is_interpolated_and_the_level_stays_at_it() -> None:
    light = [(0.0, np.array([0.0])), (10.0, np.array([0.9])), (20.0, np.array([1.1])), (30.0, np.array([-0.9]))]
    found = crossings(light, thresholds=np.array([1.0]))
    assert found.time_us == pytest.approx([15.0, 20 + 10 * 1.1 / 2.0])  # up through 1, down through 0
    assert found.polarity.tolist() == [1, 0]


def test_every_pixel_has_its_threshold() -> None:
    found = crossings([(0, np.zeros(3)), (6, np.full(3, 6.0))], thresholds=np.array([2.0, 3.0, 7.0]))
    assert sorted(zip(found.position.tolist(), found.time_us.tolist(), strict=True)) == [
        (0, 2.0), (0, 4.0), (0, 6.0), (1, 3.0), (1, 6.0),
    ]  # fmt: skip


def test_a_pixel_is_silent_after_an_event_and_loses_what_it_crosses() -> None:
    light = [(0, np.zeros(1)), (60, np.full(1, 6.0)), (70, np.full(1, 5.0))]
    found = crossings(light, thresholds=np.ones(1), refractory_us=25)
    assert found.time_us.tolist() == [10, 40, 70]
    assert found.polarity.tolist() == [1, 1, 0]


def test_no_light_changes_no_event() -> None:
    assert len(crossings([(0, np.ones(4)), (9, np.ones(4))], np.ones(4)).position) == 0
    assert len(crossings([(0, np.ones(4))], np.ones(4)).position) == 0
    with pytest.raises(NeurokdError, match="image 8 gives no event; leave it out"):
        simulate(np.zeros((1, 4, 4), np.uint8), saccades(), (6, 6), ids=[8])


@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 6), order=st.permutations(range(5)), seed=st.integers(0, 2**32 - 1))
def test_a_recording_depends_on_seed_and_number_alone(batch: int, order: list[int], seed: int) -> None:
    all_at_once = simulate(IMAGES, BACK_AND_FORTH, (8, 9), NOISY, seed)
    shuffled = simulate(IMAGES[order], BACK_AND_FORTH, (8, 9), NOISY, seed, ids=order, batch=batch)
    assert [r.fingerprint() for r in shuffled] == [all_at_once[number].fingerprint() for number in order]


def test_another_seed_is_another_recording() -> None:
    first, second = (simulate(IMAGES, BACK_AND_FORTH, (8, 8), NOISY, seed) for seed in (1, 2))
    assert all(one.fingerprint() != other.fingerprint() for one, other in zip(first, second, strict=True))
    clean = [simulate(IMAGES, BACK_AND_FORTH, (8, 8), seed=seed)[0].fingerprint() for seed in (1, 2)]
    assert clean[0] == clean[1]


def test_noise_comes_at_its_rate_and_does_not_repeat() -> None:
    black = np.zeros((2, 30, 30), np.uint8)
    first, second = simulate(black, Motion((0, 10**6), (0, 0), (0, 0)), (30, 30), PixelSettings(noise_hz=5))
    assert abs(len(first) - 4500) < 5 * 4500**0.5
    assert abs(first.p.mean() - 0.5) < 0.05
    assert first.fingerprint() != second.fingerprint()


def test_mismatch_is_that_of_the_sensor() -> None:
    drawn = PixelSettings(threshold=0.2, mismatch=0.1).thresholds(10_000, seed=3)
    assert drawn.mean() == pytest.approx(0.2, rel=0.01)
    assert drawn.std() == pytest.approx(0.02, rel=0.05)
    assert PixelSettings(threshold=0.2, mismatch=9.0).thresholds(100, seed=3).min() == pytest.approx(0.02)
    assert set(PixelSettings(threshold=0.2).thresholds(100, seed=3)) == {0.2}


def test_three_saccades_go_round_a_triangle() -> None:
    motion = saccades(amplitude=3.0, duration_us=90, steps=10)
    corners = [(motion.time_us[k], motion.right[k], motion.down[k]) for k in (0, 10, 20, 30)]
    assert corners == [(0, -1.5, -1.5), (30, 0.0, 1.5), (60, 1.5, -1.5), (90, -1.5, -1.5)]
    assert len(motion.time_us) == 31


def test_rounds_show_the_same_motion_again() -> None:
    once, twice = saccades(steps=10), saccades(steps=10, rounds=2)
    assert twice.right[:31] == once.right and twice.right[30:] == once.right
    assert twice.down[:31] == once.down and twice.down[30:] == once.down
    assert twice.time_us[30:] == tuple(time + 300_000 for time in once.time_us)


WRONG: dict[str, tuple[Any, str]] = {
    "float images": (lambda: simulate(np.zeros((1, 4, 4)), saccades(), (8, 8)), "images are float64"),
    "small sensor": (lambda: simulate(IMAGES, saccades(), (6, 5)), r"\[5, 6, 6\], allowed .* w <= 5"),
    "ids": (lambda: simulate(IMAGES, saccades(), (6, 6), ids=[1]), "1 ids for 5 images"),
    "seed": (lambda: simulate(IMAGES, saccades(), (6, 6), seed=-1), "seed is -1"),
    "threshold": (lambda: PixelSettings(threshold=0), "threshold is 0"),
    "noise": (lambda: PixelSettings(noise_hz=-1), "noise_hz is -1"),
    "dark": (lambda: PixelSettings(dark=float("nan")), "dark is nan"),
    "steps": (lambda: saccades(steps=0), "0 steps"),
    "rounds": (lambda: saccades(rounds=0), "0 rounds"),
    "lengths": (lambda: Motion((0, 1), (0.0,), (0.0, 1.0)), "give two or more, as many of each"),
    "times": (lambda: Motion((0, 5, 5), (0.0,) * 3, (0.0,) * 3), "do not rise from 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_simulated_is_refused(name: str) -> None:
    call, message = WRONG[name]
    with pytest.raises(NeurokdError, match=message):
        call()


@pytest.fixture(scope="module")
def digits() -> EventData:
    """The digits through the sensor."""
    return digits_dvs(seed=0)


def test_digits_have_the_split_of_the_images_and_share_no_source(digits: EventData) -> None:
    images = load_digits()
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.train.labels.tolist() == images.train.labels.tolist()
    assert digits.test.labels.tolist() == images.test.labels.tolist()
    sources = [*digits.train.sample_ids.tolist(), *digits.test.sample_ids.tolist()]
    assert sorted(sources) == list(range(1797))
    pixels = {part: {image.numpy().tobytes() for image in getattr(images, part).images} for part in ("train", "test")}
    assert not pixels["train"] & pixels["test"]


def test_digits_resemble_nmnist_and_tell_the_classes_apart(digits: EventData) -> None:
    sizes = [len(recording) for recording in digits.test]
    assert 2500 < np.mean(sizes) < 6000  # N-MNIST: 4,100
    chosen = FrameSettings(3, "time", size=(17, 17), counting="sum")
    train, test = (frames_of(part, chosen).reshape(len(part), -1).astype(float) for part in (digits.train, digits.test))
    means = np.stack([train[digits.train.labels == digit].mean(0) for digit in range(10)])
    nearest = np.linalg.norm(test[:, None] - means, axis=2).argmin(1)
    assert np.mean(nearest == digits.test.labels) > 0.8


def test_event_data_is_of_one_sensor(digits: EventData) -> None:
    with pytest.raises(NeurokdError, match=r"sensor: \(34, 34\) in training, \(40, 40\) in test"):
        EventData("mixed", digits.train, dataclasses.replace(digits.test, sensor=(40, 40)))
