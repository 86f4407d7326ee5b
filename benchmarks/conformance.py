"""Random networks on Lava and in the simulator: every spike and every read-out, counted by what the networks have.

    python benchmarks/conformance.py --networks 500 --page docs/results/conformance.md

Each finished network is one line of `FOLDER/records.jsonl`; started again, the script goes on behind the last one.
The networks follow from their numbers. Records of another generator do not count. Exit code 1 on any difference.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the networks of the tests

from neurokd.export.network import LoihiNetwork
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.proof.verify import compare
from neurokd.files import write_json
from neurokd.hardware.lava.runner import LavaJob, run_lava_many
from neurokd.hardware.simulator import simulate
from neurokd.hardware.trace import Trace
from neurokd.runs import environment
from tests import random_networks

FORMS = random_networks.FORMS
GENERATOR = hashlib.sha256(Path(random_networks.__file__).read_bytes()).hexdigest()[:16]
Record = dict[str, Any]


def run_batch(seeds: list[int]) -> list[Record]:
    """One Lava process for all `seeds`; from the file on, nothing is shared with the simulator."""
    cases = [random_networks.random_case(seed, FORMS[seed % len(FORMS)]) for seed in seeds]
    with tempfile.TemporaryDirectory() as folder:
        jobs = [LavaJob(Path(folder) / f"{seed}.net", inputs) for seed, (_, inputs) in zip(seeds, cases, strict=True)]
        for job, (network, _) in zip(jobs, cases, strict=True):
            write_network(network, job.network_path)
        read = [read_network(job.network_path) for job in jobs]
        traces = run_lava_many(jobs)
    return [
        record_of(seed, network, inputs, lava)
        for seed, network, (_, inputs), lava in zip(seeds, read, cases, traces, strict=True)
    ]


def record_of(seed: int, network: LoihiNetwork, inputs: Any, lava: Trace) -> Record:
    """What was compared, what differed, and what the network has."""
    ours = simulate(network, inputs, state=True)
    comparison = compare(ours, lava)
    return {
        "seed": seed,
        "generator": GENERATOR,
        "form": FORMS[seed % len(FORMS)],
        "features": sorted(random_networks.features(network, inputs) | happened(network, ours)),
        "compared": comparison.compared,
        "mismatches": comparison.mismatches,
        "spikes": sum(int(spikes.sum()) for spikes in ours.spikes.values()),
        "difference": comparison.describe() if comparison.mismatches else None,
        "lava": {name: lava.info[name] for name in ("lava-nc", "lava-dl", "python")},
    }


def happened(network: LoihiNetwork, trace: Trace) -> set[str]:
    """What shows in the run alone: a v that meets its threshold exactly, one that was clipped, spikes."""
    found = {"v clipped"} if any(trace.saturated.values()) else set()
    for population in network.populations:
        v, fired = trace.v[population.name], trace.spikes[population.name].astype(bool)
        threshold = (np.asarray(population.threshold) << 6).reshape(-1, *[1] * (len(population.shape) - 1))
        met = fired & (v == 0) if population.reset == "soft" else ~fired & (v == threshold)
        found |= {f"v at a {population.reset} threshold"} if met.any() else set()
        found |= {"spikes"} if fired.any() else set()
    return found


def summary(records: list[Record]) -> Record:
    """The figures of the page."""
    return {
        "networks": len(records),
        "compared": sum(record["compared"] for record in records),
        "mismatches": sum(record["mismatches"] for record in records),
        "spikes": sum(record["spikes"] for record in records),
        "forms": dict(sorted(Counter(record["form"] for record in records).items())),
        "features": dict(sorted(Counter(name for record in records for name in record["features"]).items())),
        "differences": [(record["seed"], record["difference"]) for record in records if record["mismatches"]],
        "lava": records[-1]["lava"],
        "environment": environment(),
    }


def page_of(found: Record, command: str) -> str:
    """The page in Markdown."""
    versions, machine = found["lava"], found["environment"]
    forms = {name: found["forms"].get(name, 0) for name in FORMS}
    lines = [
        "# Conformance with Lava",
        "",
        "| | |",
        "| --- | --- |",
        f"| date | {machine['created'][:10]} |",
        f"| machine | {machine['system']}, {machine['cpu_count']} cores, no GPU; other work on the machine |",
        f"| reference | lava-nc {versions['lava-nc']}, lava-dl {versions['lava-dl']} on Python {versions['python']} |",
        "",
        "```console",
        f"$ {command}",
        "```",
        "",
        f"{found['networks']} random networks were written to a file, read back, and run by the simulator and by "
        f"Lava's CPU simulation. **{found['mismatches']:,} of {found['compared']:,} values differ**: every neuron's "
        f"spike and the read-out's membrane, at every step of every sample. They hold {found['spikes']:,} spikes.",
        "",
        "| networks | loaded by | neurons | number |",
        "| --- | --- | --- | --- |",
        f"| chain | stock netx | stock | {forms['chain']} |",
        f"| soft chain | stock netx | soft reset or initial membrane, some populations | {forms['soft chain']} |",
        f"| graph | neurokd, from Lava processes | stock | {forms['graph']} |",
        f"| soft graph | neurokd, from Lava processes | as in soft chains | {forms['soft graph']} |",
        "",
        "| networks with | number |",
        "| --- | --- |",
        *(f"| {name} | {count} |" for name, count in found["features"].items()),
        "",
        *(f"- seed {seed}: {text}" for seed, text in found["differences"]),
        (Path(__file__).parent / "conformance_quirks.md").read_text(encoding="utf-8").strip(),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--batch", type=int, default=12, help="networks per Lava process")
    parser.add_argument("--folder", type=Path, default=Path("runs/conformance"))
    parser.add_argument("--page", type=Path, help="write this page, and its figures as .json beside it")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "records.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    stored = [record for record in map(json.loads, lines) if record["generator"] == GENERATOR]
    records = {record["seed"]: record for record in stored if record["seed"] < arguments.networks}
    missing = [seed for seed in range(arguments.networks) if seed not in records]
    for start in range(0, len(missing), arguments.batch):
        for record in run_batch(missing[start : start + arguments.batch]):
            records[record["seed"]] = record
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        found = summary(list(records.values()))
        print(f"{len(records)} networks: {found['mismatches']} of {found['compared']:,} values differ", flush=True)
    found = summary([records[seed] for seed in sorted(records)])
    if arguments.page:
        write_json(arguments.page.with_suffix(".json"), found)
        command = f"python benchmarks/conformance.py --networks {arguments.networks} --page {arguments.page}"
        arguments.page.write_text(page_of(found, command), encoding="utf-8")
    return 1 if found["mismatches"] else 0


if __name__ == "__main__":
    sys.exit(main())
