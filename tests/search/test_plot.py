"""The plot is valid SVG with a line for each subnet, in the order of accuracy."""

import xml.etree.ElementTree as ET

import pytest

from neurokd.search.plot import BOTTOM, TOP, parallel_coordinates
from neurokd.search.space import Space
from neurokd.search.trials import Trial

SPACE = Space(channels=[[4, 8], [8, 16]], depths=[[1, 2, 3], [1, 2]])
SVG = "{http://www.w3.org/2000/svg}"


def trials(wrong: list[int]) -> list[Trial]:
    return [Trial("random", SPACE.subnet(index), 1, 1, 100, tuple(range(n))) for index, n in enumerate(wrong)]


def lines(drawn: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Class and points of every path."""
    found = []
    for path in ET.fromstring(drawn).iter(f"{SVG}path"):
        spots = path.attrib["d"].removeprefix("M").split(" L")
        found.append((path.attrib["class"], [tuple(map(float, spot.split())) for spot in spots]))
    return found  # type: ignore[return-value]


def test_every_subnet_is_a_line_through_all_axes() -> None:
    found = lines(parallel_coordinates(SPACE, trials([30, 10, 20]), "a < b & c"))
    assert len(found) == 3
    assert all(len(spots) == 5 for _, spots in found)
    assert all(TOP <= y <= BOTTOM for _, spots in found for _, y in spots)
    ends = [spots[-1][1] for _, spots in found]
    assert ends == sorted(ends, reverse=True)  # the most accurate is drawn last, and ends highest
    assert [kind for kind, _ in found] == ["line k0", "line k3", "best k5"]


def test_a_line_passes_the_part_of_its_choice() -> None:
    one = Trial("random", SPACE.of([8, 8, 2, 1]), 1, 1, 100, (0,))
    ((_, spots),) = lines(parallel_coordinates(SPACE, [one], "one"))
    share = [(BOTTOM - y) / (BOTTOM - TOP) for _, y in spots[:4]]
    assert 0.5 < share[0] < 1.0
    assert 0.0 < share[1] < 0.5
    assert 1 / 3 < share[2] < 2 / 3
    assert 0.0 < share[3] < 0.5


def test_choices_and_names_are_written_on_the_axes() -> None:
    root = ET.fromstring(parallel_coordinates(SPACE, trials([1, 2]), "a < b & c"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts[0] == "a < b & c"
    assert {"channels 1", "depth 2", "accuracy", "4", "8", "16", "3"} <= set(texts)
    style = next(root.iter(f"{SVG}style")).text or ""
    assert "prefers-color-scheme: dark" in style


@pytest.mark.parametrize("wrong", [[0], [100], [5, 5, 5]])
def test_extremes_can_be_drawn(wrong: list[int]) -> None:
    assert len(lines(parallel_coordinates(SPACE, trials(wrong), "all alike"))) == len(wrong)


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="no trials"):
        parallel_coordinates(SPACE, [], "none")
