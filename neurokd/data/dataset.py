"""Load a data set by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from neurokd.data.arrays import load_arrays
from neurokd.data.config import EVENT_NAMES, DataConfig
from neurokd.data.digits import load_digits
from neurokd.data.event_sets import load_events
from neurokd.data.image_folder import load_image_folder
from neurokd.data.images import DataSet, ImageSet, IntArray, Split
from neurokd.data.root import data_root
from neurokd.data.splits import split, stratified
from neurokd.data.torchvision_sets import load_torchvision
from neurokd.errors import NeurokdError

__all__ = ["DataSet", "ImageSet", "IntArray", "Split", "load_dataset", "split"]

SAMPLES_SEED = 20240  # fixed: `train_samples: 1000` names the same images in every run

LOADERS: dict[str, Callable[[DataConfig, Path], DataSet]] = {
    "digits": lambda config, root: load_digits(),
    "fashion-mnist": lambda config, root: load_torchvision(config.name, root),
    "mnist": lambda config, root: load_torchvision(config.name, root),
    "cifar10": lambda config, root: load_torchvision(config.name, root),
    "cifar100": lambda config, root: load_torchvision(config.name, root),
    "image-folder": lambda config, root: load_image_folder(_folder(config, root), config.image_size),
    "arrays": lambda config, root: load_arrays(_folder(config, root)),
    **dict.fromkeys(EVENT_NAMES, load_events),
}


def load_dataset(config: DataConfig, root: Path | None = None) -> DataSet:
    """Return the data that `config` names, below `root` or the data root of this machine.

    Raises NeurokdError when it is missing or damaged, with the file and what to do.

    >>> load_dataset(DataConfig(name="digits")).shape
    (1, 16, 16)
    """
    dataset = LOADERS[config.name](config, data_root(root))
    if config.train_samples is None:
        return dataset
    return _fewer(dataset, config.train_samples)


def _folder(config: DataConfig, root: Path) -> Path:
    if config.path is None:
        raise NeurokdError(f"data '{config.name}' needs `path`, the folder with the data")
    folder = root / config.path.expanduser()
    if not folder.is_dir():
        raise NeurokdError(
            f"data '{config.name}': there is no folder '{folder}' (data root: '{root}'); "
            "give `path` relative to the data root or absolute"
        )
    return folder


def _fewer(dataset: DataSet, samples: int) -> DataSet:
    present, classes = len(dataset.train), len(dataset.classes)
    if not classes <= samples <= present:
        raise NeurokdError(
            f"data '{dataset.name}': train_samples is {samples}, allowed is {classes} (one per class) to {present}"
        )
    chosen = stratified(dataset.train.labels.numpy(), samples, SAMPLES_SEED)
    return replace(dataset, train=dataset.train.subset(torch.from_numpy(chosen)))
