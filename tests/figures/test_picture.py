"""Pixels and drawings."""

import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
import torch
from PIL import Image

from neurokd.figures.grid import Block, Scale, Tile, grid
from neurokd.figures.picture import BRIGHTER, DARKER, EITHER, HEAT, RATE, overlay, photo, png, ramp
from neurokd.figures.scatter import Panel, colour, scatter


def decoded(address: str) -> np.ndarray:
    """The pixels behind a data address."""
    kind, _, text = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_a_picture_survives_as_png() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decoded(png(pixels)), pixels)


def test_ramps_get_brighter_all_the_way() -> None:
    for colours in (RATE, HEAT):
        light = ramp(np.linspace(0, 1, 50), colours) @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(light) > 0).all()


def test_photos_have_colour_only_where_there_are_three_channels() -> None:
    image = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)
    assert photo(image)[1, 2].tolist() == image[:, 1, 2].tolist()
    assert photo(image[:2])[1, 2].tolist() == [14, 14, 14]  # the mean of 6 and 22


def test_events_are_coloured_by_polarity_and_lit_by_the_root_of_their_number() -> None:
    frames = torch.zeros(2, 2, 1, 4, dtype=torch.uint8)
    frames[0, 0, 0, 0], frames[1, 0, 0, 0] = 4, 12  # 16 darker events in two frames, the most
    frames[1, 1, 0, 1] = 4  # 4 brighter ones: half as much light
    frames[:, :, 0, 2] = 1  # two of each
    shown = photo(frames)[0]
    assert shown[0].tolist() == list(DARKER)
    assert shown[1].tolist() == [128, 60, 30]
    assert shown[2].tolist() == [round((dark + bright) / 4) for dark, bright in zip(DARKER, BRIGHTER, strict=True)]
    assert shown[3].tolist() == [0, 0, 0]
    assert photo(frames[:, :1])[0, 0].tolist() == list(EITHER)
    assert photo(torch.zeros(2, 2, 3, 5, dtype=torch.uint8)).max() == 0
    assert overlay(frames, torch.zeros(1, 4)).shape == (1, 4, 3)


def test_an_overlay_leaves_the_image_where_the_map_is_zero() -> None:
    image = torch.full((1, 8, 8), 90, dtype=torch.uint8)
    heat = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    shown = overlay(image, heat)
    assert shown.shape == (8, 8, 3)
    assert shown[0, 0].tolist() == [90, 90, 90]
    assert shown[7, 7, 0] > 180 > shown[7, 7, 2]


def test_a_hostile_name_stays_text() -> None:
    tile = Tile("data:,", "<script>", ("<b>",))
    block = Block("<i>", (("a&b",),), ((("row",), (tile, None)),))
    tree = ET.fromstring(grid([block], Scale("data:,", "0", "1", "rate"), "x < y").file())
    assert not [node for node in tree.iter() if node.tag.endswith(("script", "}b", "}i"))]


def test_names_of_classes_stay_inside_their_panel_and_apart() -> None:
    positions = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.1], [10.0, 0.2]])
    drawing = scatter([Panel("p", (), positions)], np.arange(4), ["first", "second", "third", "fourth"], "x")
    names = [node for node in ET.fromstring(drawing.file()).iter() if node.get("class") == "named"]
    assert {node.text for node in names} == {"first", "second", "third", "fourth"}
    assert all(20 < float(node.get("x", 0)) < 300 for node in names)
    heights = sorted(float(node.get("y", 0)) for node in names if node.text != "first")
    assert min(np.diff(heights)) >= 12


def test_a_thousand_classes_have_colours() -> None:
    assert len({colour(k, 10) for k in range(10)}) == 10
    assert colour(999, 1000).startswith("#") and len(colour(999, 1000)) == 7
