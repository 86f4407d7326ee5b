"""One search from start to end, or from where it was stopped."""

import logging
from pathlib import Path

import torch
import yaml

from neurokd.allocator import keep_freed_memory
from neurokd.data.images import DataSet, Split
from neurokd.data.loader import batches
from neurokd.data.splits import split
from neurokd.errors import NeurokdError
from neurokd.files import atomic_file, write_json
from neurokd.loop import train
from neurokd.runs import Run, create_run, exclusive, now
from neurokd.search.calibration import calibration_images
from neurokd.search.evaluate import Judge, evaluate_subnets
from neurokd.search.retrain import Retrained, retrain_subnets
from neurokd.search.samplers import SAMPLERS
from neurokd.search.sandwich import SandwichDistiller
from neurokd.search.spec import Search
from neurokd.search.summary import Summary, summarise
from neurokd.search.supernet import Supernet
from neurokd.search.write import write_summary
from neurokd.training import load_data, load_model, samples

logger = logging.getLogger(__name__)

TRIALS = "subnets.jsonl"


def run_search(
    search: Search, folder: Path, *, data_root: Path | None = None, progress: bool = True, retrain: int = 0
) -> Summary:
    """Train the supernet, evaluate subnets on validation data, summarise; what is done already is not done again.

    With `retrain`, that many of the best subnets, and the largest, the smallest and the median, are then trained from
    scratch. The test images are used by those trainings alone, after each. Raises NeurokdError for an interruption
    (the same call continues) and for a folder of another search.
    """
    try:
        return _run(search, folder, data_root, progress, retrain)
    except KeyboardInterrupt as error:
        raise _interrupted(folder) from error
    except NeurokdError as error:
        if isinstance(error.__cause__, KeyboardInterrupt | SystemExit):  # how `train` reports Ctrl-C
            raise _interrupted(folder) from error
        raise


def _run(search: Search, folder: Path, data_root: Path | None, progress: bool, retrain: int) -> Summary:
    sampler = SAMPLERS[search.sampler](search.space, search.seed)  # first: it may miss a library
    keep_freed_memory()
    dataset = load_data(search.base, data_root)
    parts = split(dataset, search.base.data.validation, search.base.data.split_seed)
    calibration_images(dataset.train, parts.train, search.calibration_images, search.seed)  # there may be too few
    batches(dataset.train, parts.train, search.base.training.batch_size, seed=search.seed, shuffle=True)  # or here
    open_folder(search, folder)
    with exclusive(Run(folder)):
        supernet = trained_supernet(search, folder, dataset, parts, data_root, progress)
        judge = Judge(supernet, dataset, parts, search.calibration_images, search.seed)
        trials = evaluate_subnets(search, judge, sampler, folder / TRIALS)
        retrained: list[Retrained] = []
        summary = summarise(search, judge, trials, retrained)
        write_summary(search, summary, trials, folder)
        if retrain:
            retrained = retrain_subnets(search, summary, retrain, folder, data_root, progress)
            summary = summarise(search, judge, trials, retrained)
            write_summary(search, summary, trials, folder)
    return summary


def open_folder(search: Search, folder: Path) -> None:
    """Write `search.yaml`, or compare with the one that is there: only `samples` may differ.

    Raises NeurokdError for a folder of another search.
    """
    file = folder / "search.yaml"
    values = search.model_dump(mode="json")
    if file.is_file():
        try:
            known = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise NeurokdError(f"'{file}': damaged; name another --out or delete the folder") from error
        if not isinstance(known, dict) or {**known, "samples": search.samples} != values:
            raise NeurokdError(f"search '{folder}': was started with another search; name another --out or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as part:
        part.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def trained_supernet(
    search: Search, folder: Path, dataset: DataSet, parts: Split, data_root: Path | None, progress: bool
) -> Supernet:
    """The supernet with the weights of its best epoch, on a GPU where there is one."""
    supernet = Supernet(search.base, search.space, dataset)
    run = create_run(search.supernet_recipe, folder / "supernet")
    done = run.path / "supernet.json"
    if not done.is_file():
        run.save_split(parts)
        best = _train(search, supernet, run, dataset, parts, data_root, progress)
        write_json(done, {"best_epoch": best, "created": now()})
    run.load_weights(supernet.weights)
    supernet.weights.to("cuda" if torch.cuda.is_available() else "cpu")
    return supernet


def _train(
    search: Search, supernet: Supernet, run: Run, dataset: DataSet, parts: Split, data_root: Path | None, progress: bool
) -> int | None:
    from neurokd.teachers import teacher_of

    recipe = search.supernet_recipe
    teacher = teacher_of(recipe, dataset, data_root, progress=progress) if recipe.uses_teacher else None
    sample, shown = samples(recipe, dataset)
    module = SandwichDistiller(
        supernet, recipe, search.random_subnets, search.seed,
        teacher=load_model(teacher.run, dataset) if teacher else None, sample=sample, shown=shown,
    )  # fmt: skip
    logger.info("training the supernet of %d subnets in %s", search.space.count, run.path)
    return train(module, run, dataset, parts, progress)


def _interrupted(folder: Path) -> NeurokdError:
    return NeurokdError(f"interrupted; '{folder}' is continued by the same command")
