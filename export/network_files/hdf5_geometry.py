"""Shapes, pairs and counts of a network file, bounded before anything is built from them."""

import math

from neurokd.errors import NeurokdError
from neurokd.export.network_files.hdf5_fields import Fields

MAX_NEURONS = 1 << 30  # in one population; a chip has 2^20


def read_shape(group: Fields, key: str = "shape") -> tuple[int, ...]:
    """The dataset `key` as one to three positive sizes, `(C, H, W)` or `(N,)`."""
    sizes = tuple(int(size) for size in group.integers(key).flat)
    if len(sizes) not in (1, 2, 3) or min(sizes) < 1 or math.prod(sizes) > MAX_NEURONS:
        raise NeurokdError(
            f"{group.where}/{key}: {sizes[:8]}, allowed is (C, H, W) or (N,) of 1..{MAX_NEURONS} neurons"
        )
    return sizes


def read_pair(group: Fields, key: str, least: int) -> tuple[int, int]:
    """The dataset `key` as `(height, width)`; one number stands for both."""
    values = [int(value) for value in group.integers(key).flat]
    if len(values) not in (1, 2) or min(values) < least:
        raise NeurokdError(f"{group.where}/{key}: {values[:8]}, allowed are one or two numbers from {least} on")
    return values[0], values[-1]


def read_members(group: Fields, most: int) -> list[Fields]:
    """The sub-groups "0".."n-1" in order, 1..`most` of them."""
    count = len(group.group)
    if not 1 <= count <= most:
        raise NeurokdError(f"{group.where}: {count} members, allowed is 1..{most}")
    return [group.child(str(index)) for index in range(count)]
