"""The data part of a recipe refuses what makes no sense, and looks for data where it says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from neurokd.cache import cache_dir
from neurokd.data.augment_config import AugmentConfig
from neurokd.data.config import DataConfig
from neurokd.data.dataset import LOADERS, load_dataset
from neurokd.data.root import data_root
from neurokd.errors import NeurokdError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "imagenet"}, "Input should be 'digits'"),
        ({"name": "digits", "validation": 0}, "greater than 0"),
        ({"name": "digits", "validation": 1}, "less than 1"),
        ({"name": "digits", "train_samples": 0}, "greater than or equal to 1"),
        ({"name": "digits", "sampels": 5}, "Extra inputs are not permitted"),
        ({"name": "digits", "path": "x"}, "takes no `path`"),
        ({"name": "arrays"}, "needs `path`"),
        ({"name": "image-folder"}, "needs `path`"),
        ({"name": "arrays", "path": "x", "image_size": 8}, "only image-folder resizes"),
        ({"name": "image-folder", "path": "x", "image_size": 0}, "greater than or equal to 1"),
        ({"name": "digits", "augment": {"shift": -1}}, "greater than or equal to 0"),
        ({"name": "digits", "augment": {"mirror": True}}, "Extra inputs are not permitted"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataConfig(**options)


def test_a_config_survives_json() -> None:
    config = DataConfig(name="image-folder", path=Path("pets"), image_size=(8, 6), augment=AugmentConfig(shift=2))
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


def test_every_name_has_a_loader_and_an_entry() -> None:
    from neurokd.data.catalogue import CATALOGUE

    names = set(DataConfig.model_fields["name"].annotation.__args__)  # type: ignore[union-attr]
    assert set(LOADERS) == set(CATALOGUE) == names


def test_the_argument_beats_the_variable_beats_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUROKD_DATA", raising=False)
    assert data_root() == cache_dir() / "data" == tmp_path / "cache" / "data"
    monkeypatch.setenv("NEUROKD_DATA", str(tmp_path / "shelf"))
    assert data_root() == tmp_path / "shelf"
    assert data_root(tmp_path / "mine") == tmp_path / "mine"


def test_without_a_variable_the_cache_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUROKD_CACHE")
    assert cache_dir().name == "neurokd" and cache_dir().is_absolute()


def test_digits_are_complete_and_always_divided_alike() -> None:
    digits = load_dataset(DataConfig(name="digits"))
    assert (len(digits.train), len(digits.test), digits.shape) == (1437, 360, (1, 16, 16))
    assert np.ptp(np.bincount(digits.test.labels)) <= 2  # 174 to 183 images per digit
    assert (int(digits.train.images.min()), int(digits.train.images.max())) == (0, 255)
    assert digits.test.fingerprint() == load_dataset(DataConfig(name="digits")).test.fingerprint()
    train = {image.numpy().tobytes() for image in digits.train.images}
    assert not any(image.numpy().tobytes() in train for image in digits.test.images)


def test_train_samples_is_a_fixed_stratified_choice() -> None:
    few = load_dataset(DataConfig(name="digits", train_samples=100))
    again = load_dataset(DataConfig(name="digits", train_samples=100))
    assert len(few.train) == 100 and len(few.test) == 360
    assert np.ptp(np.bincount(few.train.labels)) <= 1
    assert few.train.fingerprint() == again.train.fingerprint()


@pytest.mark.parametrize("samples", [9, 1438])
def test_train_samples_out_of_range(samples: int) -> None:
    with pytest.raises(NeurokdError, match=rf"train_samples is {samples}, allowed is 10 \(one per class\) to 1437"):
        load_dataset(DataConfig(name="digits", train_samples=samples))


def test_a_missing_folder_is_named_with_the_data_root(root: Path) -> None:
    with pytest.raises(NeurokdError, match=f"there is no folder '{root / 'pets'}'.*data root: '{root}'"):
        load_dataset(DataConfig(name="arrays", path=Path("pets")), root)


def test_a_path_may_be_absolute(arrays: Path, tmp_path: Path) -> None:
    assert len(load_dataset(DataConfig(name="arrays", path=arrays), tmp_path / "elsewhere").train) == 12
