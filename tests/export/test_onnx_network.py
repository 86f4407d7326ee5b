"""ONNX graphs under onnxruntime give the integers of the simulator, value by value at every step."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, IntArray, LoihiNetwork, Population
from neurokd.export.onnx_graphs.graph import OPSET, write_onnx
from neurokd.export.onnx_graphs.run import OnnxFile, run_onnx
from neurokd.export.onnx_graphs.step import step_model
from neurokd.export.onnx_graphs.unrolled import unrolled_model
from neurokd.export.onnx_graphs.witness import witness_onnx
from neurokd.export.validate import conv_output_shape
from neurokd.hardware import lif
from neurokd.hardware.simulator import simulate

from ..networks import LIF_CASES, lif_neuron

SEEDS = range(48)


def integers(rng: np.random.Generator, largest: int, *shape: int) -> IntArray:
    return rng.integers(-largest, largest + 1, shape)


def random_population(rng: np.random.Generator, name: str, shape: tuple[int, ...], largest: int) -> Population:
    biases = [None, integers(rng, largest, shape[0]), integers(rng, largest, *shape)]
    thresholds = [np.array(rng.integers(1, largest)), rng.integers(1, largest, shape[0]), np.array(131072)]
    decay_u, decay_v = (int(rng.choice([0, 1, 1000, 2048, 4095, 4096])) for _ in range(2))
    reset: Any = str(rng.choice(["hard", "soft"]))
    initials = [np.array(0), np.array(rng.integers(32 * largest)), integers(rng, 32 * largest, shape[0])]
    bias = biases[rng.integers(3)]
    return Population(
        name, shape, thresholds[rng.integers(3)], decay_u, decay_v, bias, reset, initials[rng.integers(3)]
    )


def random_conv(rng: np.random.Generator, source: str, channels: int, target: str, largest: int) -> Connection:
    groups = int(rng.choice([g for g in (1, 2, 4) if channels % g == 0]))
    weight = integers(rng, largest, 4, channels // groups, *rng.integers(1, 4, 2))
    stride, dilation = ((int(a), int(b)) for a, b in rng.integers(1, 3, (2, 2)))
    return Connection(
        source, target, weight, padding=(int(rng.integers(2, 4)), 2), groups=groups, stride=stride, dilation=dilation
    )


def random_network(seed: int) -> LoihiNetwork:
    """Two convolutions, of which the second may be residual, and two dense layers with a skip; every input kind."""
    rng = np.random.default_rng(seed)
    kind: Any = ("graded", "spikes", "bias")[seed % 3]
    largest = (40, 254, 600)[seed // 3 % 3]  # the last wraps u and clips v
    channels = int(rng.choice([2, 4]))
    shape = (channels, *(int(size) for size in rng.integers(5, 8, 2)))
    constant = 255 if kind == "graded" and seed % 2 else 0
    conv = random_conv(rng, "input", channels, "a", largest)
    if kind == "bias":
        populations = [dataclasses.replace(random_population(rng, "a", shape, largest), bias=None)]
        connections = []
    else:
        populations = [random_population(rng, "a", conv_output_shape(conv, shape), largest)]
        connections = [conv]
    second = random_conv(rng, "a", populations[0].shape[0], "b", largest)
    connections.append(second)
    if seed % 4 == 0:  # a shortcut of another kernel over the same geometry
        connections.append(dataclasses.replace(second, weight=integers(rng, largest, *second.weight.shape)))
    populations.append(random_population(rng, "b", conv_output_shape(second, populations[0].shape), largest))
    populations += [random_population(rng, "c", (6,), largest), random_population(rng, "d", (5,), largest)]
    pairs = [("b", "c"), ("c", "d"), *([("a", "d")] if seed % 2 else [])]
    sizes = {population.name: population.size for population in populations}
    connections += [Connection(s, t, integers(rng, largest, sizes[t], sizes[s])) for s, t in pairs]
    shift = seed % 3 if kind == "graded" else 0
    spec = InputSpec(shape, kind, constant, 255 >> shift, shift)
    return LoihiNetwork(spec, tuple(populations), tuple(connections), 1 + seed % 5, "d", 0.37, ("no", "yes"))


def random_images(network: LoihiNetwork, seed: int) -> IntArray:
    """Three images or, at every other seed, three recordings, without the constant plane."""
    rng = np.random.default_rng(seed)
    channels, *size = network.input.shape
    steps = () if seed % 2 else (network.timesteps,)
    low, high = (-40000, 40000) if network.input.kind == "bias" else (0, 255)
    images = rng.integers(low, high + 1, (3, *steps, channels - bool(network.input.constant), *size))
    return np.where(rng.random(images.shape) < 0.3, 0, images)


def written(model: onnx.ModelProto, folder: Path) -> OnnxFile:
    write_onnx(model, folder / "model.onnx")
    return OnnxFile(folder / "model.onnx")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_computes_the_simulators_integers(seed: int, tmp_path: Path) -> None:
    network, images = random_network(seed), random_images(random_network(seed), seed)
    ours = simulate(network, network.input.encode(images), state=True)
    theirs = run_onnx(written(step_model(network), tmp_path), network, images, state=True)
    for p in network.populations:
        for values, expected in ((theirs.u, ours.u), (theirs.v, ours.v), (theirs.spikes, ours.spikes)):
            assert np.array_equal(values[p.name], expected[p.name]), p.name
    assert ours.readout is not None and np.array_equal(theirs.readout, ours.readout)  # type: ignore[arg-type]
    static = images.ndim == 4
    unrolled = written(unrolled_model(network, static=static, spikes=True), tmp_path)
    comparison = witness_onnx(unrolled, network, images)
    assert comparison.mismatches == 0, comparison.describe()
    lean = written(unrolled_model(network, static=static), tmp_path)
    frames = images if static else images.swapaxes(0, 1)
    outputs = lean.run({"input": frames.astype(np.int32 if network.input.kind == "bias" else np.uint8)})
    assert set(outputs) == {"readout", "logits"}
    assert np.array_equal(outputs["readout"], ours.readout)
    assert np.allclose(outputs["logits"], ours.readout * 0.37, rtol=1e-6)


def test_the_random_networks_spike_wrap_and_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would prove little."""
    wraps = []
    wrap = lif._wrap_once
    monkeypatch.setattr(lif, "_wrap_once", lambda u: wraps.append(not u.equal(wrap(u))) or wrap(u))
    fired = clipped = residual = 0
    for seed in SEEDS:
        network, images = random_network(seed), random_images(random_network(seed), seed)
        trace = simulate(network, network.input.encode(images))
        fired += sum(int(spikes.any()) for spikes in trace.spikes.values())
        clipped += sum(trace.saturated.values()) > 0
        residual += any(len(network.incoming(p.name)) > 1 for p in network.populations)
    assert fired > 80 and sum(wraps) > 20 and clipped > 5 and residual > 20, (fired, sum(wraps), clipped, residual)


