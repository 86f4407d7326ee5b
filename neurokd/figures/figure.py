"""One figure: its drawing, the words around it and the numbers in it."""

from dataclasses import dataclass
from typing import Any

import torch

from neurokd.data.images import DataSet, IntArray
from neurokd.figures.cast import Cast, Network
from neurokd.figures.choice import test_images
from neurokd.figures.drawing import Drawing
from neurokd.figures.grid import Tile
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
    """The test images or recordings that every network sees, by their indices `[N]`."""

    dataset: DataSet
    chosen: IntArray

    def seen_by(self, network: Network) -> torch.Tensor:
        """Pixels `[N, C, H, W]`, or the network's own frames `[N, T, C, H, W]`, as they are stored (uint8)."""
        return test_images(network.data, self.chosen)

    def inputs(self, network: Network) -> torch.Tensor:
        """The same as the network gets them (`to_input`)."""
        return to_input(self.seen_by(network))

    @property
    def aspect(self) -> float:
        """Height by width."""
        return self.dataset.shape[1] / self.dataset.shape[2]

    def class_of(self, number: int) -> str:
        """The true class of the `number`-th image."""
        return self.dataset.classes[int(self.dataset.test.labels[int(self.chosen[number])])]

    def label(self, number: int) -> tuple[str, ...]:
        """What stands beside the `number`-th image."""
        return self.class_of(number), self._name(number)

    def tile(self, number: int, image: torch.Tensor | None = None) -> Tile:
        """The `number`-th image, or all frames of the recording; `image` shows a part of them instead."""
        whole = test_images(self.dataset, self.chosen[number : number + 1])[0]
        return Tile(png(photo(whole if image is None else image)), self.tip(number))

    def tip(self, number: int) -> str:
        """What the picture of the `number`-th image shows."""
        return f"{self._name(number)}, {self.class_of(number)}"

    def _name(self, number: int) -> str:
        return f"test {'recording' if self.dataset.test.frames else 'image'} {int(self.chosen[number])}"


def names_in(cast: Cast) -> str:
    """The networks of a figure, for its label."""
    return ", ".join(network.title for network in cast.networks)
