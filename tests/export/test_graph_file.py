"""Network files that are no netx chains: graphs, soft resets and initial membranes, and hostile versions of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.hardware.simulator import simulate

from ..networks import read_damaged, same
from ..random_networks import random_case

SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def residual(**changes: Any) -> LoihiNetwork:
    """input -> a -> b -> out with a shortcut a -> out; b resets softly and starts at half its threshold."""
    rng = np.random.default_rng(0)

    def even(*shape: int) -> Any:
        return rng.integers(-30, 31, shape) * 2

    network = LoihiNetwork(
        InputSpec((2, 5, 4), "graded", maximum=200),
        (
            Population("a", (3, 5, 4), np.array([900, 800, 700]), bias=rng.integers(-40, 60, (3, 5, 4))),
            Population("b", (3, 5, 4), np.array(90), decay_v=0, reset="soft", initial=np.array(32 * 90)),
            Population("out", (4,), np.array(131071), decay_v=0, bias=np.array([1, -2, 3, 0])),
        ),
        (
            Connection("input", "a", even(3, 2, 3, 3), padding=(1, 1)),
            Connection("a", "b", even(3, 1, 3, 1), padding=(2, 0), dilation=(2, 1), groups=3),
            Connection("b", "out", even(4, 60)),
            Connection("a", "out", even(4, 60)),
        ),
        timesteps=3,
        readout="out",
        logit_scale=0.25,
        labels=("one", "two", "three", "four"),
        metadata={"seed": 0},
    )
    return dataclasses.replace(network, **changes)


def chain(**neuron: Any) -> LoihiNetwork:
    """One dense layer."""
    population = Population("fc", (2,), np.array([10, 20]), **neuron)
    return LoihiNetwork(InputSpec((3,)), (population,), (Connection("input", "fc", np.array([[2, -4, 6]] * 2)),), 4)


@settings(max_examples=40, **SHARED)  # type: ignore[arg-type]
@given(seed=st.integers(0, 2**32 - 1), form=st.sampled_from(["soft chain", "graph", "soft graph"]))
def test_read_gives_back_what_was_written(seed: int, form: str, tmp_path: Path) -> None:
    network, inputs = random_case(seed, form)
    write_network(network, tmp_path / "network.net")
    again = read_network(tmp_path / "network.net")
    same(network, again)
    ours, theirs = simulate(network, inputs).spikes, simulate(again, inputs).spikes
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_graph_has_no_layers_and_a_chain_no_graph(tmp_path: Path) -> None:
    write_network(residual(), tmp_path / "graph.net")
    write_network(chain(), tmp_path / "chain.net")
    same(residual(), read_network(tmp_path / "graph.net"))
    with h5py.File(tmp_path / "graph.net") as graph, h5py.File(tmp_path / "chain.net") as stock:
        assert sorted(graph) == ["neurokd"]
        assert sorted(graph["neurokd"]) == ["connections", "input_shape", "network", "populations"]
        assert sorted(stock) == ["layer", "neurokd"]
        assert sorted(stock["neurokd"]) == ["network"]


def stored(path: Path) -> dict[str, Any]:
    """The JSON text of a network file."""
    with h5py.File(path) as file:
        found: dict[str, Any] = json.loads(file["neurokd/network"][()])
    return found


@pytest.mark.parametrize(
    ("neuron", "entry"),
    [
        ({"reset": "soft"}, {"reset": "soft", "initial": 0}),
        ({"initial": np.array([-5, 0])}, {"reset": "hard", "initial": [-5, 0]}),
        ({"reset": "soft", "initial": np.array(320)}, {"reset": "soft", "initial": 320}),
    ],
)
def test_what_netx_cannot_say_has_a_format_that_older_readers_refuse(
    neuron: dict[str, Any], entry: dict[str, Any], tmp_path: Path
) -> None:
    write_network(chain(**neuron), tmp_path / "new.net")
    write_network(chain(initial=np.array([0, 0])), tmp_path / "old.net")
    new, old = stored(tmp_path / "new.net"), stored(tmp_path / "old.net")
    assert (new["format"], new["neurons"]) == (2, [entry])
    assert old["format"] == 1 and "neurons" not in old
    same(chain(**neuron), read_network(tmp_path / "new.net"))


def edited(path: Path, text: dict[str, Any] | None = None, **datasets: Any) -> Path:
    """The residual network's file with datasets below `neurokd` replaced; None removes one; `__` stands for `/`."""
    write_network(residual(), path)
    changed = {"network": np.bytes_(json.dumps({**stored(path), **text}).encode())} if text else {}
    with h5py.File(path, "r+") as file:
        for key, value in {**changed, **datasets}.items():
            name = "neurokd/" + key.replace("__", "/")
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    return path


