"""The images that a NIR graph is calibrated and measured on: a data set by name, or random ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from neurokd.data.catalogue import CATALOGUE
from neurokd.data.config import DataConfig
from neurokd.data.dataset import load_dataset
from neurokd.data.images import ImageSet
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError
from neurokd.export.opened import CALIBRATION_SAMPLES
from neurokd.inputs import Encoding
from neurokd.recipe import load_recipe

RANDOM_SAMPLES = 64


@dataclass(frozen=True)
class NirData:
    """`test` is what the network is measured on, `train` what it is calibrated on (None: nothing, and no labels)."""

    shape: tuple[int, int, int]
    encoding: Encoding
    test: ImageSet
    train: ImageSet | None = None
    labels: tuple[str, ...] = ()


def data_config(what: str, option: str = "--calibrate") -> DataConfig:
    """The data set called `what`, or the `data` section of the recipe file `what`; NeurokdError for neither.

    `option` is what the user gave it by.

    >>> data_config("digits").name
    'digits'
    """
    if Path(what).suffix.lower() in (".yaml", ".yml"):
        return load_recipe(Path(what)).data
    if what not in CATALOGUE:
        raise NeurokdError(f"{option} '{what}': is neither a recipe file nor a data set; see neurokd datasets list")
    try:
        return DataConfig.model_validate({"name": what})
    except ValueError as error:
        raise NeurokdError(f"{option} '{what}': needs more than a name; give a recipe file with `data`") from error


def load_nir_data(config: DataConfig, timesteps: int, root: Path | None) -> NirData:
    """The test images of `config`, and as many of its training images as calibration takes.

    Recordings give one frame a step, the first ones that a recipe would use for inference.
    """
    dataset = load_dataset(config, root)
    dataset = dataset.window(config.events.pretrain if config.events else 0, timesteps)
    labels = dataset.train.labels.numpy()
    chosen = stratified(labels, min(CALIBRATION_SAMPLES, len(labels)), config.split_seed)
    training = dataset.train.subset(torch.from_numpy(chosen))
    return NirData(dataset.shape, dataset.encoding, dataset.test, training, dataset.classes)


def random_data(shape: tuple[int, int, int], encoding: Encoding) -> NirData:
    """Uniform integers 0..`encoding.maximum`, the same in every export."""
    size = (RANDOM_SAMPLES, *shape)
    values = np.random.default_rng(0).integers(0, encoding.maximum + 1, size, dtype=np.uint8)
    return NirData(shape, encoding, ImageSet(torch.from_numpy(values), torch.zeros(RANDOM_SAMPLES, dtype=torch.int64)))
