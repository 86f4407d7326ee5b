"""Deploy the networks that other frameworks saved in `tests/data/nir/`, and print the table of docs/how-to/nir.md.

    python benchmarks/nir_frameworks.py --machine "two virtual cores of an x86-64 server, no GPU"

For each: the spikes of our float evaluator beside those that the framework recorded, and the accuracy of the integers
on all test images of the digits beside the framework's own. `benchmarks/nir_networks.py` wrote the files.
"""

import argparse
import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurokd.export.artefact import ExportOptions
from neurokd.export.bundle_nir import NirOptions, export_nir
from neurokd.export.nir_graphs.common import common_nodes
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.run_float import run_float
from neurokd.export.nir_graphs.time import timed
from neurokd.export.proof.witness import Witness

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "nir"
HEAD = """{today}, {machine}; Lava with {samples} images.

| framework | neurons | differing spikes | its accuracy | deployed | differing on Lava |
| --- | --- | --- | --- | --- | --- |"""


def differing_spikes(path: Path, recorded: Any, about: dict[str, Any]) -> tuple[int, int]:
    """How many spikes of the float graph in `path` differ from the recorded ones, and of how many."""
    pixels = torch.from_numpy(recorded["pixels"]).double() / 255
    graph = common_nodes(timed(read_nir(path), about["dt"], about["timesteps"]), pixels.shape[1:])
    differing = compared = 0
    for name, spikes in run_float(graph, pixels.unsqueeze(0)).spikes.items():
        theirs = np.unpackbits(recorded[f"spikes {name}"], count=spikes.numel())
        differing += int((theirs != spikes.numpy().ravel()).sum())
        compared += spikes.numel()
    return differing, compared


def row(path: Path, lava_samples: int, folder: Path) -> str:
    """The line of the table for the NIR file `path`, whose artefact is written into `folder`."""
    with np.load(path.with_suffix(".npz")) as recorded:
        about = json.loads(str(recorded["about"]))
        differing, compared = differing_spikes(path, recorded, about)
    witness = Witness(mode="require", samples=lava_samples)
    export = ExportOptions(lava=witness, target="loihi2-microcode" if about["soft"] else "loihi2")
    options = NirOptions(folder / path.stem, "digits", about["dt"], about["timesteps"], export)
    manifest = export_nir(path, options)
    deployed, lava = manifest["accuracy_per_step"][-1], manifest["verification"]["lava"]
    framework = f"{about['framework']} {about['versions'][about['framework']]}"
    spikes, integers = f"{differing} of {compared:,}", f"{lava['mismatches']} of {lava['compared']:,}"
    return f"| {framework} | `{about['neurons']}` | {spikes} | {about['accuracy']:.2%} | {deployed:.2%} | {integers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", required=True, help="Class of the machine, for the table.")
    parser.add_argument("--lava-samples", type=int, default=10)
    parser.add_argument("--only", default="*", help="Names of files, e.g. sinabs-*")
    args = parser.parse_args()
    print(HEAD.format(today=date.today(), machine=args.machine, samples=args.lava_samples))
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(FOLDER.glob(f"{args.only}.nir")):
            print(row(path, args.lava_samples, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