@pytest.mark.parametrize("case", LIF_CASES, ids=[case["name"] for case in LIF_CASES])
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    """The neuron as worked out by hand: the weight of input t is the sum of step t, and only input t spikes there."""
    steps = len(case["a"])
    synapses = Connection("input", "neuron", np.array([case["a"]]))
    network = LoihiNetwork(InputSpec((steps,)), (lif_neuron(case),), (synapses,), steps, readout="neuron")
    frames = np.eye(steps, dtype=np.int64)[np.newaxis]
    trace = run_onnx(written(step_model(network), tmp_path), network, frames, state=True)
    assert trace.u["neuron"].ravel().tolist() == case["u"]
    assert trace.v["neuron"].ravel().tolist() == case["v"]
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
    whole = run_onnx(written(unrolled_model(network, static=False, spikes=True), tmp_path), network, frames)
    assert whole.spikes["neuron"].ravel().tolist() == case["spikes"]
    assert whole.readout is not None and whole.readout.ravel().tolist() == [v // 64 for v in case["v"]]


def population_of(name: str, size: int, **changes: Any) -> Population:
    return dataclasses.replace(Population(name, (size,), np.array(100)), **changes)


def dense_network(weight: IntArray, **changes: Any) -> LoihiNetwork:
    """Bytes into one population called "out"."""
    synapses = Connection("input", "out", weight)
    network = LoihiNetwork(
        InputSpec(weight.shape[1:], "graded"), (population_of("out", len(weight)),), (synapses,), 2, readout="out"
    )
    return dataclasses.replace(network, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"connections": (Connection("input", "out", np.array([[32897]])),)}, "population 'out': its synaptic sum can"),
        ({"populations": (population_of("out", 1, threshold=np.array(1 << 31)),)}, "'out': threshold of 2147483648"),
        ({"populations": (population_of("out", 1, bias=np.array([-(1 << 31)])),)}, "'out': bias of 2147483648"),
        ({"input": InputSpec((1,), "graded", maximum=256)}, "inputs: values up to 256, an ONNX graph takes bytes"),
        ({"connections": (Connection("input", "out", np.array([[-(1 << 63)]])),)}, "can reach 9223372036854775808"),
        ({"input": InputSpec((1,), "graded", constant=1 << 23)}, "inputs: a constant plane of 8388608"),
        ({"timesteps": 257}, "257 timesteps, allowed in an unrolled ONNX graph are 256; use the graph of one step"),
        ({"timesteps": 0}, "timesteps is 0"),
    ],
)
def test_what_onnx_cannot_hold_exactly_is_refused(changes: dict[str, Any], message: str) -> None:
    network = dense_network(np.array([[32896]]))  # 255 * 32896 = 2^23 - 128
    unrolled_model(network)
    with pytest.raises(NeurokdError, match=message):
        unrolled_model(dataclasses.replace(network, **changes))


