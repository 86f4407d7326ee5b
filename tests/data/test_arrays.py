"""Arrays are read in three layouts; every broken file gives one error with the file and the key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurokd.data.arrays import load_arrays
from neurokd.errors import NeurokdError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def test_channels_last_and_first_are_the_same_data(arrays: Path) -> None:
    last = load_arrays(arrays)
    for part in ("train", "test"):
        with np.load(arrays / f"{part}.npz") as content:
            images, labels = content["images"], content["labels"]
        np.savez(arrays / f"{part}.npz", images=images.transpose(0, 3, 1, 2), labels=labels)
    first = load_arrays(arrays)
    assert last.shape == (3, 8, 8)
    assert torch.equal(last.train.images, first.train.images)
    assert last.classes == ("0", "1", "2", "3")


def test_grey_images_need_no_channel_axis(arrays: Path) -> None:
    for part in ("train", "test"):
        np.savez_compressed(arrays / f"{part}.npz", images=IMAGES[..., 0], labels=LABELS.astype(np.uint8))
    data = load_arrays(arrays)
    assert data.shape == (1, 8, 8)
    assert np.array_equal(data.train.images[:, 0].numpy(), IMAGES[..., 0])


def test_classes_may_be_named(arrays: Path) -> None:
    np.savez(arrays / "train.npz", images=IMAGES, labels=LABELS, classes=np.array(["cat", "dog", "emu", "fox"]))
    assert load_arrays(arrays).classes == ("cat", "dog", "emu", "fox")


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"images": None}, "images", r"missing, the file has \['labels'\]"),
        ({"labels": None}, "labels", r"missing, the file has \['images'\]"),
        ({"images": IMAGES.astype(np.float32)}, "images", "got float32, allowed is uint8"),
        ({"images": np.full((6, 8, 8, 3), np.nan)}, "images", "got float64 with NaN"),
        ({"images": IMAGES.astype(np.int64)}, "images", "got int64"),
        ({"images": np.array([IMAGES[0], None], dtype=object)}, "images", "cannot be read.*allow_pickle=False"),
        ({"images": IMAGES.reshape(6, -1)}, "images", r"got shape \[6, 192\]"),
        ({"images": IMAGES[0, 0, 0, 0]}, "images", r"got shape \[\]"),
        ({"images": IMAGES.reshape(6, 8, 6, 4)[:, :4]}, "images", "more than one reading"),
        ({"images": np.zeros((6, 8, 8, 8), np.uint8)}, "images", "no axis of at most 4 channels"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "images", r"shape \[0, 3, 8, 8\] has no pixel"),
        ({"labels": LABELS[:5]}, "labels", "got 5 for 6 images"),
        ({"labels": LABELS - 1}, "labels", "got -1, allowed is 0 and more"),
        ({"labels": LABELS * 1.0}, "labels", r"got float64 \[6\], allowed are integers"),
        ({"labels": LABELS * np.nan}, "labels", r"got float64 with NaN"),
        ({"labels": LABELS.reshape(2, 3)}, "labels", r"got int64 \[2, 3\]"),
        ({"labels": np.array(["a"] * 6)}, "labels", "got <U1"),
        ({"labels": np.array([None] * 6)}, "labels", "cannot be read"),
        ({"labels": LABELS * 10**9}, "labels", "class 1 has no training image"),
        ({"labels": np.full(6, 2**64 - 1, np.uint64)}, "labels", "class 0 has no training image"),
        ({"classes": np.array(["a", "b"])}, "labels", r"got 2, allowed is 0\.\.1 for 2 classes"),
        ({"classes": np.array([1, 2, 3])}, "classes", "allowed are strings"),
    ],
)
def test_a_bad_training_file_is_named_with_its_key(
    arrays: Path, change: dict[str, Any], key: str, message: str
) -> None:
    content = {"images": IMAGES, "labels": LABELS, **change}
    path = arrays / "train.npz"
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(NeurokdError, match=f"'{path}', key '{key}': .*{message}"):
        load_arrays(arrays)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, np.array([0, 1, 2, 3, 4, 4]), r"key 'labels': got 4, allowed is 0\.\.3"),
        (IMAGES[:, :7], LABELS, r"key 'images': got \[3, 7, 8\] \[C, H, W\]; train.npz has \[3, 8, 8\]"),
    ],
)
def test_a_test_file_must_fit_the_training_file(
    arrays: Path, images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    np.savez(arrays / "test.npz", images=images, labels=labels)
    with pytest.raises(NeurokdError, match=message):
        load_arrays(arrays)


def test_a_missing_file_is_named(arrays: Path) -> None:
    (arrays / "test.npz").unlink()
    with pytest.raises(NeurokdError, match=f"'{arrays / 'test.npz'}' is missing"):
        load_arrays(arrays)


@pytest.mark.parametrize("keep", [0, 1, 3, 100, 1000, -200, -1])
def test_a_truncated_file_is_named(arrays: Path, keep: int) -> None:
    path = arrays / "train.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NeurokdError, match=f"'{path}', key '.*': cannot be read"):
        load_arrays(arrays)


def test_any_flipped_byte_is_an_error_or_the_same_data(arrays: Path) -> None:
    path = arrays / "train.npz"
    good, whole = path.read_bytes(), load_arrays(arrays).train.fingerprint()
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
        try:
            assert load_arrays(arrays).train.fingerprint() == whole
        except NeurokdError as error:
            assert str(path) in str(error)


def test_a_single_array_is_refused(arrays: Path) -> None:
    with (arrays / "train.npz").open("wb") as handle:
        np.save(handle, IMAGES)
    with pytest.raises(NeurokdError, match="this is a single array"):
        load_arrays(arrays)


def test_real_arrays(real_root: Path) -> None:
    folder = real_root / "cifar10-lossless5k"
    if not folder.is_dir():
        pytest.skip(f"no '{folder}'")
    data = load_arrays(folder)
    assert (len(data.train), len(data.test), data.shape, len(data.classes)) == (4000, 1000, (3, 32, 32), 10)
