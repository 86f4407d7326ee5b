"""Small models of other frameworks, saved by their own NIR export: our evaluator spikes as they do, spike by spike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.run_float import FloatTrace, run_float
from neurokd.export.nir_graphs.time import timed
from neurokd.export.quantization.quantize import quantize

STEPS = 10
Evaluate = Callable[[nir.NIRGraph, float, torch.Tensor], FloatTrace]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """Write a graph, read it, rewrite it, quantise it, and run its float form on `[T, B, ...]`."""

    def run(graph: nir.NIRGraph, dt: float, inputs: torch.Tensor) -> FloatTrace:
        nir.write(tmp_path / "model.nir", graph, compression=None)  # NIR cannot compress the scalars of some
        ours = common_nodes(timed(read_nir(tmp_path / "model.nir"), dt, STEPS))
        assert quantize(fold(ours)).network.timesteps == STEPS
        return run_float(ours, inputs if inputs.ndim == 5 else inputs.unflatten(2, (-1, 1, 1)))

    return run


def louder(net: nn.Module, factor: float) -> None:
    """Weights so large that neurons fire."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.mul_(factor)


def compare(trace: FloatTrace, theirs: dict[str, list[torch.Tensor]]) -> None:
    assert set(trace.spikes) == set(theirs)
    for name, steps in theirs.items():
        spikes = torch.stack(steps).bool()
        assert 0.002 < spikes.double().mean() < 0.9
        assert torch.equal(trace.spikes[name], spikes), name


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
def test_snntorch(kind: str, evaluate: Evaluate) -> None:
    snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(0)

    def neurons(size: int) -> nn.Module:
        """A reset that takes effect at once: Synaptic's delayed one loses the input of the next step as well."""
        options = {"threshold": torch.ones(size), "reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
        decays = {"alpha": torch.full((size,), 0.6)} if kind == "Synaptic" else {}
        return getattr(snn, kind)(**decays, beta=torch.full((size,), 0.8), **options)

    first, last = neurons(20), neurons(5)
    net = nn.Sequential(nn.Linear(12, 20, bias=kind == "Leaky"), first, nn.Linear(20, 5, bias=False), last)
    louder(net, 3.0)
    graph = export_to_nir(net, torch.rand(12))
    inputs = torch.rand(STEPS, 16, 12)
    for layer in (first, last):
        layer.mem = torch.zeros(0)
    theirs: dict[str, list[torch.Tensor]] = {"1": [], "3": []}
    with torch.no_grad():
        for x in inputs:
            theirs["1"].append(first(net[0](x)))
            theirs["3"].append(last(net[2](theirs["1"][-1])))
    compare(evaluate(graph, 1e-4, inputs), theirs)


def test_norse(evaluate: Evaluate) -> None:
    """norse writes tau as dt / (1 / tau) and no dt: with its dt of 1e-3 that is 1e-3 tau, at steps of 1e-6."""
    import norse.torch as norse
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.utils.export_nir import to_nir

    torch.manual_seed(0)
    neurons = norse.LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.4)))
    first, second, readout = nn.Linear(12, 20), nn.Linear(20, 5), norse.LIBoxCell()
    net = norse.SequentialState(first, neurons, second, readout)
    louder(net, 4.0)
    graph, inputs = to_nir(net, torch.rand(1, 12)), torch.rand(STEPS, 16, 12)
    spikes, membrane = [], []
    states = [None, None]
    with torch.no_grad():
        for x in inputs:
            z, states[0] = neurons(first(x), states[0])
            v, states[1] = readout(second(z), states[1])
            spikes.append(z)
            membrane.append(v)
    trace = evaluate(graph, 1e-6, inputs)
    compare(trace, {"1": spikes})
    assert torch.allclose(trace.answer, torch.stack(membrane), atol=1e-5)


