"""ImageSet and DataSet refuse what cannot be trained on, and their fingerprint sees every pixel."""

import pytest
import torch

from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError


def image_set(count: int = 4, size: int = 6) -> ImageSet:
    images = torch.arange(count * size * size, dtype=torch.uint8).reshape(count, 1, size, size)
    return ImageSet(images, torch.arange(count) % 2)


def test_fingerprint_is_that_of_the_content() -> None:
    assert image_set().fingerprint() == image_set().fingerprint()


def test_fingerprint_changes_with_a_pixel() -> None:
    changed = image_set().images.clone()
    changed[2, 0, 3, 3] += 1
    assert ImageSet(changed, image_set().labels).fingerprint() != image_set().fingerprint()


def test_fingerprint_changes_with_a_label_the_order_and_the_shape() -> None:
    base = image_set()
    order = torch.tensor([1, 0, 2, 3])
    others = [
        ImageSet(base.images, 1 - base.labels),
        base.subset(order),
        ImageSet(base.images.reshape(4, 1, 4, 9), base.labels),
    ]
    assert base.fingerprint() not in {other.fingerprint() for other in others}


def test_fingerprint_ignores_the_memory_layout() -> None:
    base = image_set()
    strided = base.images.to(memory_format=torch.channels_last)
    assert ImageSet(strided, base.labels).fingerprint() == base.fingerprint()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "torch.float32"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "allowed is torch.uint8"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2), "labels: got torch.float32"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "2 images have 3 labels"),
    ],
)
def test_image_set_refuses(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        ImageSet(images, labels)


def test_data_set_knows_the_shape() -> None:
    assert DataSet("toy", image_set(), image_set(), ("a", "b")).shape == (1, 6, 6)


def test_data_set_refuses_two_sizes() -> None:
    with pytest.raises(NeurokdError, match=r"training images are \[1, 6, 6\], test images \[1, 5, 5\]"):
        DataSet("toy", image_set(), image_set(size=5), ("a", "b"))


def test_data_set_refuses_a_label_without_class() -> None:
    with pytest.raises(NeurokdError, match=r"labels run from 0 to 1, allowed is 0\.\.0"):
        DataSet("toy", image_set(), image_set(), ("a",))


def test_data_set_refuses_an_empty_part() -> None:
    with pytest.raises(NeurokdError, match="no test images"):
        DataSet("toy", image_set(), image_set(count=0), ("a", "b"))
