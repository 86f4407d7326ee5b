"""How well the students of a sweep fit the images that they learned from, beside images that they never saw.

    python benchmarks/fit_of_students.py runs/cifar10-methods --data-root DATA

A method whose students lose on both fits less; one that loses on new images alone generalises less. Accuracy after
each step, as the mean over the seeds, on every n-th of the training images of each run, as they are stored, and on
every m-th of the test images.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from neurokd.evaluation import evaluate
from neurokd.runs import Run
from neurokd.training import load_data, load_model


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--samples", type=int, default=5000)
    arguments = parser.parse_args()
    variants: dict[str, list[Run]] = defaultdict(list)
    for path in sorted(arguments.sweep.glob("*/result.json")):
        variants[path.parent.name.rpartition("-s")[0]].append(Run(path.parent))
    print("| variant | seeds | images it learned from, after each step | new images, after each step | fit less new |")
    print("| --- | --- | --- | --- | --- |")
    for name, runs in variants.items():
        learned, new = np.array([_accuracies(run, arguments.samples, arguments.data_root) for run in runs]).mean(0)
        gap = 100 * (learned[-1] - new[-1])
        print(f"| {name} | {len(runs)} | {_cells(learned)} | {_cells(new)} | {gap:.1f} points |", flush=True)


def _accuracies(run: Run, samples: int, data_root: Path | None) -> tuple[list[float], list[float]]:
    """Accuracy after each step, on images of the training and of the test."""
    dataset = load_data(run.recipe, data_root)
    model = load_model(run, dataset)
    learned = dataset.train.subset(torch.from_numpy(_spread(run.load_split().train, samples)))
    new = dataset.test.subset(torch.from_numpy(_spread(np.arange(len(dataset.test)), samples)))
    return evaluate(model, learned).accuracy_per_step, evaluate(model, new).accuracy_per_step


def _spread(indices: npt.NDArray[np.int64], samples: int) -> npt.NDArray[np.int64]:
    """Evenly over all of them, which may lie class by class."""
    return indices[:: max(1, len(indices) // samples)]


def _cells(accuracies: np.ndarray) -> str:
    return ", ".join(f"{value:.1%}" for value in accuracies)


if __name__ == "__main__":
    main()
