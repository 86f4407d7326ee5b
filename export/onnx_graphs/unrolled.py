"""All steps of a `LoihiNetwork` as one ONNX graph."""

import onnx

from neurokd.export.network import LoihiNetwork
from neurokd.export.onnx_graphs.exact import check_unrolled, prove_exact
from neurokd.export.onnx_graphs.graph import BATCH, UINT8, Graph
from neurokd.export.onnx_graphs.lif import initial_state
from neurokd.export.onnx_graphs.parts import add_input, add_logits, add_step, metadata_of


def unrolled_model(
    network: LoihiNetwork, *, static: bool = True, spikes: bool = False, sha256: str | None = None
) -> onnx.ModelProto:
    """The graph of all `network.timesteps` steps, each sample anew; it computes the integers of `simulate`.

    Input: "input" as the user has it (uint8, or int32 for a bias; the graph appends the constant plane): with
    `static` one image for all steps `[B, *shape]`, else frames `[T, B, *shape]`. Outputs: "readout" (int64,
    `v >> 6` after every step, the running sum of the logits) and "logits" (float32, `readout * logit_scale`)
    `[T, B, C]`; with `spikes`, or where there is no read-out, "spikes/NAME" (uint8) `[T, B, *shape]` of every
    population. `sha256` is that of the network's file, for the metadata.
    Raises NeurokdError naming the population that ONNX cannot hold exactly, or for more than 256 steps.

    >>> import numpy as np
    >>> from neurokd.export.network import Connection, InputSpec, Population
    >>> neuron = Population("out", (2,), threshold=np.array(131071))
    >>> synapse = Connection("input", "out", weight=np.array([[6], [4]]))
    >>> model = unrolled_model(LoihiNetwork(InputSpec((1,)), (neuron,), (synapse,), timesteps=4, readout="out"))
    >>> [(value.name, len(value.type.tensor_type.shape.dim)) for value in model.graph.output]
    [('readout', 3), ('logits', 3)]
    """
    wrapping = prove_exact(network)
    check_unrolled(network)
    graph, steps = Graph(), network.timesteps
    inputs = add_input(graph, network.input, [BATCH] if static else [steps, BATCH])
    states = {p.name: initial_state(graph, p) for p in network.populations}
    membranes, fired = [], []
    for t in range(steps):
        frame = inputs if static else graph.node("Gather", inputs, graph.constant(t), axis=0)
        step = add_step(graph, network, wrapping, frame, states)
        states = dict(step.states)
        fired.append(step.spikes)
        if network.readout is not None:
            membranes.append(graph.node("Flatten", str(states[network.readout].v), axis=1))
    if network.readout is not None:
        add_logits(graph, network, graph.stack(membranes), [steps, BATCH])
    if spikes or network.readout is None:
        for p in network.populations:
            stacked = graph.stack([spikes_of_step[p.name] for spikes_of_step in fired])
            graph.output(f"spikes/{p.name}", graph.cast(stacked, UINT8), UINT8, [steps, BATCH, *p.shape])
    return graph.model("unrolled", metadata_of(network, sha256))
