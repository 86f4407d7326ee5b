"""A data root and a cache that belong to one test, and small files in the published formats."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

IDX = {"train": 20, "t10k": 10}


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> Path:
    """Keep the caches of tests out of the user's."""
    return cache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty data root."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def real_root() -> Path:
    """The data root with real data, or a skip."""
    named = os.environ.get("NEUROKD_DATA")
    if not named:
        pytest.skip("NEUROKD_DATA is not set: no real data on this machine")
    return Path(named)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 values in the MNIST format: 0, 0, type 8, dimensions, sizes, values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def idx_root(root: Path) -> Path:
    """Ten-class Fashion-MNIST and MNIST of 20 + 10 images, image k filled with k."""
    for folder in ("FashionMNIST", "MNIST"):
        for part, count in IDX.items():
            images = np.broadcast_to(np.arange(count)[:, None, None], (count, 28, 28))
            write_idx(root / folder / "raw" / f"{part}-images-idx3-ubyte", images)
            write_idx(root / folder / "raw" / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)
    return root


@pytest.fixture
def cifar_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 and CIFAR-100 of 10 images per file, whose checksums are declared to be the published ones."""
    from torchvision.datasets import CIFAR10, CIFAR100
    from torchvision.datasets.utils import calculate_md5

    for kind, label_key, classes in ((CIFAR10, "labels", 10), (CIFAR100, "fine_labels", 100)):
        folder = root / kind.base_folder
        folder.mkdir()
        for listing in ("train_list", "test_list"):
            names = [name for name, _ in getattr(kind, listing)]
            for name in names:
                pixels = np.arange(10 * 3072, dtype=np.int64).reshape(10, 3072) % 251
                content = {"data": pixels.astype(np.uint8), label_key: list(range(10))}
                (folder / name).write_bytes(pickle.dumps(content))
            monkeypatch.setattr(kind, listing, [[name, calculate_md5(str(folder / name))] for name in names])
        meta = folder / kind.meta["filename"]
        meta.write_bytes(pickle.dumps({kind.meta["key"]: [f"class {number}" for number in range(classes)]}))
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": calculate_md5(str(meta))})
    return root


def write_image(path: Path, value: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    """Write one image of `size` (height, width) filled with `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode in ("L", "I;16") else (value,) * len(mode)
    Image.new(mode, (size[1], size[0]), colour).save(path)
    return path


@pytest.fixture
def folder(root: Path) -> Path:
    """An image folder `pets`: training 3 cats (1..3) and 3 dogs (11..13), test 1 cat (4) and 1 dog (14)."""
    pets = root / "pets"
    for number in (3, 1, 2):
        write_image(pets / "train" / "dog" / f"{number}.png", 10 + number)
        write_image(pets / "train" / "cat" / f"{number}.png", number)
    write_image(pets / "test" / "cat" / "4.png", 4)
    write_image(pets / "test" / "dog" / "4.png", 14)
    return pets


@pytest.fixture
def arrays(root: Path) -> Path:
    """An arrays folder `toy`: 12 training and 4 test images `[3, 8, 8]` in 4 classes, stored as `[N, H, W, C]`."""
    toy = root / "toy"
    toy.mkdir()
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        images = generator.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        np.savez(toy / f"{part}.npz", images=images, labels=np.arange(count) % 4)
    return toy
