"""BN statistics of one subnet come from training images, and they matter."""

import numpy as np
import pytest
import torch
from torch import nn

from neurokd.data.dataset import load_dataset
from neurokd.data.images import ImageSet
from neurokd.data.splits import split
from neurokd.errors import NeurokdError
from neurokd.search.calibration import BATCH, calibration_images, recalibrated, wrong_images
from neurokd.search.evaluate import Judge
from neurokd.search.spec import Search
from neurokd.search.supernet import Supernet


@pytest.fixture
def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2 * BATCH, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.zeros(2 * BATCH, dtype=torch.int64))


def test_statistics_are_the_mean_over_the_batches(images: ImageSet) -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 2))
    net[0].running_mean.fill_(7.0)  # whatever the shared weights left there
    calibrated = recalibrated(net, images)
    halves = (images.images.float() / 255).split(BATCH)
    mean = torch.stack([half.mean() for half in halves]).mean()
    variance = torch.stack([half.var() for half in halves]).mean()
    torch.testing.assert_close(calibrated[0].running_mean, mean[None])
    torch.testing.assert_close(calibrated[0].running_var, variance[None])
    assert not calibrated.training
    assert calibrated[0].momentum == net[0].momentum == 0.1
    assert net[0].running_mean.item() == 7.0  # the argument stays as it is


def test_without_calibration_a_subnet_answers_otherwise(search: Search) -> None:
    dataset = load_dataset(search.base.data)
    supernet = Supernet(search.base, search.space, dataset)
    cut = supernet.cut(search.space.smallest).eval()
    pixels = dataset.train.images[:32].float() / 255
    calibrated = recalibrated(cut, dataset.train)
    assert not torch.allclose(cut(pixels), calibrated(pixels))
    assert torch.equal(recalibrated(cut, dataset.train)(pixels), calibrated(pixels))  # nothing in it is random


def test_images_come_from_the_training_part_alone(search: Search) -> None:
    dataset = load_dataset(search.base.data)
    parts = split(dataset, 0.25, 0)
    training = {image.numpy().tobytes() for image in dataset.train.images[torch.as_tensor(parts.train)]}
    chosen = calibration_images(dataset.train, parts.train, 100, seed=1)
    assert {image.numpy().tobytes() for image in chosen.images} <= training
    assert len({image.numpy().tobytes() for image in chosen.images}) == 100
    again = calibration_images(dataset.train, parts.train, 100, seed=2)
    assert not torch.equal(chosen.images, again.images)
    with pytest.raises(NeurokdError, match="calibration_images is 121, but only 120 images train"):
        calibration_images(dataset.train, parts.train, 121, seed=0)


def test_wrong_images_are_those_that_differ_from_their_labels() -> None:
    labels = torch.tensor([0, 1, 1, 0, 1])
    pixels = torch.zeros(5, 2, 1, 1, dtype=torch.uint8)
    for position, answer in enumerate([0, 1, 0, 0, 0]):
        pixels[position, answer] = 255
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.eye(2))
    assert wrong_images(net, ImageSet(pixels, labels), batch_size=2) == [2, 4]


def test_the_judge_counts_what_the_subnet_gets_wrong(search: Search) -> None:
    dataset = load_dataset(search.base.data)
    parts = split(dataset, 0.25, 0)
    judge = Judge(Supernet(search.base, search.space, dataset), dataset, parts, 64, seed=0)
    trial = judge.trial("random", search.space.smallest)
    net = recalibrated(judge.supernet.cut(search.space.smallest), judge.images)
    validation = dataset.train.subset(torch.as_tensor(parts.validation))
    answers = net(validation.images.float() / 255).mean(dim=0).argmax(dim=1)
    assert trial.wrong == tuple(np.flatnonzero((answers != validation.labels).numpy()).tolist())
    assert trial.accuracy == pytest.approx(1 - len(trial.wrong) / 40)
    assert len(judge.repeated(search.space.smallest)) == 5
