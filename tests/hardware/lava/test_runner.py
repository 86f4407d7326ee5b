"""Networks on Lava: equal to the simulator bit by bit, and orderly when something goes wrong."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.network import IntArray, LoihiNetwork
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.hardware.lava import environment
from neurokd.hardware.lava.child import LavaFailed, run_child
from neurokd.hardware.lava.environment import LavaMissing, lava_python
from neurokd.hardware.lava.runner import WORKER, LavaJob, run_lava, run_lava_many
from neurokd.hardware.simulator import simulate
from neurokd.hardware.trace import Trace

FakePython = Callable[..., Path]
Case = Callable[..., tuple[LoihiNetwork, IntArray]]
NETWORKS = 12  # per Lava process; two examples make 24


def mismatches(a: Trace, b: Trace) -> int:
    """Differing values, over everything both traces hold."""
    differing = sum(int((a.spikes[name] != b.spikes[name]).sum()) for name in a.spikes)
    differing += sum(int((a.counts[name] != b.counts[name]).sum()) for name in a.counts)
    assert (a.readout is None) == (b.readout is None)
    assert a.spikes.keys() == b.spikes.keys()
    assert a.counts.keys() == b.counts.keys()
    return differing if a.readout is None else differing + int((a.readout != b.readout).sum())


@pytest.mark.lava
@pytest.mark.slow
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seeds=st.lists(st.integers(0, 2**32 - 1), min_size=NETWORKS, max_size=NETWORKS, unique=True))
def test_random_networks_run_on_lava_as_in_the_simulator(
    seeds: list[int], case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("networks")
    cases = [case(seed) for seed in seeds]
    jobs = []
    for index, (network, inputs) in enumerate(cases):
        write_network(network, folder / f"{index}.net")
        jobs.append(LavaJob(folder / f"{index}.net", inputs))
    active = 0
    for seed, (network, inputs), lava in zip(seeds, cases, run_lava_many(jobs), strict=True):
        expected = simulate(network, inputs)
        assert mismatches(expected, lava) == 0, f"seed {seed}: {network}"
        active += any(spikes.any() for spikes in expected.spikes.values())
    assert active > NETWORKS // 2, "too few of the networks spike for the comparison to say anything"


@pytest.fixture
def convolutional(case: Case, tmp_path: Path) -> tuple[Path, LoihiNetwork, IntArray]:
    """A network with convolutions, spikes as input and a read-out, its file and inputs."""
    for seed in range(1000):
        network, inputs = case(seed, "chain")
        kinds = [connection.kind for connection in network.connections]
        fits = kinds == ["conv", "conv", "dense", "dense"] and network.input.kind == "spikes"
        if fits and network.readout and inputs.shape[1] > 1:
            write_network(network, tmp_path / "network.net")
            return tmp_path / "network.net", network, inputs
    raise AssertionError("no such network among the first thousand")


@pytest.mark.lava
def test_fast_convolutions_compute_the_same(convolutional: tuple[Path, LoihiNetwork, IntArray]) -> None:
    path, network, inputs = convolutional
    fast = run_lava(path, inputs, fast=True)
    assert mismatches(simulate(network, inputs), fast) == 0
    assert "matrix product" in fast.info["process_models"]
    assert fast.backend == "lava"
    assert fast.info["lava-dl"]


@pytest.mark.lava
def test_one_changed_weight_is_seen(convolutional: tuple[Path, LoihiNetwork, IntArray]) -> None:
    path, network, inputs = convolutional
    last = network.connections[-1]
    weight = last.weight.copy()
    weight[0] = np.where(weight[0] > 0, weight[0] - 2, weight[0] + 2)
    changed = dataclasses.replace(
        network, connections=(*network.connections[:-1], dataclasses.replace(last, weight=weight))
    )
    write_network(changed, path)
    expected = simulate(network, inputs)
    assert expected.spikes[last.source].any(), "the changed weights must see a spike"
    assert mismatches(expected, run_lava(path, inputs)) > 0


@pytest.mark.lava
def test_an_error_inside_a_lava_process_is_shown_and_not_waited_for(
    convolutional: tuple[Path, LoihiNetwork, IntArray], tmp_path: Path
) -> None:
    path, network, _ = convolutional
    with h5py.File(path, "r+") as file:  # a threshold per channel, one too many: Lava alone would hang
        group = next(group for group in file["layer"].values() if "neuron" in group)
        del group["neuron/vThMant"]
        group["neuron/vThMant"] = np.arange(1, group["shape"][0] + 2)
    command = [str(lava_python().python), "-I", str(WORKER), str(order(tmp_path, path, network))]
    with pytest.raises(LavaFailed, match=r"(?s)exit code 1\..*run_spk.*could not be broadcast"):
        run_child(command, tmp_path / "log", 120)


def order(folder: Path, path: Path, network: LoihiNetwork, steps: int = 8) -> Path:
    """A worker's order for empty input."""
    np.save(folder / "frames.npy", np.zeros((steps, *network.input.shape[::-1]), dtype=np.int32))
    job = {"folder": str(folder), "network": str(path), "steps": steps, "reset_interval": network.timesteps}
    job |= {"reset_offset": 1, "message_bits": 0, "bias_input": False, "layers": len(network.populations)}
    rest = {"readout": None, "graph": None, "starts": None, "fast": False}
    (folder / "jobs.json").write_text(json.dumps([{**job, **rest}]))
    return folder / "jobs.json"


