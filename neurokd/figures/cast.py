"""Who is in the figures: the networks of several runs and their teachers, on one data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from neurokd.cache import cache_dir
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet
from neurokd.errors import NeurokdError
from neurokd.report import numbers
from neurokd.runs import Run
from neurokd.training import load_model

Result = TypeVar("Result")


class Unsuited(NeurokdError):
    """A network has not what a figure shows; the figure leaves it out and says so."""


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network; of a teacher, `pupil` is the first run that has it.

    `data` is the data set as this network sees it: of recordings its own frames alone.
    """

    name: str
    run: Run
    model: nn.Module
    data: DataSet
    accuracy: float
    samples: int
    pupil: str | None = None

    @property
    def title(self) -> str:
        """What a figure calls it."""
        return " ".join(self.title_lines)

    @property
    def title_lines(self) -> tuple[str, ...]:
        """The same where there is little room."""
        return ("teacher of", self.pupil) if self.pupil else (self.name,)

    @property
    def kind(self) -> str:
        """ANN, or SNN with its method and steps."""
        recipe = self.run.recipe
        return "ANN" if recipe.neuron is None else f"SNN, {recipe.method.name}, T = {recipe.timesteps}"

    @property
    def frames(self) -> tuple[str, ...]:
        """Which frames of a recording it sees; nothing for images."""
        recipe = self.run.recipe
        first, last = recipe.first_frame + 1, recipe.first_frame + recipe.timesteps
        return () if recipe.data.events is None else (f"frames {first} to {last}",)

    @property
    def share(self) -> str:
        """Its test accuracy."""
        return numbers.percent(self.accuracy, self.samples)

    @property
    def detail(self) -> str:
        """Kind, frames and test accuracy."""
        return ", ".join((self.kind, *self.frames, self.share))


@dataclass(frozen=True, eq=False)
class Cast:
    """The networks in the order of the figures, teachers first, and what was left out."""

    dataset: DataSet
    networks: tuple[Network, ...]
    notes: tuple[str, ...]

    @property
    def samples(self) -> str:
        """What the networks look at."""
        return f"test {'recordings' if self.dataset.test.frames else 'images'} of {self.dataset.name}"


def load_cast(runs: Sequence[Run], data_root: Path | None = None) -> Cast:
    """Load the networks of `runs` and their teachers, each once.

    A teacher that is gone from the cache is left out with a note. Raises NeurokdError for a run that is
    unfinished, given twice or of other test images than the first, and where the data here are not those of the runs.
    """
    paths = [run.path.resolve() for run in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise NeurokdError(f"run '{path.name}': given twice; name each run once")
    results = [_result(run) for run in runs]
    for run, result in zip(runs[1:], results[1:], strict=True):
        _check_same_data(run, result["data"], runs[0], results[0]["data"])
    dataset = load_dataset(runs[0].recipe.data, data_root)
    if dataset.test.fingerprint() != results[0]["data"]["fingerprint"]["test"]:
        raise NeurokdError(
            f"data '{dataset.name}': the test images here are not those that run '{runs[0].path.name}' was tested on; "
            "name the folder with those in --data-root"
        )
    teachers, notes = _teachers(runs, results)
    names = [run.path.name if _unique(run, runs) else str(run.path) for run in runs]
    networks = [_network(run, run.path.name, dataset, pupil) for run, pupil in teachers]
    networks += [_network(run, name, dataset) for run, name in zip(runs, names, strict=True)]
    return Cast(dataset, tuple(networks), tuple(notes))


def of_each(cast: Cast, compute: Callable[[Network], Result]) -> tuple[list[tuple[Network, Result]], list[str]]:
    """What `compute` says of each network, and a note for each one that it calls `Unsuited`."""
    done: list[tuple[Network, Result]] = []
    notes: list[str] = []
    for network in cast.networks:
        try:
            done.append((network, compute(network)))
        except Unsuited as error:
            notes.append(f"{network.title} is left out: {error}")
    return done, notes


def _result(run: Run) -> dict[str, Any]:
    result = run.result()
    try:
        _ = result["data"]["name"], result["data"]["test"], result["data"]["fingerprint"]["test"]
        _ = result["student"]["accuracy"], result["teacher"] and result["teacher"]["key"]
    except (KeyError, TypeError) as error:
        raise NeurokdError(f"run '{run.path}': result.json lacks {error}; train the run again") from error
    return result


def _check_same_data(run: Run, data: dict[str, Any], first: Run, wanted: dict[str, Any]) -> None:
    if data["fingerprint"]["test"] != wanted["fingerprint"]["test"]:
        other = "other images of " if data["name"] == wanted["name"] else ""
        raise NeurokdError(
            f"run '{run.path.name}': was tested on {other}'{data['name']}', run '{first.path.name}' on "
            f"'{wanted['name']}'; figures show networks on the same images, name runs of one data set"
        )


def _unique(run: Run, runs: Sequence[Run]) -> bool:
    return sum(other.path.name == run.path.name for other in runs) == 1


def _teachers(runs: Sequence[Run], results: Sequence[dict[str, Any]]) -> tuple[list[tuple[Run, str]], list[str]]:
    """The teachers in the cache with their first pupil, each once, and a note for each one that is not there."""
    found: dict[Path, str] = {}
    for run, result in zip(runs, results, strict=True):
        if result["teacher"]:
            found.setdefault(cache_dir() / "teachers" / result["teacher"]["key"], run.path.name)
    given = {run.path.resolve() for run in runs}
    teachers, notes = [], []
    for path, pupil in found.items():
        teacher = Run(path)
        if not (teacher.finished and teacher.weights.is_file()):
            notes.append(
                f"The teacher of {pupil} is left out: '{path.name}' is not in the cache '{path.parent}'; "
                "training the recipe again brings it back."
            )
        elif path.resolve() not in given:
            teachers.append((teacher, pupil))
    return teachers, notes


def _network(run: Run, name: str, dataset: DataSet, pupil: str | None = None) -> Network:
    result = _result(run)
    accuracy, samples = float(result["student"]["accuracy"]), int(result["data"]["test"])
    recipe = run.recipe
    data = dataset.window(recipe.first_frame, recipe.timesteps, recipe.data.augment.temporal_crop)
    return Network(name, run, load_model(run, dataset), data, accuracy, samples, pupil)
