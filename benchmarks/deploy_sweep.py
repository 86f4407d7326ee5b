"""Deploy every finished student of a sweep: checked, exported, compared with Lava; one row for each.

    python benchmarks/deploy_sweep.py runs/cifar10-methods --data-root DATA

Accuracy is over the whole test set, the comparison with Lava over a few of its images, with the im2col convolution.
"""

import argparse
from pathlib import Path

from neurokd.export.bundle import ExportOptions, export_run
from neurokd.export.contract.check import check_run
from neurokd.export.contract.target import find_target
from neurokd.export.proof.witness import Witness
from neurokd.runs import Run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--runs", default="*", help="which of them, e.g. '*-s0'")
    parser.add_argument("--lava-samples", type=int, default=10)
    arguments = parser.parse_args()
    runs = [Run(path.parent) for path in sorted(arguments.sweep.glob(f"{arguments.runs}/result.json"))]
    options = ExportOptions(
        lava=Witness(mode="require", samples=arguments.lava_samples, fast=True), data_root=arguments.data_root
    )
    print("| run | check | float | integers | lost | differing of compared on Lava |")
    print("| --- | --- | --- | --- | --- | --- |")
    for run in runs:
        verdict = check_run(run, find_target("loihi2"), arguments.data_root)
        if not verdict.deployable:
            print(f"| {run.path.name} | refused | | | | |", flush=True)
            continue
        manifest = export_run(run, options)
        accuracy = {row["stage"]: row["accuracy"] for row in manifest["waterfall"]}
        lost = 100 * (accuracy["float student"] - accuracy["quantised"])
        lava = manifest["verification"]["lava"]
        print(
            f"| {run.path.name} | deployable | {accuracy['float student']:.2%} | {accuracy['quantised']:.2%} | "
            f"{lost:+.2f} points | {lava['mismatches']:,} of {lava['compared']:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