def test_the_largest_exact_sum(tmp_path: Path) -> None:
    network = dense_network(np.array([[32896]]))
    trace = run_onnx(written(step_model(network), tmp_path), network, np.array([[255]]), state=True)
    a = 255 * 32896 << 6  # 536862720 - 2^24 = 520085504: one wrap only
    assert trace.u["out"].ravel().tolist() == [a - (1 << 24)] * 2


def test_a_network_without_readout_gives_its_spikes(tmp_path: Path) -> None:
    network = dense_network(np.array([[60], [40]]), readout=None)
    file = written(unrolled_model(network), tmp_path)
    assert run_onnx(file, network, np.array([[1], [2]])).spikes["out"].tolist() == [[[0, 0], [1, 0]], [[0, 0], [1, 1]]]


@pytest.mark.parametrize("make", [unrolled_model, step_model])
def test_the_file_is_deterministic_and_says_where_it_is_from(make: Any, tmp_path: Path) -> None:
    network = random_network(0)
    for name in ("a", "b"):
        write_onnx(make(random_network(0), sha256="abc"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    model = onnx.load(tmp_path / "a")
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata == OnnxFile(tmp_path / "a").metadata
    assert metadata["timesteps"] == str(network.timesteps) and metadata["logit_scale"] == "0.37"
    assert metadata["labels"] == '["no", "yes"]' and metadata["network_sha256"] == "abc"


def test_a_streaming_caller_finds_the_initial_membrane_in_the_metadata(tmp_path: Path) -> None:
    network = dense_network(np.array([[2], [4]]))
    half = dataclasses.replace(network.populations[0], reset="soft", initial=np.array([3200, -1]))
    file = written(step_model(dataclasses.replace(network, populations=(half,))), tmp_path)
    assert file.metadata["initial/out"] == "[3200, -1]"
    assert not [key for key in written(step_model(network), tmp_path).metadata if key.startswith("initial")]


def test_the_batch_is_free_and_samples_do_not_touch(tmp_path: Path) -> None:
    network = random_network(3)
    images = random_images(network, 3)
    file = written(unrolled_model(network), tmp_path)
    whole = file.run({"input": images.astype(np.uint8)})["readout"]
    for sample in range(len(images)):
        alone = file.run({"input": images[sample : sample + 1].astype(np.uint8)})["readout"]
        assert np.array_equal(alone[:, 0], whole[:, sample])


@pytest.mark.parametrize("make", [lambda n: unrolled_model(n, spikes=True), step_model])
def test_one_other_weight_is_found(make: Any, tmp_path: Path) -> None:
    network = dense_network(np.array([[50]]))
    model = make(network)
    weight = next(values for values in model.graph.initializer if values.name == "weight/0/input/out")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 2, weight.name))
    comparison = witness_onnx(written(model, tmp_path), network, np.array([[2]]))  # 104 > 100, and not 100 > 100
    assert comparison.mismatches > 0 and "first: 'out' at step 0" in comparison.describe()


def test_batches_of_a_comparison_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that differs from the file only where an input is 2; it is the third image of the second batch."""
    file = written(unrolled_model(dense_network(np.array([[50]])), spikes=True), tmp_path)
    other = dense_network(np.array([[51]]))
    monkeypatch.setattr("neurokd.export.onnx_graphs.witness.batch_size", lambda network: 4)
    images = np.array([0, 0, 0, 0, 0, 0, 2, 0, 0]).reshape(-1, 1)
    comparison = witness_onnx(file, other, images)
    assert comparison.compared == 9 * 2 * 2
    assert comparison.first is not None and (comparison.first.sample, comparison.first.step) == (6, 0)
    assert comparison.populations["out"].mismatches == 1  # at step 0 102 > 100, and not 100 > 100; both spike at step 1


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.array([[256]]), "the largest is 256, allowed is 255"),
        (np.array([[-1]]), r"inputs: values of -1..-1, an ONNX graph takes uint8 here"),
        (np.array([[1, 2]]), r"inputs: shape \(1, 2\), needed is"),
        (np.zeros((1, 3, 1), np.int64), r"inputs: shape \(1, 3, 1\), needed is"),
        (np.zeros((1, 2, 1), np.int64), "onnxruntime cannot run it"),
    ],
)
def test_wrong_images_are_refused(images: IntArray, message: str, tmp_path: Path) -> None:
    network = dense_network(np.array([[50]]))
    with pytest.raises(NeurokdError, match=message):
        run_onnx(written(unrolled_model(network), tmp_path), network, images)


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_a_damaged_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    if content is None:
        write_onnx(unrolled_model(random_network(0)), path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(content)
    with pytest.raises(NeurokdError, match=r"damaged\.onnx"):
        OnnxFile(path)
