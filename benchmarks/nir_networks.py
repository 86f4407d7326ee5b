"""Train small networks in other frameworks, save them by the framework's own NIR export, and record what they do.

    python benchmarks/nir_networks.py spikingjelly sinabs snntorch norse

Each network learns the handwritten digits of scikit-learn. `tests/data/nir/NAME.nir` is the file, `NAME.npz` what the
framework computed in 64-bit floats: the pixels of a few test images, the spikes of every population and the outputs
at every step, and in `about` the accuracy on all test images. The tests hold our evaluator against these where none of
the frameworks is installed. Only the frameworks that are asked for are imported.
"""

import argparse
import copy
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from neurokd.data.config import DataConfig
from neurokd.data.dataset import load_dataset

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "nir"
STEPS, BATCH, EPOCHS, LR = 8, 64, 10, 5e-3


@dataclass(frozen=True)
class Case:
    """A network `net` with what its framework needs.

    `run` maps inputs `[T, B, 1, 16, 16]` to outputs `[T, B, 10]`, from zero states. `save` returns the graph. `dt` are
    the seconds of a step in the units of that graph. `soft`: the reset subtracts, which the graph is told afterwards.
    `recorded`: of how many test images spikes are kept.
    """

    neurons: str
    dt: float
    net: nn.Sequential
    run: Callable[[torch.Tensor], torch.Tensor]
    save: Callable[[], nir.NIRGraph]
    soft: bool = False
    recorded: int = 8


def spikingjelly() -> dict[str, Case]:
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    def case(neurons: str, make: Callable[[], Any], bias: bool = True, soft: bool = False) -> Case:
        net = nn.Sequential(
            layer.Conv2d(1, 8, 3, padding=1, bias=bias), make(), layer.AvgPool2d(4), layer.Flatten(),
            layer.Linear(128, 24, bias=bias), make(), layer.Linear(24, 10),
        )  # fmt: skip
        functional.set_step_mode(net, "m")

        def run(x: torch.Tensor) -> torch.Tensor:
            functional.reset_net(net)
            outputs: torch.Tensor = net(x)
            return outputs

        def save() -> nir.NIRGraph:
            functional.reset_net(net)
            exported = copy.deepcopy(net)
            for node in (exported[1], exported[5]):
                node.v_reset = 0.0  # the export refuses a soft reset
            return export_to_nir(exported, torch.zeros(STEPS, 1, 1, 16, 16), dt=1e-4)

        return Case(neurons, 1e-4, net, run, save, soft)

    lif, plif, current = neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode
    return {
        "if": case("IFNode", neuron.IFNode),
        "if-soft": case("IFNode, v_reset=None", lambda: neuron.IFNode(v_reset=None), soft=True),
        "lif": case("LIFNode", lambda: lif(tau=1.6)),
        "lif-current": case("LIFNode, decay_input=False", lambda: lif(decay_input=False)),
        "plif": case("ParametricLIFNode", lambda: plif(init_tau=1.6)),
        "cubalif": case("CUBALIFNode", lambda: current(v_threshold=1.0), bias=False),
    }


def sinabs() -> dict[str, Case]:
    import sinabs.layers as sl
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
    from sinabs.nir import to_nir

    def case(neurons: str, make: Callable[..., Any], reset: Any) -> Case:
        first, second = (make(num_timesteps=STEPS, spike_fn=SingleSpike, reset_fn=reset, min_v_mem=None) for _ in "12")
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), first, sl.SumPool2d(4), nn.Flatten(), nn.Linear(128, 24), second,
            nn.Linear(24, 10),
        )  # fmt: skip

        def run(x: torch.Tensor) -> torch.Tensor:
            """sinabs puts the samples first: `[B T, ...]`."""
            for node in (first, second):
                node.v_mem = torch.zeros(0)
            outputs: torch.Tensor = net(x.transpose(0, 1).flatten(0, 1))
            return outputs.unflatten(0, (-1, STEPS)).transpose(0, 1)

        def save() -> nir.NIRGraph:
            run(torch.zeros(STEPS, 1, 1, 16, 16))
            graph = to_nir(net, torch.zeros(STEPS, 1, 16, 16))
            graph.nodes["0"].input_shape = (16, 16)  # sinabs leaves None here, which no file can hold
            graph.nodes["3"].input_type = {"input": np.array([8, 4, 4])}  # and here
            for node in (graph.nodes["1"], graph.nodes["5"]):
                if isinstance(node, nir.LIF):  # sinabs decays by exp(-1 / tau), an Euler step by 1 - dt / tau
                    node.tau = 1.0 / (1.0 - np.exp(-1.0 / node.tau.double().numpy()))
            return graph

        return Case(neurons, 1.0, net, run, save, isinstance(reset, MembraneSubtract))

    lif = functools.partial(sl.LIFSqueeze, tau_mem=5.0, spike_threshold=torch.tensor(0.3))
    return {
        "iaf": case("IAFSqueeze", sl.IAFSqueeze, MembraneReset()),
        "iaf-soft": case("IAFSqueeze, MembraneSubtract", sl.IAFSqueeze, MembraneSubtract()),
        "lif": case("LIFSqueeze", lif, MembraneReset()),
    }


