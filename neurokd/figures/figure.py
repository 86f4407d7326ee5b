"""One figure: its drawing, the words around it and the numbers in it."""

from dataclasses import dataclass
from typing import Any

import torch

from neurokd.data.images import DataSet, IntArray
from neurokd.figures.cast import Cast
from neurokd.figures.choice import test_images
from neurokd.figures.drawing import Drawing
from neurokd.figures.picture import photo, png
from neurokd.inputs import to_input


@dataclass(frozen=True)
class Table:
    """Names of the columns, and rows of as many words."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Figure:
    """`about` says what is computed, `caption` what is shown, `notes` what is left out and why."""

    key: str
    title: str
    about: tuple[str, ...]
    caption: str
    drawing: Drawing | None
    numbers: dict[str, Any]
    notes: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """The test images that every network sees: their indices `[N]` and pixels `[N, C, H, W]` (uint8)."""

    dataset: DataSet
    chosen: IntArray

    @property
    def images(self) -> torch.Tensor:
        """The pixels as they are stored."""
        return test_images(self.dataset, self.chosen)

    @property
    def inputs(self) -> torch.Tensor:
        """The pixels as a network gets them."""
        return to_input(self.images)

    @property
    def aspect(self) -> float:
        """Height by width."""
        return self.dataset.shape[1] / self.dataset.shape[2]

    def class_of(self, number: int) -> str:
        """The true class of the `number`-th image."""
        return self.dataset.classes[int(self.dataset.test.labels[int(self.chosen[number])])]

    def label(self, number: int) -> tuple[str, ...]:
        """What stands beside the `number`-th image."""
        return self.class_of(number), f"test image {int(self.chosen[number])}"

    def picture(self, number: int) -> str:
        """The `number`-th image as PNG."""
        return png(photo(self.images[number]))

    def tip(self, number: int) -> str:
        """What the picture of the `number`-th image shows."""
        return f"test image {int(self.chosen[number])}, {self.class_of(number)}"


def names_in(cast: Cast) -> str:
    """The networks of a figure, for its label."""
    return ", ".join(network.title for network in cast.networks)
