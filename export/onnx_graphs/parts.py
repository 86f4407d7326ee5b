"""What the graph of one step and the unrolled graph share: the input, one step of all populations, the metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurokd import __version__
from neurokd.export.network import FRACTION_BITS, InputSpec, LoihiNetwork
from neurokd.export.onnx_graphs.graph import BOOL, FLOAT, INT32, INT64, UINT8, Graph, Shape
from neurokd.export.onnx_graphs.lif import State, add_current, add_neurons, add_readout
from neurokd.export.validate import INPUT


@dataclass(frozen=True)
class Step:
    """Names of the spikes (bool) and of the state of every population after one step, `[B, *shape]`."""

    spikes: Mapping[str, str]
    states: Mapping[str, State]


def user_shape(spec: InputSpec) -> tuple[int, ...]:
    """The shape of one image as the user has it, without the constant plane."""
    return (spec.shape[0] - 1, *spec.shape[1:]) if spec.constant else spec.shape


def add_input(graph: Graph, spec: InputSpec, lead: Shape) -> str:
    """Declare the input "input" `[*lead, *user shape]` and return its values as the populations read them.

    Bytes for spikes and graded inputs, as floats; int32 for a bias, as int64 and shifted left by six bits.
    As in `InputSpec.encode`, the last `shift` bits are rounded away here and the constant plane is appended.
    """
    of_bias = spec.kind == "bias"
    value = graph.input(INPUT, INT32 if of_bias else UINT8, [*lead, *user_shape(spec)])
    value = graph.cast(value, INT64 if of_bias else FLOAT)
    if spec.shift:
        halved = graph.node("Add", value, graph.constant((1 << spec.shift) // 2, np.float32))
        halved = graph.node("Mul", halved, graph.constant(1.0 / (1 << spec.shift), np.float32))  # exact
        value = graph.node("Min", graph.node("Floor", halved), graph.constant(spec.maximum, np.float32))
    if spec.constant:
        pads = np.zeros((2, len(lead) + len(spec.shape)), dtype=np.int64)
        pads[1, len(lead)] = 1  # one channel behind the others
        plane = graph.constant(spec.constant, np.int64 if of_bias else np.float32)
        value = graph.node("Pad", value, graph.constant(pads.ravel()), plane)
    if spec.kind == "spikes":
        value = graph.cast(graph.cast(value, BOOL), FLOAT)
    return graph.node("Mul", value, graph.constant(1 << FRACTION_BITS)) if of_bias else value


def add_step(
    graph: Graph, network: LoihiNetwork, wrapping: frozenset[str], inputs: str, before: Mapping[str, State]
) -> Step:
    """One step of every population in evaluation order.

    `wrapping` is what `prove_exact` found, `inputs` what `add_input` gave, of this step.
    """
    signals, spikes, states = {INPUT: inputs}, {}, {}
    for index, population in enumerate(network.populations):
        name = population.name
        bias = inputs if index == 0 and network.input.kind == "bias" else None
        current = add_current(graph, network, population, signals)
        spikes[name], states[name] = add_neurons(graph, population, current, before[name], bias, wraps=name in wrapping)
        signals[name] = graph.cast(spikes[name], FLOAT)
    return Step(spikes, states)


def add_logits(graph: Graph, network: LoihiNetwork, v: str, lead: Shape) -> None:
    """Declare "readout" (int64) and "logits" (float32) `[*lead, C]` of the read-out's membranes `v` `[*lead, C]`."""
    shape = [*lead, network.population(str(network.readout)).size]
    readout = add_readout(graph, v)
    graph.output("readout", readout, INT64, shape)
    scale = graph.constant(network.logit_scale, np.float32)
    graph.output("logits", graph.node("Mul", graph.cast(readout, FLOAT), scale), FLOAT, shape)


def metadata_of(network: LoihiNetwork, sha256: str | None) -> dict[str, str]:
    """The model's `metadata_props`; `network_sha256` is the checksum of the network.net that it was made from."""
    texts = {
        "neurokd": __version__,
        "timesteps": str(network.timesteps),
        "logit_scale": repr(float(network.logit_scale)),
        "labels": json.dumps(list(network.labels)),
        "input_kind": network.input.kind,
        "input_maximum": str(network.input.maximum),
        "input_shift": str(network.input.shift),
    }
    for population in network.populations:
        if population.initial.any():
            texts[f"initial/{population.name}"] = json.dumps(population.initial.tolist())
    return texts if sha256 is None else {**texts, "network_sha256": sha256}
