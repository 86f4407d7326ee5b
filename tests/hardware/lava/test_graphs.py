"""Residual networks and soft resets on Lava, and what becomes of them in plain Lava."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurokd.export.network import Connection, InputSpec, IntArray, LoihiNetwork, Population
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.proof.verify import compare
from neurokd.hardware.lava import graph_order, runner
from neurokd.hardware.lava.environment import lava_python
from neurokd.hardware.lava.runner import LavaJob, run_lava, run_lava_many
from neurokd.hardware.simulator import simulate

Case = Callable[..., tuple[LoihiNetwork, IntArray]]
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "conformance.py"


def residual(reset: str = "hard") -> tuple[LoihiNetwork, IntArray]:
    """a -> b -> c -> d with shortcuts a -> c, a -> d and input -> d, behind 8-bit images."""
    rng = np.random.default_rng(0)

    def even(*shape: int) -> IntArray:
        return rng.integers(-20, 21, shape) * 2

    shape = (3, 6, 5)
    populations = [Population(name, shape, np.array(40), bias=rng.integers(0, 9, 3)) for name in "bc"]
    populations = [Population("a", shape, np.array(4000)), *populations, Population("d", (4,), np.array(1000))]
    if reset == "soft":
        populations = [
            dataclasses.replace(p, decay_v=0, reset="soft", initial=np.asarray(32 * p.threshold)) for p in populations
        ]
    wide = {"padding": (1, 1)}
    connections = (
        Connection("input", "a", even(3, 2, 3, 3), **wide),  # type: ignore[arg-type]
        Connection("a", "b", even(3, 3, 3, 3), **wide),  # type: ignore[arg-type]
        Connection("b", "c", even(3, 3, 3, 3), **wide),  # type: ignore[arg-type]
        Connection("a", "c", even(3, 3, 1, 1)),
        Connection("c", "d", even(4, 90)),
        Connection("a", "d", even(4, 90)),
        Connection("input", "d", np.sign(even(4, 60)) * 2),
    )
    network = LoihiNetwork(InputSpec((2, 6, 5), "graded"), tuple(populations), connections, timesteps=4)
    return network, rng.integers(0, 256, (4, 3, 2, 6, 5))


@pytest.mark.lava
def test_shortcuts_arrive_with_the_longest_path_whatever_the_reset_and_the_convolution(tmp_path: Path) -> None:
    for reset in ("hard", "soft"):
        network, inputs = residual(reset)
        write_network(network, tmp_path / f"{reset}.net")
        ours = simulate(network, inputs)
        assert all(spikes.any() for spikes in ours.spikes.values())
        lava = run_lava(tmp_path / f"{reset}.net", inputs, fast=reset == "soft")
        assert compare(ours, lava).mismatches == 0, compare(ours, lava).describe()
        assert lava.info["loaded_by"] == "neurokd, from Lava processes"
        assert ("start and reset" in lava.info["process_models"]) == (reset == "soft")


@pytest.mark.lava
@pytest.mark.parametrize("joins", [False, True], ids=["chain", "graph"])
def test_more_groups_than_a_byte_counts(joins: bool, tmp_path: Path) -> None:
    """Lava would take 256 groups for 0. Each channel of `b` reads its own of `a`, and of the input where that joins."""
    rng = np.random.default_rng(1)
    names = ("a", "b", "c")
    populations = tuple(Population(name, (256, 3, 2), np.array(30)) for name in names)
    shapes = ((256, 2, 1, 1), (256, 1, 3, 1), (256, 1, 1, 1))
    weights = [rng.integers(-20, 21, shape) * 2 for shape in shapes]
    geometry: list[dict[str, Any]] = [{}, {"padding": (1, 0), "groups": 256}, {"groups": 256}]
    connections = [
        Connection(source, target, weight, **settings)
        for source, target, weight, settings in zip(("input", "a", "b"), names, weights, geometry, strict=True)
    ]
    if joins:
        connections.append(Connection("a", "c", rng.integers(-20, 21, (256, 1, 1, 1)) * 2, groups=256))
    network = LoihiNetwork(InputSpec((2, 3, 2), "spikes"), populations, tuple(connections), timesteps=3)
    inputs = rng.integers(0, 2, (3, 2, 2, 3, 2))
    write_network(network, tmp_path / "network.net")
    ours = simulate(network, inputs)
    assert all(spikes.any() and not spikes.all() for spikes in ours.spikes.values())
    assert compare(ours, simulate(read_network(tmp_path / "network.net"), inputs)).mismatches == 0
    for fast in (False, True):
        assert compare(ours, run_lava(tmp_path / "network.net", inputs, fast=fast)).mismatches == 0


@pytest.mark.lava
def test_without_relays_they_arrive_early_and_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs = residual()
    write_network(network, tmp_path / "network.net")
    monkeypatch.setattr(graph_order, "delay_of", lambda connection, lags: 0)
    comparison = compare(simulate(network, inputs), run_lava(tmp_path / "network.net", inputs))
    assert [name for name, count in comparison.populations.items() if count.mismatches] == ["c", "d"]


@pytest.mark.lava
def test_plain_lava_runs_a_soft_chain_with_hard_resets_from_rest(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, inputs = next(
        (network, inputs)
        for network, inputs in (case(seed, "soft chain") for seed in range(1000))
        if len(network.populations) > 2 and any(p.reset == "soft" for p in network.populations)
    )
    write_network(network, tmp_path / "soft.net")
    hard = [dataclasses.replace(p, reset="hard", initial=np.array(0)) for p in network.populations]
    monkeypatch.setattr(runner, "_starts_otherwise", lambda network: False)
    plain = run_lava(tmp_path / "soft.net", inputs)
    assert compare(simulate(dataclasses.replace(network, populations=tuple(hard)), inputs), plain).mismatches == 0
    assert compare(simulate(network, inputs), plain).mismatches > 0


@pytest.mark.lava
def test_plain_netx_fails_on_a_graph(tmp_path: Path) -> None:
    write_network(residual()[0], tmp_path / "graph.net")
    code = f"from lava.lib.dl.netx.hdf5 import Network; Network(net_config={str(tmp_path / 'graph.net')!r})"
    done = subprocess.run([str(lava_python().python), "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "'layer' doesn't exist" in done.stderr.splitlines()[-1]


@pytest.mark.lava
@pytest.mark.slow
def test_the_conformance_benchmark_counts_every_form_and_resumes(tmp_path: Path) -> None:
    for networks in (1, 6):
        command = [sys.executable, str(BENCHMARK), "--networks", str(networks), "--folder", str(tmp_path)]
        subprocess.run([*command, "--page", str(tmp_path / "page.md")], check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [record["seed"] for record in records] == list(range(6))
    found = json.loads((tmp_path / "page.json").read_text())
    assert found["mismatches"] == 0 and found["compared"] > 3000 and found["spikes"] > 500
    assert found["forms"] == {"chain": 2, "graph": 2, "soft chain": 1, "soft graph": 1}
    assert "**0 of " in (tmp_path / "page.md").read_text()


@pytest.mark.lava
def test_chains_and_graphs_share_a_process(case: Case, tmp_path: Path) -> None:
    cases = [case(3, form) for form in ("chain", "soft graph", "chain")]
    jobs = [LavaJob(tmp_path / f"{index}.net", inputs) for index, (_, inputs) in enumerate(cases)]
    for job, (network, _) in zip(jobs, cases, strict=True):
        write_network(network, job.network_path)
    for (network, inputs), lava in zip(cases, run_lava_many(jobs), strict=True):
        assert compare(simulate(network, inputs), lava).mismatches == 0
