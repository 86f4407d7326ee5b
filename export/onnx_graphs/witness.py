"""Does an ONNX file compute the integers of the simulator, for every image, neuron and step?"""

import dataclasses

from neurokd.export.network import IntArray, LoihiNetwork
from neurokd.export.onnx_graphs.run import OnnxFile, batch_size, run_onnx
from neurokd.export.proof.verify import Comparison, Count, compare
from neurokd.hardware.simulator import simulate


def witness_onnx(file: OnnxFile, network: LoihiNetwork, images: IntArray) -> Comparison:
    """Compare `file` under onnxruntime with the simulator on all `images` (`run_onnx`), a batch at a time.

    Raises NeurokdError where the file cannot be run or gives other populations or shapes than `network` has.
    """
    found: Comparison | None = None
    size = batch_size(network)
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        ours = simulate(network, network.input.encode(batch))
        part = compare(ours, run_onnx(file, network, batch))
        found = part if found is None else _both(found, part, start)
    if found is None:
        raise ValueError("witness_onnx: no images were given")
    return found


def _both(first: Comparison, second: Comparison, start: int) -> Comparison:
    """The comparison of two batches as one; the second begins at sample `start`."""
    late = None if second.first is None else dataclasses.replace(second.first, sample=second.first.sample + start)
    readout = None
    if first.readout is not None and second.readout is not None:
        readout = _sum(first.readout, second.readout)
    populations = {name: _sum(count, second.populations[name]) for name, count in first.populations.items()}
    return Comparison(first.backends, populations, readout, first.first or late)


def _sum(first: Count, second: Count) -> Count:
    return Count(first.compared + second.compared, first.mismatches + second.mismatches)
