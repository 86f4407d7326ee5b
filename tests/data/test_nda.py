"""NDA moves pixels as torchvision does, one recording at a time, and varies each recording on its own."""

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from neurokd.data.nda import NUMBERS, OPERATIONS, nda

KEPT = 0.75  # of the number that mirrors where it is below 1/2
OPERATION, MIRROR, DOWN, RIGHT, ANGLE, SLOPE, CENTRE_Y, CENTRE_X, SIDE = range(NUMBERS)


def frames(batch: int, height: int = 48, width: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(1, 256, (batch, 3, 2, height, width), dtype=torch.uint8, generator=generator)


def numbers(operation: str, batch: int, mirror: float = KEPT) -> torch.Tensor:
    uniform = torch.rand((NUMBERS, batch), generator=torch.Generator().manual_seed(1))
    uniform[OPERATION], uniform[MIRROR] = (OPERATIONS.index(operation) + 0.5) / len(OPERATIONS), mirror
    return uniform


@pytest.mark.parametrize(("height", "width"), [(48, 48), (20, 33)])
def test_rotation_is_that_of_torchvision(height: int, width: int) -> None:
    before, uniform = frames(24, height, width), numbers("rotation", 24)
    for old, new, number in zip(before, nda(before, uniform), uniform[ANGLE].tolist(), strict=True):
        assert torch.equal(new, tv.rotate(old, angle=60 * number - 30))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (20, 33)])
def test_shear_is_that_of_torchvision(height: int, width: int) -> None:
    before, uniform = frames(24, height, width), numbers("shear", 24)
    for old, new, number in zip(before, nda(before, uniform), uniform[SLOPE].tolist(), strict=True):
        sheared = tv.affine(old, angle=0.0, translate=[0, 0], scale=1.0, shear=[60 * number - 30, 0.0])
        assert torch.equal(new, sheared)


def test_roll_is_that_of_torch_and_reaches_five_pixels_of_48() -> None:
    before, uniform = frames(200), numbers("roll", 200)
    shifts = torch.floor(uniform[[DOWN, RIGHT]] * 11).long() - 5
    assert set(shifts[0].tolist()) == set(range(-5, 6))
    for old, new, shift in zip(before, nda(before, uniform), shifts.T.tolist(), strict=True):
        assert torch.equal(new, old.roll(shift, dims=(-2, -1)))


def test_cutout_clears_a_square_of_one_to_eight_pixels_in_all_frames() -> None:
    before, uniform = frames(200), numbers("cutout", 200)
    uniform[[CENTRE_Y, CENTRE_X]] = 0.25 + uniform[[CENTRE_Y, CENTRE_X]] / 2  # away from the edge
    after, sides = nda(before, uniform), set()
    for old, new in zip(before, after, strict=True):
        cleared = new[0, 0] == 0
        assert torch.equal(new, old * ~cleared)
        assert cleared.any(dim=0).sum() == cleared.any(dim=1).sum() == math.isqrt(int(cleared.sum()))
        sides.add(math.isqrt(int(cleared.sum())))
    assert sides == set(range(1, 9))


def test_the_square_lies_where_its_numbers_say() -> None:
    uniform = numbers("cutout", 1)
    uniform[[CENTRE_Y, CENTRE_X, SIDE], 0] = torch.tensor([10.5 / 48, 1.5 / 48, 3.5 / 8])  # row 10, column 1, side 4
    cleared = nda(frames(1), uniform)[0, 0, 0] == 0
    expected = torch.zeros(48, 48, dtype=torch.bool)
    expected[8:12, 0:3] = True  # the left edge clips one column
    assert torch.equal(cleared, expected)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_mirror_comes_before_the_operation(operation: str) -> None:
    before = frames(8)
    mirrored, kept = numbers(operation, 8, mirror=0.25), numbers(operation, 8)
    assert torch.equal(nda(before, mirrored), nda(before.flip(-1), kept))


def test_a_quarter_of_the_recordings_meets_each_operation() -> None:
    before = frames(1).expand(400, -1, -1, -1, -1)
    uniform = numbers("roll", 400)
    uniform[OPERATION] = torch.arange(400) / 400
    one_by_one = torch.cat([nda(before[:100], numbers(name, 400)[:, 100 * k : 100 * k + 100])
                            for k, name in enumerate(OPERATIONS)])  # fmt: skip
    assert torch.equal(nda(before, uniform), one_by_one)


def test_small_frames_and_no_recordings() -> None:
    assert nda(frames(64, 3, 2), torch.rand(NUMBERS, 64)).shape == (64, 3, 2, 3, 2)
    assert nda(frames(2)[:0], torch.rand(NUMBERS, 0)).shape == (0, 3, 2, 48, 48)
