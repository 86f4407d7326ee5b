"""Quantisation-aware training: a finished run goes on in the integers of its export, taught by its float student."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from neurokd.allocator import keep_freed_memory
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet
from neurokd.distill import KD
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.export.opened import OpenedRun, open_run
from neurokd.export.qat.integer_network import IntegerNetwork
from neurokd.export.qat.start import FILE as START
from neurokd.export.qat.start import Start, load_start, save_start, search_start
from neurokd.export.quantization.calibrate import Calibration, float_logits
from neurokd.export.quantization.scale_search import ScaleOptions, judged, with_input_bits
from neurokd.files import write_json
from neurokd.inputs import to_input
from neurokd.loop import train
from neurokd.recipe import QATConfig, Recipe
from neurokd.runs import Run, create_run, exclusive, now
from neurokd.spiking import LIFNeurons, SpikingNetwork

logger = logging.getLogger(__name__)


def train_in_integers(run: Run, recipe: Recipe, *, data_root: Path | None = None, progress: bool = True) -> Run:
    """Train the student of a finished `run` by `recipe.qat`, in the folder `RUN/qat`, continuing there.

    It starts from the quantised student. The loss is `kd` with the float student as the teacher. The best epoch on
    validation data, where the integers of the export run on the simulator, is kept, or the start if none is better
    (`best_epoch` null). `result.json` has the accuracy of the float student and of the integers before and after.

    Raises NeurokdError for a run that is unfinished, whose student cannot be exported, or whose `qat` folder was
    begun with other settings.
    """
    keep_freed_memory()
    opened = open_run(run, data_root)
    target = run.qat
    if was_begun(run) and target.recipe != recipe:
        raise NeurokdError(
            f"run '{target.path}': was begun with other settings of qat; delete it, or copy '{run.path}' and train that"
        )
    create_run(recipe, target.path)
    with exclusive(target):
        if not target.finished:
            target.save_split(run.load_split())
            write_json(target.path / "result.json", _train(opened, target, data_root, progress))
    return target


def was_begun(run: Run) -> bool:
    """Whether `RUN/qat` is there."""
    return (run.qat.path / "recipe.yaml").is_file()


def load_integers(opened: OpenedRun) -> IntegerNetwork:
    """The network that quantisation-aware training of the run left, in evaluation mode.

    Raises NeurokdError if it has not finished.
    """
    target = opened.run.qat
    if not target.finished:
        raise NeurokdError(
            f"run '{target.path}': training in integers has not finished; continue it with: "
            f"neurokd train {opened.run.path}, or delete '{target.path}' to export the float student"
        )
    network = _network(opened, load_start(opened.folded, target.path))
    target.load_weights(network)
    return network.eval()


def trained_integers(opened: OpenedRun) -> Calibration:
    """What quantisation-aware training left, held against the float student on calibration images.

    Raises NeurokdError unless its accuracy on validation images is the one that training saw.
    """
    network, target = load_integers(opened), opened.run.qat
    seen, found = target.result()["after"]["validation_accuracy"], _validation_accuracy(network, opened)
    if seen != found:
        raise NeurokdError(
            f"run '{target.path}': training saw {seen:.4%} on validation images, these integers have {found:.4%}; "
            f"the files are not of one training, so delete '{target.path}' and train in integers again"
        )
    images, quantized, settings = opened.calibration_images(), network.quantized(), _settings(target.recipe)
    candidate = judged(
        "trained in integers",
        {scale.name: scale.clip for scale in quantized.scales},
        with_input_bits(opened.folded, network.encoding.bits),
        network.populations(),
        quantized,
        images,
        float_logits(opened.student, images),
    )
    options = ScaleOptions(weight_bits=settings.bits, per_channel=settings.per_channel)
    return Calibration(candidate, (candidate,), len(images), options, "trained")


def _train(opened: OpenedRun, target: Run, data_root: Path | None, progress: bool) -> dict[str, Any]:
    recipe, student = target.recipe, opened.student
    settings = _settings(recipe)
    network = _untrained(opened, target, settings)
    before = _scores(network, opened)
    module = Distiller(
        network,
        KD(kd_weight=settings.kd_weight, temperature=settings.temperature),
        settings,
        recipe.seed,
        teacher=student,
        sample=to_input(opened.dataset.train.images[:2]),
    )
    logger.info("training in integers of %d-bit weights in %s", settings.bits, target.path)
    began = time.perf_counter()
    best_epoch: int | None = train(
        module, target, _own_frames(recipe, opened.dataset, data_root), target.load_split(), progress
    )
    seconds = time.perf_counter() - began
    after = _scores(network, opened)
    if after["validation_accuracy"] <= before["validation_accuracy"]:
        logger.info("no epoch was better than the quantised student on validation data; that one is kept")
        _beginning(target).load_weights(network)
        target.save_weights(network)
        best_epoch, after = None, before
    return {
        "format": 1,
        "created": now(),
        "bits": settings.bits,
        "best_epoch": best_epoch,
        "float": {key: opened.result["student"][key] for key in before},
        "before": before,
        "after": after,
        "wall_s": seconds,
    }


def _network(opened: OpenedRun, start: Start) -> IntegerNetwork:
    neurons = [module.lif for module in opened.student.modules() if isinstance(module, LIFNeurons)]
    return IntegerNetwork(
        start.populations,
        start.scales,
        start.encoding,
        opened.student.timesteps,
        labels=opened.dataset.classes,
        width=neurons[0].surrogate_width,
    )


def _own_frames(recipe: Recipe, dataset: DataSet, data_root: Path | None) -> DataSet:
    """The data without the frames that only the run's own teacher was shown."""
    if recipe.teacher_frames == 0:
        return dataset
    spare = recipe.data.augment.temporal_crop
    return load_dataset(recipe.data, data_root).window(recipe.first_frame, recipe.timesteps, spare)


def _scores(network: SpikingNetwork, opened: OpenedRun) -> dict[str, Any]:
    """Accuracy on the run's validation images and on the test images."""
    test = evaluate(network, opened.dataset.test).accuracy_per_step
    return {
        "validation_accuracy": _validation_accuracy(network, opened),
        "accuracy": test[-1],
        "accuracy_per_step": test,
    }


def _validation_accuracy(network: SpikingNetwork, opened: OpenedRun) -> float:
    validation = opened.dataset.train.subset(torch.as_tensor(opened.run.load_split().validation))
    return evaluate(network, validation).accuracy_per_step[-1]


def _untrained(opened: OpenedRun, target: Run, settings: QATConfig) -> IntegerNetwork:
    """The network before its first epoch: chosen and saved now, or that with which an interrupted training began."""
    if (target.path / START).is_file():
        network = _network(opened, load_start(opened.folded, target.path))
        _beginning(target).load_weights(network)
        return network
    start = search_start(opened, settings)
    network = _network(opened, start)
    _beginning(target).save_weights(network)
    save_start(start, target.path)
    return network


def _beginning(target: Run) -> Run:
    """Where the weights before the first epoch are kept, apart from the best ones that training leaves."""
    return Run(target.path / "start")


def _settings(recipe: Recipe) -> QATConfig:
    if recipe.qat is None:
        raise NeurokdError(f"recipe '{recipe.name}': has no qat section; add one, e.g. --set qat.bits=8")
    return recipe.qat
