"""One step of a `LoihiNetwork` as an ONNX graph; the caller carries the state from step to step."""

import onnx

from neurokd.export.network import LoihiNetwork
from neurokd.export.onnx_graphs.exact import prove_exact
from neurokd.export.onnx_graphs.graph import BATCH, INT64, UINT8, Graph, Shape
from neurokd.export.onnx_graphs.lif import State
from neurokd.export.onnx_graphs.parts import add_input, add_logits, add_step, metadata_of


def step_model(network: LoihiNetwork, *, sha256: str | None = None) -> onnx.ModelProto:
    """The graph of one step, for streams of any length; it computes the integers of `simulate`.

    Inputs: "input" `[B, *shape]` as the user has it (uint8, or int32 for a bias; the graph appends the
    constant plane), and int64 "u/NAME" and "v/NAME" `[B, *shape]` of every population: at first 0 and the
    population's `initial` (in the metadata as "initial/NAME" where it is not 0), then what the last step gave.
    Outputs: "readout" (int64, `v >> 6`, the running sum of the logits) and "logits" (float32,
    `readout * logit_scale`) `[B, C]`, or without a read-out the last population's spikes; "spikes/NAME" (uint8),
    "next_u/NAME" and "next_v/NAME" of every population.
    `sha256` is that of the network's file, for the metadata.
    Raises NeurokdError naming the population that ONNX cannot hold exactly.

    >>> import numpy as np
    >>> from neurokd.export.network import Connection, InputSpec, Population
    >>> neuron = Population("out", (2,), threshold=np.array(9))
    >>> synapse = Connection("input", "out", weight=np.array([[6], [4]]))
    >>> model = step_model(LoihiNetwork(InputSpec((1,)), (neuron,), (synapse,), timesteps=4))
    >>> [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    (['input', 'u/out', 'v/out'], ['spikes/out', 'next_u/out', 'next_v/out'])
    """
    wrapping = prove_exact(network)
    graph = Graph()
    inputs = add_input(graph, network.input, [BATCH])
    before = {
        p.name: State(*(graph.input(f"{variable}/{p.name}", INT64, [BATCH, *p.shape]) for variable in "uv"))
        for p in network.populations
    }
    step = add_step(graph, network, wrapping, inputs, before)
    if network.readout is not None:
        add_logits(graph, network, graph.node("Flatten", str(step.states[network.readout].v), axis=1), [BATCH])
    for p in network.populations:
        shape: Shape = [BATCH, *p.shape]
        after = step.states[p.name]
        graph.output(f"spikes/{p.name}", graph.cast(step.spikes[p.name], UINT8), UINT8, shape)
        rest = graph.node("Mul", str(before[p.name].u), graph.constant(0))
        graph.output(f"next_u/{p.name}", after.u or rest, INT64, shape)
        graph.output(f"next_v/{p.name}", str(after.v), INT64, shape)
    return graph.model("step", metadata_of(network, sha256))
