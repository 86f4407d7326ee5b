"""Network files: what is written is what is read, and what a file cannot hold is refused by name."""

import dataclasses
import json
import os
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
from neurokd.export.validate import conv_output_shape
from neurokd.hardware.simulator import simulate

from ..networks import read_damaged, same, within_24_bits

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@st.composite
def populations(draw: st.DrawFn, name: str, shape: tuple[int, ...]) -> Population:
    """Any population that the chip can hold."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    thresholds = [np.array(rng.integers(1, 131072)), rng.integers(1, 131072, shape[0])]
    biases = [None, rng.integers(-4095, 4096, shape[0]), rng.integers(-4095, 4096, shape)]
    initials = [np.array(0), np.array(rng.integers(1, 1 << 23)), rng.integers(-(1 << 23) + 1, 0, shape[0])]
    return Population(
        name,
        shape,
        draw(st.sampled_from(thresholds)),
        draw(st.integers(0, 4096)),
        draw(st.integers(0, 4096)),
        draw(st.sampled_from(biases)),
        draw(st.sampled_from(["hard", "soft"])),
        draw(st.sampled_from(initials)),
    )


@st.composite
def chains(draw: st.DrawFn) -> LoihiNetwork:
    """Any chain of convolutions and dense layers that a netx file can hold."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["spikes", "graded", "bias"]))
    shape: tuple[int, ...] = draw(st.sampled_from([(2, 7, 5), (1, 6, 6), (9,)]))
    names = iter(
        draw(st.lists(st.text(min_size=1).filter(lambda text: text != "input"), min_size=6, max_size=6, unique=True))
    )
    shift = draw(st.sampled_from([0, 2])) if kind == "graded" else 0
    spec = InputSpec(shape, kind, draw(st.sampled_from([0, 255])), 255 >> shift, shift)
    found: list[Population] = []
    connections: list[Connection] = []
    source = "input"
    if kind == "bias":
        found.append(dataclasses.replace(draw(populations(next(names), shape)), bias=None))
        source = found[0].name
    for _ in range(draw(st.integers(0, 2)) if len(shape) == 3 else 0):
        groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == 0]))
        largest = 3 if source == "input" else 127  # times 255, so that no sum can wrap
        weight = rng.integers(-largest, largest + 1, (groups * 2, shape[0] // groups, 3, 2)) * 2
        stride, dilation = draw(st.sampled_from([(1, 1), (2, 1)])), draw(st.sampled_from([(1, 1), (1, 2)]))
        connection = Connection(source, next(names), weight, stride, (1, 2), dilation, groups)
        shape = conv_output_shape(connection, shape)
        connections.append(connection)
        found.append(draw(populations(connection.target, shape)))
        source = connection.target
    for outputs in draw(st.lists(st.integers(2, 5), min_size=1, max_size=2)):
        largest = 3 if source == "input" else 127
        weight = rng.integers(-largest, largest + 1, (outputs, int(np.prod(shape)))) * 2
        weight[0, :2] = -2, 2  # both signs, so that netx keeps the matrix
        shape = (outputs,)
        connections.append(Connection(source, next(names), weight))
        found.append(draw(populations(connections[-1].target, shape)))
        source = connections[-1].target
    network = LoihiNetwork(
        spec,
        tuple(found),
        tuple(connections),
        draw(st.integers(1, 9)),
        draw(st.sampled_from([None, source])),
        draw(st.floats(allow_nan=False, allow_infinity=False)),
        tuple(draw(st.lists(st.text(), max_size=3))),
        draw(st.dictionaries(st.text(), JSON, max_size=3)),
    )
    return within_24_bits(network)


@settings(max_examples=40, **SHARED)  # type: ignore[arg-type]
@given(network=chains())
def test_read_gives_back_what_was_written(network: LoihiNetwork, tmp_path: Path) -> None:
    write_network(network, tmp_path / "network.net")
    same(network, read_network(tmp_path / "network.net"))


def small(**changes: Any) -> LoihiNetwork:
    """A convolution and a dense read-out over a 6 x 5 image."""
    rng = np.random.default_rng(0)
    network = LoihiNetwork(
        InputSpec((1, 6, 5), "graded"),
        (
            Population("conv", (3, 6, 5), np.array(900), bias=rng.integers(-40, 60, 3)),
            Population("out", (4,), np.array(131071), decay_v=0),
        ),
        (
            Connection("input", "conv", rng.integers(-30, 30, (3, 1, 3, 3)) * 2, padding=(1, 1)),
            Connection("conv", "out", rng.integers(-30, 30, (4, 90)) * 2),
        ),
        timesteps=4,
        readout="out",
    )
    return dataclasses.replace(network, **changes)


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_network(small(metadata={"seed": 1}), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_read_back_runs_the_same(tmp_path: Path) -> None:
    network = small()
    write_network(network, tmp_path / "network.net")
    images = np.random.default_rng(1).integers(0, 256, (1, 5, 1, 6, 5))
    a, b = simulate(network, images), simulate(read_network(tmp_path / "network.net"), images)
    assert a.spikes["conv"].any()
    assert all(np.array_equal(a.spikes[name], b.spikes[name]) for name in a.spikes)
    assert np.array_equal(a.readout, b.readout)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [np.full((4, 90), -128), np.zeros((4, 90), dtype=int)])
def test_a_dense_matrix_that_netx_would_change_is_refused(weight: Any, tmp_path: Path) -> None:
    network = small()
    connections = (network.connections[0], dataclasses.replace(network.connections[1], weight=weight))
    with pytest.raises(NeurokdError, match="connection 'conv' -> 'out': netx would change this dense matrix"):
        write_network(dataclasses.replace(network, connections=connections), tmp_path / "network.net")


@pytest.mark.parametrize("metadata", [{"a": float("nan")}, {"a": np.array(1)}, {"a": {1, 2}}])
def test_metadata_that_is_no_json_is_refused(metadata: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match="metadata: it is not JSON"):
        write_network(small(metadata=metadata), tmp_path / "network.net")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_network(small(), tmp_path / "network.net")
    before = (tmp_path / "network.net").read_bytes()
    with pytest.raises(NeurokdError):
        write_network(small(metadata={"a": float("inf")}), tmp_path / "network.net")
    assert [path.name for path in tmp_path.iterdir()] == ["network.net"]
    assert (tmp_path / "network.net").read_bytes() == before


def edited(path: Path, **datasets: Any) -> Path:
    """The small network's file with datasets replaced; None removes one; `__` stands for `/`."""
    write_network(small(), path)
    with h5py.File(path, "r+") as file:
        for key, value in datasets.items():
            name = key.replace("__", "/").removeprefix("_")
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    return path


def test_a_file_by_others_needs_no_group_of_ours(tmp_path: Path) -> None:
    network = read_network(edited(tmp_path / "a.net", neurokd=None, layer__3__neuron=None))
    out = network.populations[-1]
    assert [population.name for population in network.populations] == ["conv1", "dense3"]
    assert (network.input.kind, network.timesteps, network.readout) == ("spikes", 1, "dense3")
    assert (out.decay_u, out.decay_v, int(out.threshold)) == (0, 4096, 131072)


def test_floats_are_truncated_toward_zero_as_netx_does(tmp_path: Path) -> None:
    bias = np.array([1.9, -1.9, 40.0], dtype=np.float32)
    network = read_network(edited(tmp_path / "a.net", layer__1__bias=bias))
    assert network.populations[0].bias is not None
    assert network.populations[0].bias.tolist() == [1, -1, 40]


def test_fields_may_be_scalars_or_arrays_and_kernels_have_a_depth(tmp_path: Path) -> None:
    weight = small().connections[0].weight.astype(np.float32)[..., np.newaxis]
    path = edited(
        tmp_path / "a.net",
        layer__1__weight=weight,
        layer__1__padding=1,
        layer__1__stride=np.array([1]),
        layer__1__neuron__vThMant=np.array([900]),
        layer__1__neuron__iDecay=np.full(3, 4096),
        layer__1__bias=np.array([7.0]),
        layer__3__weight=small().connections[1].weight.reshape(-1),
    )
    network = read_network(path)
    assert network.connections[0].padding == (1, 1)
    assert np.array_equal(network.connections[1].weight, small().connections[1].weight)
    assert network.populations[0].threshold.shape == ()
    assert network.populations[0].bias is not None
    assert network.populations[0].bias.tolist() == [7, 7, 7]


REFUSED = {
    "missing group": ({"layer": None}, "/layer: it is missing"),
    "missing layer": ({"layer__1": None}, "layer/1: it is missing"),
    "missing weight": ({"layer__1__weight": None}, "layer/1/weight: it is missing"),
    "missing neuron": ({"layer__1__neuron": None}, "layer/1/neuron: it is missing, netx needs it"),
    "missing flatten": ({"layer__2__type": np.array([b"input"])}, "layer/2: an input layer, allowed is one"),
    "unknown layer": ({"layer__2__type": np.array([b"skip"])}, "layer/2: layer type 'skip', allowed are"),
    "pooling": ({"layer__2__type": np.array([b"pool"])}, "layer/2: layer type 'pool', allowed are"),
    "average": ({"layer__2__type": np.array([b"average"])}, "layer/2: layer type 'average'"),
    "concat": ({"layer__2__type": np.array([b"concat"])}, "layer/2: layer type 'concat'"),
    "recurrent": ({"layer__3__type": np.array([b"dense_rec"])}, "layer/3: layer type 'dense_rec'"),
    "other neuron": ({"layer__3__neuron__type": np.array([b"SDNN"])}, "layer/3/neuron/type: neuron 'SDNN', allowed"),
    "delay": ({"layer__3__delay": np.array([1])}, "layer/3/delay: netx does not run this"),
    "graded spikes": ({"layer__3__neuron__gradedSpike": True}, "gradedSpike: netx does not run this"),
    "wrong type": ({"layer__1__weight": np.array([b"abc"])}, r"layer/1/weight: its type is \|S3, allowed are numbers"),
    "not a number": ({"layer__1__bias": np.array([0, np.nan, 0])}, "layer/1/bias: it holds NaN"),
    "too large": ({"layer__1__bias": np.array([0, 1e12, 0])}, "layer/1/bias: values exceed 32 bits"),
    "lying shape": ({"layer__1__shape": np.array([3, 6, 6])}, r"layer/1/shape: it says \(3, 6, 6\), the convolution"),
    "no shape": ({"layer__0__shape": np.array([], dtype=int)}, "layer/0/shape"),
    "endless shape": ({"layer__0__shape": np.array([1, 2**30, 2**30])}, "layer/0/shape"),
    "negative shape": ({"layer__0__shape": np.array([1, -6, 5])}, "layer/0/shape"),
    "stride 0": ({"layer__1__stride": 0}, "layer/1/stride"),
    "groups 0": ({"layer__1__groups": 0}, "connection 'input' -> 'conv': groups is"),
    "groups differ": ({"layer__1__groups": np.array([1, 2])}, "layer/1/groups: 2 values that differ"),
    "weights of another layer": ({"layer__3__weight": np.ones((4, 8), dtype=int)}, "layer/3/weight: it reads 8 values"),
    "zero matrix": ({"layer__3__weight": np.zeros((4, 90), dtype=int)}, "layer/3/weight: all values are 0"),
    "bias of another shape": ({"layer__1__bias": np.zeros((2, 2), dtype=int)}, "layer/1/bias: shape"),
    "thresholds of another shape": ({"layer__1__neuron__vThMant": np.arange(2)}, "vThMant: shape"),
    "decay beyond 4096": ({"layer__1__neuron__vDecay": 5000}, "population 'conv': decay_v is 5000"),
    "no JSON": ({"neurokd__network": np.bytes_(b"{")}, "neurokd/network: it cannot be read"),
    "deep JSON": ({"neurokd__network": np.bytes_(b"[" * 40000)}, "neurokd/network: it cannot be read"),
    "newer format": ({"neurokd__network": np.bytes_(b'{"format": 3}')}, r"format 3, this version reads \(1, 2\)"),
    "format without fields": ({"neurokd__network": np.bytes_(b'{"format": 1}')}, "field 'input_kind'"),
    "a group for a dataset": (
        {"layer__1__weight": None, "layer__1__weight__x": 1},
        "layer/1/weight: it is not a dataset",
    ),
    "a dataset for a group": ({"layer__1__neuron": 3}, "layer/1/neuron: it is not a group"),
    "symbolic link": ({"layer__1__weight": h5py.SoftLink("/layer/3/weight")}, "layer/1/weight: it is a link"),
    "external link": ({"layer__1": h5py.ExternalLink("other.net", "/layer/1")}, "layer/1: it is a link"),
}


@pytest.mark.parametrize(("datasets", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_run_is_refused(datasets: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = edited(tmp_path / "network.net", **datasets)
    with pytest.raises(NeurokdError, match=message) as caught:
        read_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_in_other_files_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x02" * 27)
    path = edited(tmp_path / "network.net", layer__1__weight=None)
    with h5py.File(path, "r+") as file:
        file["layer/1"].create_dataset("weight", (3, 1, 3, 3), "i1", external=[(os.fspath(secret), 0, 27)])
    with pytest.raises(NeurokdError, match="layer/1/weight: its data lie in another file"):
        read_network(path)


def test_declared_sizes_are_checked_before_anything_is_allocated(tmp_path: Path) -> None:
    path = edited(tmp_path / "network.net", layer__1__weight=None)
    with h5py.File(path, "r+") as file:  # 128 TB of zeros in a few bytes
        file["layer/1"].create_dataset(
            "weight", (1 << 22, 1 << 22, 1, 1), "f8", chunks=(8, 8, 1, 1), compression="gzip"
        )
    with pytest.raises(NeurokdError, match="layer/1/weight: it declares 140737488355328 bytes"):
        read_network(path)


def test_an_unreadable_path_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.net").write_text(json.dumps({"layer": {}}))
    for path in (tmp_path / "none.net", tmp_path, tmp_path / "text.net"):
        with pytest.raises(NeurokdError, match="it cannot be read"):
            read_network(path)


@settings(max_examples=150, **SHARED)  # type: ignore[arg-type]
@given(data=st.data())
def test_damage_of_any_kind_is_a_neurokd_error(data: st.DataObject, tmp_path: Path) -> None:
    read_damaged(small(), tmp_path, data)