@pytest.mark.parametrize("kind", ["IFNode", "soft", "LIFNode", "decay_input", "ParametricLIFNode", "CUBALIFNode"])
def test_spikingjelly(kind: str, evaluate: Evaluate) -> None:
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed", exc_type=ImportError)
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    torch.manual_seed(0)
    options = {"soft": {"v_reset": None}, "decay_input": {"decay_input": False}}.get(kind, {})
    make = getattr(neuron, {"soft": "IFNode", "decay_input": "LIFNode"}.get(kind, kind))
    first, last, bias = make(**options), make(**options), kind != "CUBALIFNode"
    conv, linear = layer.Conv2d(2, 4, 3, padding=1, bias=bias), layer.Linear(4 * 3 * 3, 8, bias=bias)
    net = nn.Sequential(conv, first, layer.AvgPool2d(2), layer.Flatten(), linear, last, layer.Linear(8, 3))
    functional.set_step_mode(net, "m")
    louder(net, 10.0 if kind in ("LIFNode", "ParametricLIFNode") else 4.0)
    inputs = torch.rand(STEPS, 4, 2, 6, 6)
    with torch.no_grad():
        z = first(conv(inputs))
        y = last(linear(net[3](net[2](z))))
    functional.reset_net(net)
    if kind == "soft":
        with pytest.raises(NotImplementedError, match="soft reset"):
            export_to_nir(net, inputs)
        first.v_reset = last.v_reset = 0.0
    graph = export_to_nir(net, inputs)
    for name in ("_1", "_5") if kind == "soft" else ():
        graph.nodes[name].metadata = {"reset": "soft"}
    compare(evaluate(graph, 1e-4, inputs), {"_1": list(z), "_5": list(y)})


def test_a_membrane_of_spikingjelly_that_is_reset_elsewhere_is_refused(evaluate: Evaluate) -> None:
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed", exc_type=ImportError)
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    graph = export_to_nir(nn.Sequential(nn.Linear(4, 3), neuron.LIFNode(v_reset=-0.2)), torch.rand(1, 4))
    with pytest.raises(NeurokdError, match="layer '_1': needs v_leak = v_reset = 0"):
        evaluate(graph, 1e-4, torch.rand(STEPS, 1, 4))


def sinabs_layers() -> Any:
    reason = "sinabs, or matplotlib and samna for it, is not installed"
    pytest.importorskip("sinabs", reason=reason, exc_type=ImportError)
    return pytest.importorskip("sinabs.layers")


def test_lif_of_sinabs(evaluate: Evaluate) -> None:
    """It decays by exp(-1 / tau), an Euler step by 1 - dt / tau: the graph takes the tau at which both are equal."""
    sl = sinabs_layers()
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    torch.manual_seed(0)
    options = {"batch_size": 4, "spike_fn": SingleSpike, "reset_fn": MembraneReset(), "min_v_mem": None}
    first, last = sl.LIFSqueeze(tau_mem=5.0, **options), sl.LIFSqueeze(tau_mem=2.0, **options)
    net = nn.Sequential(nn.Linear(12, 20), first, nn.Linear(20, 5), last)
    louder(net, 8.0)
    inputs = torch.rand(4 * STEPS, 12)
    with torch.no_grad():
        z = first(net[0](inputs))
        y = last(net[2](z))
        graph = to_nir(net, inputs)
    for name in ("1", "3"):
        graph.nodes[name].tau = 1.0 / (1.0 - np.exp(-1.0 / graph.nodes[name].tau.numpy().astype(float)))
    theirs = {name: list(spikes.unflatten(0, (4, STEPS)).transpose(0, 1)) for name, spikes in {"1": z, "3": y}.items()}
    compare(evaluate(graph, 1.0, inputs.unflatten(0, (4, STEPS)).transpose(0, 1)), theirs)


def test_sinabs(evaluate: Evaluate) -> None:
    sl = sinabs_layers()
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    torch.manual_seed(0)
    options = {"batch_size": 4, "spike_fn": SingleSpike, "reset_fn": MembraneReset(), "min_v_mem": None}
    first, last = sl.IAFSqueeze(**options), sl.IAFSqueeze(**options)
    conv, linear = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.Linear(4 * 3 * 3, 8)
    net = nn.Sequential(conv, first, sl.SumPool2d(2), nn.Flatten(), linear, last, nn.Linear(8, 3))
    inputs = torch.rand(4 * STEPS, 2, 6, 6)  # sinabs puts the samples first
    with torch.no_grad():
        net(inputs)
        graph = to_nir(net, inputs)
        first.reset_states()
        last.reset_states()
        z = first(conv(inputs))
        y = last(linear(net[3](net[2](z))))
    graph.nodes["0"].input_shape = np.array([6, 6])  # a file cannot hold the None that sinabs leaves there
    graph.infer_types()
    theirs = {name: list(spikes.unflatten(0, (4, STEPS)).transpose(0, 1)) for name, spikes in {"1": z, "5": y}.items()}
    compare(evaluate(graph, 1.0, inputs.unflatten(0, (4, STEPS)).transpose(0, 1)), theirs)
