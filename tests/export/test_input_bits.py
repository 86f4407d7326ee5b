"""Images shown with fewer bits than they are stored with: the same integers for every runner."""

from pathlib import Path

import numpy as np
import pytest

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.inputs import PIXELS

SEVEN = InputSpec((1, 1, 4), "graded", maximum=127, shift=1)


def test_the_last_bits_are_rounded_and_the_largest_value_stays_inside() -> None:
    """Halves of 0, 1, 2, 3 are 0, 0.5, 1, 1.5: halves go up; 255 / 2 would be 128, which 7 bits have not."""
    images = np.array([0, 1, 2, 3, 253, 254, 255, 100], np.uint8).reshape(2, 1, 1, 4)
    assert SEVEN.encode(images).ravel().tolist() == [0, 1, 1, 2, 127, 127, 127, 50]
    six = InputSpec((1, 1, 4), "graded", maximum=63, shift=2)
    assert six.encode(images).ravel().tolist() == [0, 0, 1, 1, 63, 63, 63, 25]


def test_the_constant_plane_is_not_shifted() -> None:
    widened = InputSpec((2, 1, 4), "graded", 255, 127, 1)
    assert widened.encode(np.full((1, 1, 1, 4), 9, np.uint8))[0, 0].tolist() == [[[5, 5, 5, 5]], [[255, 255, 255, 255]]]


def test_what_is_stored_may_reach_the_stored_maximum() -> None:
    counts = InputSpec((1, 1, 4), "graded", maximum=7, shift=1)
    assert counts.stored_maximum == 15 and counts.encode(np.full((1, 1, 1, 4), 15)).max() == 7
    with pytest.raises(NeurokdError, match="the largest is 16, allowed is 15"):
        counts.encode(np.full((1, 1, 1, 4), 16))


def test_an_encoding_keeps_what_its_integers_stand_for() -> None:
    """127 of 7 bits stand for 254 / 255."""
    seven = PIXELS.with_bits(7)
    assert (seven.maximum, seven.shift, seven.bits) == (127, 1, 7)
    assert seven.maximum * seven.unit == pytest.approx(254 / 255)
    assert PIXELS.with_bits(8) == PIXELS and seven.with_bits(6) == PIXELS.with_bits(6)


def test_a_file_keeps_them_and_says_nothing_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    for spec in (SEVEN, InputSpec((1, 1, 4), "graded")):
        network = LoihiNetwork(
            spec,
            (Population("out", (2,), np.array(131071)),),
            (Connection("input", "out", np.full((2, 4), 2)),),
            1,
            "out",
        )
        write_network(network, tmp_path / "network.net")
        assert read_network(tmp_path / "network.net").input == spec
        assert (b"input_shift" in (tmp_path / "network.net").read_bytes()) == (spec.shift > 0)
