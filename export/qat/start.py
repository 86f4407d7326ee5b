"""What training in integers starts from: the quantisation that the search found best, chosen once and kept."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import nir
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurokd.errors import NeurokdError
from neurokd.export.opened import OpenedRun
from neurokd.export.quantization.calibrate import calibrate, float_logits
from neurokd.export.quantization.float_populations import FloatPopulation, float_populations
from neurokd.export.quantization.integers import LayerScale
from neurokd.export.quantization.quantize import encoding_of
from neurokd.export.quantization.scale_search import ScaleOptions, with_input_bits
from neurokd.files import write_json
from neurokd.inputs import Encoding
from neurokd.recipe import QATConfig
from neurokd.runs import read_json

FILE = "quantization.json"
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Start:
    """Float populations, the scales at which they are rounded, and how inputs are shown."""

    populations: Sequence[FloatPopulation]
    scales: Sequence[LayerScale]
    encoding: Encoding


class _Layer(BaseModel):
    """A `LayerScale` and the float thresholds of its population, None for the read-out."""

    model_config = ConfigDict(extra="forbid")

    name: str
    scale: Positive
    clipped_fraction: float
    limited_by: str
    clip: float
    bits: Annotated[int, Field(ge=2, le=8)]
    plane: bool
    step: Annotated[int, Field(ge=2, le=128)]
    threshold: list[Positive] | Positive | None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    input_bits: Annotated[int, Field(ge=1, le=8)]
    layers: list[_Layer]


def search_start(opened: OpenedRun, settings: QATConfig) -> Start:
    """The best quantisation of the float student on calibration images, as an export finds it."""
    images = opened.calibration_images()
    wanted = float_logits(opened.student, images)
    options = ScaleOptions(weight_bits=settings.bits, per_channel=settings.per_channel)
    found = calibrate(opened.folded, wanted, images, opened.dataset.classes, options).chosen
    return Start(found.populations, found.quantized.scales, encoding_of(found.graph))


def save_start(start: Start, folder: Path) -> None:
    """Write everything but the weights as `quantization.json`."""
    layers = [
        _Layer(**dataclasses.asdict(scale), threshold=None if one.threshold is None else one.threshold.tolist())
        for one, scale in zip(start.populations, start.scales, strict=True)
    ]
    write_json(folder / FILE, _File(input_bits=start.encoding.bits, layers=layers).model_dump())


def load_start(folded: nir.NIRGraph, folder: Path) -> Start:
    """The populations of `folded`, the graph of a student that is quantised, with what `save_start` wrote.

    Raises NeurokdError if the file is missing, damaged or of another network.
    """
    path = folder / FILE
    try:
        stored = _File.model_validate(read_json(path))
    except ValidationError as error:
        raise NeurokdError(f"'{path}': damaged; delete '{folder}' and train in integers again") from error
    shown = with_input_bits(folded, stored.input_bits)
    encoding = encoding_of(shown)
    found = float_populations(shown, float(shown.metadata["dt"]), encoding)
    if [one.name for one in found] != [layer.name for layer in stored.layers]:
        raise NeurokdError(f"'{path}': made for another network; delete '{folder}' and train in integers again")
    populations = [
        dataclasses.replace(one, threshold=None if layer.threshold is None else np.array(layer.threshold))
        for one, layer in zip(found, stored.layers, strict=True)
    ]
    scales = [LayerScale(**layer.model_dump(exclude={"threshold"})) for layer in stored.layers]
    return Start(populations, scales, encoding)
