"""Evaluate subnets of a trained supernet on validation data."""

import logging
from pathlib import Path

import torch

from neurokd.data.images import DataSet, Split
from neurokd.search.calibration import calibration_images, recalibrated, wrong_images
from neurokd.search.samplers import Sampler
from neurokd.search.space import Subnet
from neurokd.search.spec import Search
from neurokd.search.supernet import Supernet
from neurokd.search.trials import Trial, append_trial, read_trials

logger = logging.getLogger(__name__)

REPEATS = 5  # calibrations with other images, to see how much they move an accuracy


class Judge:
    """Measures subnets. It holds training and validation images, and no test images."""

    def __init__(self, supernet: Supernet, dataset: DataSet, parts: Split, calibration: int, seed: int) -> None:
        self.supernet, self.seed = supernet, seed
        self.train, self.indices, self.calibration = dataset.train, parts.train, calibration
        self.validation = dataset.train.subset(torch.as_tensor(parts.validation))
        self.dataset = dataset.name
        self.images = calibration_images(self.train, self.indices, calibration, seed)

    def trial(self, how: str, subnet: Subnet) -> Trial:
        """Calibrate a copy of the subnet and look at every validation image."""
        wrong = wrong_images(recalibrated(self.supernet.cut(subnet), self.images), self.validation)
        parameters, macs = self.supernet.parameters_and_macs(subnet)
        return Trial(how, subnet, parameters, macs, len(self.validation), tuple(wrong))

    def repeated(self, subnet: Subnet) -> list[float]:
        """Accuracies of one subnet, each calibrated on other images."""
        accuracies = []
        for seed in range(self.seed + 1, self.seed + 1 + REPEATS):
            images = calibration_images(self.train, self.indices, self.calibration, seed)
            wrong = wrong_images(recalibrated(self.supernet.cut(subnet), images), self.validation)
            accuracies.append(1.0 - len(wrong) / len(self.validation))
        return accuracies


def evaluate_subnets(search: Search, judge: Judge, sampler: Sampler, file: Path) -> list[Trial]:
    """The largest subnet, the smallest, and `search.samples` sampled ones, in this order; `file` grows with each.

    A subnet that comes again takes its first measurement: nothing in it is random.
    """
    extremes = [("largest", search.space.largest), ("smallest", search.space.smallest)]
    wanted = len(extremes) + search.samples
    trials = read_trials(file)[:wanted]
    if trials:
        logger.info("search: %d of %d subnets are evaluated already", len(trials), wanted)
    while len(trials) < wanted:
        sampled = trials[len(extremes) :]
        how, subnet = extremes[len(trials)] if len(trials) < len(extremes) else (search.sampler, sampler(sampled))
        known = next((trial for trial in trials if trial.subnet == subnet), None)
        trial = judge.trial(how, subnet) if known is None else Trial(**{**vars(known), "how": how})
        append_trial(file, trial)
        trials.append(trial)
        if len(trials) % max(1, wanted // 10) == 0:
            logger.info(
                "search: %d of %d subnets evaluated, this one %.2f %%", len(trials), wanted, 100 * trial.accuracy
            )
    return trials