ONES = [{"reset": "hard", "initial": 0}] * 3
REFUSED = {
    "both forms": ({}, {"": None}, "holds both 'layer' and 'neurokd/connections'"),
    "no connections": ({}, {"connections": None}, "/layer: it is missing"),
    "no populations": ({}, {"populations": None}, "neurokd/populations: it is missing"),
    "a missing population": ({}, {"populations__1": None}, "neurokd/populations/1: it is missing"),
    "names for fewer": ({"populations": ["a"], "neurons": ONES[:1]}, {}, "1 population names for 3 populations"),
    "equal names": ({"populations": ["a", "a", "out"]}, {}, "unique names"),
    "neurons for fewer": ({"neurons": ONES[:2]}, {}, "2 neurons, needed in format 2 are 3"),
    "neurons in the old format": ({"format": 1}, {}, "3 neurons, needed in format 1 are 0"),
    "unknown reset": ({"neurons": [{"reset": "zero", "initial": 0}] * 3}, {}, r"field 'neurons.0.reset'"),
    "initial beyond v": ({"neurons": [{"reset": "hard", "initial": 1 << 23}] * 3}, {}, "field 'neurons.0.initial"),
    "initial of text": ({"neurons": [{"reset": "hard", "initial": "1"}] * 3}, {}, "field 'neurons.0.initial"),
    "initial of no channel": ({"neurons": [{"reset": "hard", "initial": []}] * 3}, {}, "'a': initial is"),
    "initial of other channels": ({"neurons": [{"reset": "hard", "initial": [1, 2]}] * 3}, {}, "'a': initial is"),
    "a cycle": ({}, {"connections__2__source": 3, "connections__2__target": 3}, "'out' -> 'out': it runs backwards"),
    "backwards": ({}, {"connections__3__source": 3, "connections__3__target": 1}, "'out' -> 'a': it runs backwards"),
    "into the input": ({}, {"connections__3__target": 0}, "connection 'a' -> 'input': it runs backwards"),
    "no such end": ({}, {"connections__3__source": 4}, r"connections/3/source: 4, allowed is 0 \(the input\) to 3"),
    "negative end": ({}, {"connections__3__source": -1}, "connections/3/source: -1, allowed is 0"),
    "a matrix for another end": ({}, {"connections__3__target": 2}, "'a' -> 'b': dense weight has shape"),
    "no weight": ({}, {"connections__0__weight": None}, "connections/0/weight: it is missing"),
    "no stride": ({}, {"connections__0__stride": None}, "connections/0/stride: it is missing"),
    "stride 0": ({}, {"connections__0__stride": 0}, r"connections/0/stride: \[0\], allowed"),
    "groups 0": ({}, {"connections__0__groups": 0}, "connection 'input' -> 'a': groups is"),
    "text for weights": ({}, {"connections__0__weight": np.array([b"abc"])}, "connections/0/weight: its type is"),
    "NaN": ({}, {"populations__0__threshold": np.nan}, "populations/0/threshold: it holds NaN"),
    "weights of three axes": ({}, {"connections__2__weight": np.ones((4, 5, 3), int)}, "weight is int32 of shape"),
    "endless shape": ({}, {"populations__2__shape": np.array([1 << 31])}, "populations/2/shape: values exceed 32 bits"),
    "huge shape": ({}, {"populations__2__shape": np.array([1 << 20, 1 << 20, 4])}, "populations/2/shape"),
    "huge input": ({}, {"input_shape": np.array([1 << 20, 1 << 20])}, "neurokd/input_shape"),
    "no input shape": ({}, {"input_shape": None}, "neurokd/input_shape: it is missing"),
    "shape of four axes": ({}, {"populations__2__shape": np.array([1, 1, 1, 4])}, "populations/2/shape"),
    "bias of another shape": ({}, {"populations__2__bias": np.array([1, 2])}, "population 'out': bias is"),
    "decay beyond 4096": ({}, {"populations__1__decay_v": 4097}, "population 'b': decay_v is 4097"),
    "soft reset at 0": ({}, {"populations__1__threshold": 0}, "population 'b': threshold reaches 0, a soft reset"),
    "a link": ({}, {"connections__0__weight": h5py.SoftLink("/neurokd/connections/2/weight")}, "it is a link"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "datasets", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_run_is_refused(
    text: dict[str, Any], datasets: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "network.net"
    if "" in datasets:
        with h5py.File(edited(path), "r+") as file:
            file.create_group("layer")
    else:
        edited(path, text, **datasets)
    with pytest.raises(NeurokdError, match=message) as caught:
        read_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_declared_sizes_are_checked_before_anything_is_allocated(tmp_path: Path) -> None:
    path = edited(tmp_path / "network.net", connections__2__weight=None)
    with h5py.File(path, "r+") as file:  # 128 TB of zeros in a few bytes
        group = file["neurokd/connections/2"]
        group.create_dataset("weight", (1 << 22, 1 << 22), "f8", chunks=(8, 8), compression="gzip")
    with pytest.raises(NeurokdError, match="connections/2/weight: it declares 140737488355328 bytes"):
        read_network(path)


@settings(max_examples=100, **SHARED)  # type: ignore[arg-type]
@given(data=st.data())
def test_damage_of_any_kind_is_a_neurokd_error(data: st.DataObject, tmp_path: Path) -> None:
    read_damaged(residual(), tmp_path, data)