@pytest.mark.lava
def test_lava_ends_when_neurokd_is_killed(convolutional: tuple[Path, LoihiNetwork, IntArray], tmp_path: Path) -> None:
    path, network, _ = convolutional
    command = [str(lava_python().python), "-I", str(WORKER), str(order(tmp_path, path, network, 200_000))]
    code = "import subprocess; "
    code += f"child = subprocess.Popen({command!r}, start_new_session=True); print(child.pid, flush=True); child.wait()"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    group = int(parent.stdout.readline())
    limit = time.monotonic() + 60
    while len(members(group)) < 5 and time.monotonic() < limit:  # Lava has forked its processes
        time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    while members(group) and time.monotonic() < limit:
        time.sleep(0.1)
    assert members(group) == []


def members(group: int) -> list[int]:
    from neurokd.hardware.lava.child import group_members

    return group_members(group)


@pytest.fixture
def no_lava(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Lava."""
    monkeypatch.setattr(environment, "_in_this_interpreter", lambda: None)
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROKD_LAVA_PYTHON", raising=False)


@pytest.mark.usefixtures("no_lava")
def test_without_lava_the_error_says_how_to_get_it(convolutional: tuple[Path, LoihiNetwork, IntArray]) -> None:
    with pytest.raises(LavaMissing, match="neurokd lava install"):
        run_lava(convolutional[0], convolutional[2])


@pytest.mark.usefixtures("no_lava")
@pytest.mark.parametrize(
    ("worker", "message"),
    [
        ("echo compiling; sleep 300", r"(?s)not finished after 1 s.*\| compiling"),
        ("echo Killed >&2; exit 9", r"(?s)exit code 9.*\| Killed"),
    ],
)
def test_a_lava_that_hangs_or_crashes_leaves_a_message_and_nothing_else(
    worker: str,
    message: str,
    convolutional: tuple[Path, LoihiNetwork, IntArray],
    tmp_path: Path,
    fake_python: FakePython,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = f"echo $$ > {tmp_path}/group; {worker}"
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(fake_python(tmp_path / "fake", "3.10.9", lava=True, worker=body)))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(LavaFailed, match=message):
        run_lava(convolutional[0], convolutional[2], timeout_s=1)
    assert members(int((tmp_path / "group").read_text())) == []
    assert list(temporary.iterdir()) == []


def test_inputs_that_do_not_fit_are_refused(convolutional: tuple[Path, LoihiNetwork, IntArray]) -> None:
    path, network, inputs = convolutional
    with pytest.raises(NeurokdError, match="Lava takes integers"):
        run_lava(path, inputs.astype(np.float64))
    with pytest.raises(NeurokdError, match="inputs have shape"):
        run_lava(path, inputs[..., :-1])
    with pytest.raises(NeurokdError, match=f"allowed are 1 .static. or the network's {network.timesteps}"):
        run_lava(path, np.repeat(inputs[:1], network.timesteps + 1, axis=0))
    with pytest.raises(NeurokdError, match="32-bit"):
        run_lava(path, inputs.astype(np.int64) + 2**40)


@pytest.mark.lava
def test_a_network_file_of_lava_dl_itself_runs_as_in_the_simulator() -> None:
    python = lava_python().python
    assert python is not None
    found = sorted(python.parent.parent.glob("lib/*/site-packages/tests/lava/lib/dl/netx/tiny.net"))
    if not found:
        pytest.skip("lava-dl is not installed with its tests")
    network = read_network(found[0])
    images = np.random.default_rng(0).integers(0, 255, (1, 2, *network.input.shape))
    expected = simulate(network, images)
    assert all(spikes.any() for spikes in expected.spikes.values())
    assert mismatches(expected, run_lava(found[0], images)) == 0