def snntorch() -> dict[str, Case]:
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def case(kind: str, reset: str) -> Case:
        options: dict[str, Any] = {"reset_mechanism": reset, "reset_delay": False, "init_hidden": True}
        options |= {"beta": torch.full((24,), 0.8), "threshold": torch.ones(24)}
        options |= {"alpha": torch.full((24,), 0.6)} if kind == "Synaptic" else {}
        neurons = getattr(snn, kind)(**options)
        net = nn.Sequential(nn.Linear(256, 24, bias=kind == "Leaky"), neurons, nn.Linear(24, 10))

        def run(x: torch.Tensor) -> torch.Tensor:
            neurons.reset_mem()
            return torch.stack([net(one.flatten(1)) for one in x])

        def save() -> nir.NIRGraph:
            return export_to_nir(net, torch.zeros(256))

        return Case(f"{kind}, {reset}", 1e-4, net, run, save, reset == "subtract", recorded=64)

    return {
        "leaky": case("Leaky", "zero"),
        "leaky-soft": case("Leaky", "subtract"),
        "synaptic": case("Synaptic", "zero"),
    }


def norse() -> dict[str, Case]:
    import norse.torch as norse_torch
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.utils.export_nir import to_nir

    parameters = LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.4))
    net = norse_torch.SequentialState(
        nn.Linear(256, 24), norse_torch.LIFBoxCell(parameters), nn.Linear(24, 10), norse_torch.LIBoxCell()
    )

    def run(x: torch.Tensor) -> torch.Tensor:
        outputs, state = [], None
        for one in x:
            output, state = net(one.flatten(1), state)
            outputs.append(output)
        return torch.stack(outputs)

    def save() -> nir.NIRGraph:
        return to_nir(net, torch.zeros(1, 256))

    return {"lifbox": Case("LIFBoxCell, LIBoxCell", 1e-6, net, run, save, recorded=64)}


FRAMEWORKS = {"spikingjelly": spikingjelly, "sinabs": sinabs, "snntorch": snntorch, "norse": norse}


def train(case: Case, pixels: torch.Tensor, labels: torch.Tensor) -> None:
    """Cross-entropy of the summed outputs, or of the last membrane of a read-out that leaks."""
    optimiser = torch.optim.Adam(case.net.parameters(), LR)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(answers(case, pixels[chosen]), labels[chosen]).backward()
            optimiser.step()


def answers(case: Case, pixels: torch.Tensor) -> torch.Tensor:
    """`[B, 10]` for uint8 `pixels` `[B, 1, 16, 16]`, the same at every step, in the precision of the weights."""
    outputs = case.run(shown(case, pixels))
    return outputs[-1] if "LIBoxCell" in case.neurons else outputs.sum(0)


def shown(case: Case, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels as currents `[T, B, 1, 16, 16]`."""
    dtype = next(case.net.parameters()).dtype
    return (pixels.to(dtype) / 255).expand(STEPS, *pixels.shape)


def widen(net: nn.Sequential) -> None:
    """Let `net` compute in 64 bits, though sinabs and snnTorch make spikes of 32, which are 0 and 1 in either."""
    net.double()
    for module in net:
        module.register_forward_hook(lambda _, __, out: out.double() if isinstance(out, torch.Tensor) else out)


@torch.no_grad()
def record(case: Case, graph: nir.NIRGraph, pixels: torch.Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Spikes, packed to bits, and outputs of every step; populations are called as in `graph`."""
    names = [name for name, node in graph.nodes.items() if isinstance(node, nir.IF | nir.LIF | nir.CubaLIF)]
    modules = [case.net[int(name.removeprefix("_"))] for name in names]
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    hooks = [
        module.register_forward_hook(
            lambda _, __, out, name=name: seen[name].append(out[0] if isinstance(out, tuple) else out)
        )
        for name, module in zip(names, modules, strict=True)
    ]
    outputs = case.run(shown(case, pixels))
    for hook in hooks:
        hook.remove()
    found: dict[str, np.ndarray[Any, Any]] = {"pixels": pixels.numpy(), "outputs": outputs.numpy()}
    for name, steps in seen.items():
        spikes = steps[0] if len(steps) == 1 else torch.stack(steps)
        if len(spikes) == len(pixels) * STEPS:  # sinabs
            spikes = spikes.unflatten(0, (-1, STEPS)).transpose(0, 1)
        assert spikes.shape[:2] == outputs.shape[:2] and set(spikes.unique().tolist()) == {0.0, 1.0}, name
        found[f"spikes {name}"] = np.packbits(spikes.numpy().astype(bool))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="+", choices=FRAMEWORKS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = load_dataset(DataConfig(name="digits"), None)
    for framework in parser.parse_args().frameworks:
        torch.manual_seed(0)
        for kind, case in FRAMEWORKS[framework]().items():
            torch.manual_seed(1)
            train(case, data.train.images, data.train.labels)
            graph = case.save()
            for node in graph.nodes.values():
                if case.soft and isinstance(node, nir.IF | nir.LIF):
                    node.metadata = {"reset": "soft"}
            nir.write(FOLDER / f"{framework}-{kind}.nir", graph, compression=None if _scalars(graph) else "gzip")
            widen(case.net)
            with torch.no_grad():
                right = answers(case, data.test.images).argmax(1) == data.test.labels
            about = {
                "framework": framework, "versions": {name: version(name) for name in (framework, "nir", "torch")},
                "neurons": case.neurons, "dt": case.dt, "timesteps": STEPS, "soft": case.soft,
                "accuracy": float(right.double().mean()),
            }  # fmt: skip
            recorded = record(case, graph, data.test.images[: case.recorded])
            np.savez_compressed(FOLDER / f"{framework}-{kind}.npz", about=json.dumps(about), **recorded)
            print(f"{framework}-{kind}: {about['accuracy']:.2%}", flush=True)


def _scalars(graph: nir.NIRGraph) -> bool:
    """Parameters without an axis, as sinabs and norse write them, which NIR cannot compress."""
    return any(np.ndim(getattr(node, "v_threshold", [0])) == 0 for node in graph.nodes.values())


if __name__ == "__main__":
    main()
