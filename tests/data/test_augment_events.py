"""The augmentation of event frames is deterministic, keeps counts, and varies each recording on its own."""

import time

import pytest
import torch
from pydantic import ValidationError

from neurokd.data.augment_config import AugmentConfig
from neurokd.data.augment_events import augment_events
from neurokd.errors import NeurokdError

ALONE = AugmentConfig(nda=True, flip=True, shift=2, cutout=3, temporal_crop=2)
ALL = AugmentConfig(nda=True, flip=True, shift=2, cutout=3, temporal_crop=2, mix=0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def frames() -> torch.Tensor:
    """Recordings `[16, 7, 2, 10, 12]`; frame t has counts 10 t + 1 to 10 t + 9."""
    counts = torch.randint(1, 10, (16, 7, 2, 10, 12), dtype=torch.uint8, generator=generator(9))
    return counts + 10 * torch.arange(7, dtype=torch.uint8)[:, None, None, None]


LABELS = torch.arange(16) % 4


def varied(frames: torch.Tensor, config: AugmentConfig, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return augment_events(frames, LABELS[: len(frames)], config, generator(seed), classes=4)


def test_nothing_asked_changes_nothing(frames: torch.Tensor) -> None:
    out, labels = varied(frames, AugmentConfig())
    assert torch.equal(out, frames) and torch.equal(labels, LABELS) and labels.dtype == torch.int64


def test_the_argument_is_not_changed(frames: torch.Tensor) -> None:
    before = frames.clone()
    varied(frames, ALL)
    assert torch.equal(frames, before)


def test_the_generator_decides_and_the_global_one_is_left_alone(frames: torch.Tensor) -> None:
    state = torch.get_rng_state()
    first, again, other = (varied(frames, ALL, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_types_and_shapes(frames: torch.Tensor) -> None:
    for config, kind in ((ALONE, torch.int64), (ALL, torch.float32)):
        out, labels = varied(frames, config)
        assert out.shape == (16, 5, 2, 10, 12) and out.dtype == torch.uint8 and labels.dtype == kind
    assert varied(frames[:0], ALL)[0].shape == (0, 5, 2, 10, 12)
    assert varied(frames[:, :, :1], ALL)[0].shape == (16, 5, 1, 10, 12)


def test_a_recording_does_not_depend_on_the_others_unless_mixed(frames: torch.Tensor) -> None:
    others = frames.clone()
    others[1:] = 0
    assert torch.equal(varied(frames, ALONE)[0][0], varied(others, ALONE)[0][0])


@pytest.mark.parametrize("key", ["nda", "flip", "shift", "cutout"])
def test_all_frames_of_a_recording_are_varied_alike_and_recordings_differently(key: str) -> None:
    still = torch.arange(1, 121, dtype=torch.uint8).reshape(1, 1, 1, 10, 12).repeat(16, 5, 2, 1, 1)
    out = varied(still, AugmentConfig(**{key: 3 if key in ("shift", "cutout") else True}))[0]
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert len({recording.numpy().tobytes() for recording in out}) >= (2 if key == "flip" else 8)


def test_one_variation_does_not_change_another(frames: torch.Tensor) -> None:
    """Numbers are drawn whether they are used or not: the square is at the same place with and without NDA."""
    plain, flipped = varied(frames, AugmentConfig(cutout=3))[0], varied(frames, AugmentConfig(nda=True))[0]
    assert torch.equal(varied(frames, AugmentConfig(cutout=3, temporal_crop=2))[0] == 0, plain[:, :5] == 0)
    both = varied(frames, AugmentConfig(nda=True, cutout=3))[0]
    assert torch.equal(torch.where(both == 0, flipped, both), flipped)


def test_the_windows_in_time_are_consecutive_and_all_occur(frames: torch.Tensor) -> None:
    many = frames.repeat(4, 1, 1, 1, 1)
    out = augment_events(many, LABELS.repeat(4), AugmentConfig(temporal_crop=2), generator(), classes=4)[0]
    starts = (out[:, 0, 0, 0, 0] // 10).tolist()
    assert set(starts) == {0, 1, 2}
    for recording, kept, start in zip(many, out, starts, strict=True):
        assert torch.equal(kept, recording[start : start + 5])


@pytest.mark.parametrize("crop", [7, 8])
def test_no_frame_left_is_refused(frames: torch.Tensor, crop: int) -> None:
    with pytest.raises(NeurokdError, match=f"temporal_crop is {crop}, allowed is less than the 7 frames"):
        varied(frames, AugmentConfig(temporal_crop=crop))


@pytest.mark.parametrize(
    ("key", "value"), [("mix", 1.5), ("mix", -0.1), ("temporal_crop", -1), ("shift", -1), ("mixup", 0.5)]
)
def test_bad_keys_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        AugmentConfig(**{key: value})


@pytest.mark.parametrize("key", ["nda", "flip", "shift", "cutout", "mix", "temporal_crop"])
def test_every_key_makes_it_active(key: str) -> None:
    assert AugmentConfig(**{key: 1}).active and not AugmentConfig(**{key: 0}).active


def test_a_batch_of_48x48_recordings_is_quick() -> None:
    frames, stream = torch.ones(64, 10, 2, 48, 48, dtype=torch.uint8), generator()
    config = AugmentConfig(nda=True, mix=0.5)
    start = time.process_time()
    augment_events(frames, torch.zeros(64, dtype=torch.int64), config, stream, classes=10)
    assert time.process_time() - start < 0.5  # measured: 0.01 s
