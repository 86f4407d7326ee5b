"""The float evaluator: by hand, against the student that neurokd lowered, and against the integers."""

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.export.lower import lower
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.nir_graphs.run_float import run_float
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.simulator import simulate
from neurokd.neurons import LIF
from neurokd.spiking import LIFNeurons, to_spiking

from .nir_graphs import affine, chain, cuba, li, lif

ONE = np.ones(1)
DRIVE = torch.tensor([1.0, 0.0, 0.75, 0.75, 0.0], dtype=torch.float64).view(5, 1, 1)


@pytest.mark.parametrize(
    ("node", "spikes"),
    [
        (lif(1, threshold=0.8), [1, 0, 0, 1, 0]),  # v: 1 -> 0, 0, 0.75, 0.375 + 0.75 -> 0, 0
        (nir.IF(1e3 * ONE, 1.5 * ONE), [0, 0, 1, 0, 0]),  # v: 1, 1, 1.75 -> 0, 0.75, 0.75
        (nir.IF(1e3 * ONE, 1.75 * ONE), [0, 0, 0, 1, 0]),  # at the threshold is not above it
        (cuba(1), [0, 1, 0, 1, 0]),  # u: 1, 0.5, 1, 1.25, 0.625; v: 1, 1.25 -> 0, 1, 2 -> 0, 0.625
        (nir.Threshold(0.75 * ONE), [1, 0, 0, 0, 0]),
    ],
    ids=["LIF", "IF", "IF at threshold", "CubaLIF", "Threshold"],
)
def test_neurons_by_hand(node: nir.NIRNode, spikes: list[int]) -> None:
    trace = run_float(chain(node, shape=(1,)), DRIVE)
    assert trace.spikes["0"].flatten().int().tolist() == spikes
    assert trace.answer.flatten().tolist() == np.cumsum(spikes).tolist()


@pytest.mark.parametrize(
    ("node", "membrane"),
    [
        (li(1), [1.0, 0.5, 1.0, 1.25, 0.625]),
        (nir.I(1e3 * ONE), [1.0, 1.0, 1.75, 2.5, 2.5]),
        (nir.CubaLI(2e-3 * ONE, 4e-3 * ONE, 4.0 * ONE, 0.0 * ONE, 2.0), [1.0, 1.25, 1.9375, 2.703125, 2.65234375]),
    ],
    ids=["LI", "I", "CubaLI"],
)
def test_an_integrator_answers_with_its_membrane(node: nir.NIRNode, membrane: list[float]) -> None:
    assert run_float(chain(node, shape=(1,)), DRIVE).answer.flatten().tolist() == membrane


@pytest.mark.parametrize("neuron", [LIF(), LIF(decay=0.75), LIF(decay=1.0), LIF(threshold=0.5)], ids=str)
def test_a_lowered_student_spikes_as_in_torch(neuron: LIF) -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 6, (3, 5), padding=(1, 2)), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3, groups=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 4 * 2, 16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip
    with torch.no_grad():
        for module in ann.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(4.0)
    student, images = to_spiking(ann, neuron, 4).eval(), torch.rand(16, 2, 12, 8)
    graph = lower(student, (2, 12, 8))
    seen: dict[str, torch.Tensor] = {}
    for path, module in student.double().net.named_modules():
        if isinstance(module, LIFNeurons):
            module.register_forward_hook(
                lambda module, inputs, out, path=path: seen.update({path: out.unflatten(0, (4, -1))})
            )
    with torch.no_grad():
        logits = student(images.double())
    trace = run_float(graph, images.double().unsqueeze(0))
    assert set(trace.spikes) == set(seen) and all(0.01 < spikes.mean() < 0.99 for spikes in seen.values())
    for path, spikes in seen.items():
        assert torch.equal(trace.spikes[path], spikes.bool()), path
    assert torch.allclose(trace.answer, logits.cumsum(0), atol=1e-5)


CASES = {
    "CubaLIF": (affine(12, 4, 1, bias=0.0), cuba(12), affine(3, 12, 2)),
    "slow CubaLIF": (affine(12, 4, 1, bias=0.0), cuba(12, 5e-3, 3e-3, 2.0, 3.0), affine(3, 12, 2)),
    "Threshold": (affine(12, 4, 1), nir.Threshold(np.full(12, 0.4)), affine(3, 12, 2)),
    "channel thresholds": (affine(12, 4, 1), lif(12, threshold=np.linspace(0.5, 3.0, 12)), affine(3, 12, 2)),
    "LI": (affine(12, 4, 1), lif(12), affine(3, 12, 2), li(3)),
    "CubaLI": (affine(12, 4, 1), lif(12), affine(3, 12, 2, bias=0.0), nir.CubaLI(
        np.full(3, 2e-3), np.full(3, 4e-3), np.full(3, 4.0), np.zeros(3), np.full(3, 2.0))),
    "spikes at the end": (affine(12, 4, 1), lif(12), affine(3, 12, 2), lif(3)),
}  # fmt: skip


@pytest.mark.parametrize("nodes", CASES.values(), ids=CASES)
def test_the_integers_follow_the_float_graph(nodes: tuple[nir.NIRNode, ...]) -> None:
    """8-bit weights flip few of the spikes; a wrong decay, gain or threshold flips many."""
    graph = common_nodes(chain(*nodes, timesteps=12))
    pixels = np.random.default_rng(3).integers(0, 256, (64, 4, 1, 1))
    wanted = run_float(graph, torch.from_numpy(pixels / 255.0).unsqueeze(0))
    network = quantize(fold(graph)).network
    got = simulate(network, network.input.encode(pixels))
    assert 0.02 < wanted.spikes["1"].double().mean() < 0.9
    for name, spikes in wanted.spikes.items():
        assert (got.spikes[name] == spikes.numpy()).mean() > 0.97, name
    answer = wanted.answer.numpy()
    error = got.readout * network.logit_scale - answer
    assert np.sqrt(np.square(error).mean()) < 0.12 * answer.std()


def test_a_node_that_does_not_fit_is_named() -> None:
    with pytest.raises(NeurokdError, match="layer '1': cannot run on an input of"):
        run_float(chain(affine(3, 4), lif(5)), torch.zeros(1, 2, 4))
    with pytest.raises(NeurokdError, match="layer '0': Delay cannot be run"):
        run_float(chain(nir.Delay(np.ones(4))), torch.zeros(1, 2, 4))
