"""The chip's neuron with gradients: its spikes are the simulator's, its gradient the one that is written down."""

from typing import Any

import numpy as np
import pytest
import torch

from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.qat.integer_lif import integer_lif
from neurokd.hardware.simulator import simulate

from ..networks import LIF_CASES, lif_neuron

STEPS = 6
WITHIN = [case for case in LIF_CASES if max(map(abs, case["a"]), default=0) < 1 << 17]


def spikes_of(current: torch.Tensor, population: Population, steps: int = STEPS, width: float = 1.0) -> torch.Tensor:
    bias = torch.zeros(1) if population.bias is None else torch.tensor(population.bias, dtype=torch.float32)
    return integer_lif(current, bias.view(-1, *[1] * (len(population.shape) - 1)), population, steps, width)


@pytest.mark.parametrize("decay_u", [0, 1000, 4096])
@pytest.mark.parametrize("decay_v", [0, 1, 2048, 3072, 4095, 4096])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("static", [False, True])
def test_random_currents_give_the_simulators_spikes(decay_u: int, decay_v: int, reset: Any, static: bool) -> None:
    rng = np.random.default_rng([decay_u, decay_v, reset == "soft", static])
    thresholds = rng.integers(1, 9000, 4)
    population = Population(
        "n", (4, 3, 5), thresholds, decay_u, decay_v, rng.integers(-900, 900, 4), reset, 32 * thresholds
    )
    currents = rng.integers(-9000, 12000, (1 if static else STEPS, 7, 4, 3, 5))
    spec = InputSpec((4, 3, 5), "graded", maximum=12000)
    one_to_one = Connection("input", "n", np.ones((4, 1, 1, 1), int), groups=4)
    expected = simulate(LoihiNetwork(spec, (population,), (one_to_one,), STEPS), currents).spikes["n"]
    found = spikes_of(torch.from_numpy(currents).float(), population)
    assert 0.02 < expected.mean() < 0.98
    assert torch.equal(found, torch.from_numpy(expected).float())


@pytest.mark.parametrize("case", WITHIN, ids=[case["name"] for case in WITHIN])
def test_case(case: dict[str, Any]) -> None:
    currents = torch.tensor(case["a"], dtype=torch.float32).view(-1, 1, 1)
    population = lif_neuron(case)
    if any(abs(u) >= 1 << 23 for u in case["u"]):
        pytest.skip("u wraps, which the limits of an export exclude")
    assert spikes_of(currents, population, len(currents)).flatten().tolist() == case["spikes"]


def test_the_gradient_by_hand() -> None:
    """Threshold 100, decay 1/2, currents 60, 90: h = 60, 120; the triangle is 0.6 and 0.8, each per 100."""
    current = torch.tensor([60.0, 90.0]).view(2, 1, 1).requires_grad_()
    population = Population("n", (1,), np.array(100), 4096, 2048)
    spikes = spikes_of(current, population, 2)
    assert spikes.flatten().tolist() == [0.0, 1.0]
    spikes[1].sum().backward()
    assert current.grad is not None
    assert current.grad.flatten().tolist() == pytest.approx([0.5 * 0.8 / 100, 0.8 / 100])


def test_a_spike_keeps_the_past_from_the_gradient() -> None:
    """Hard reset: after a spike nothing is left of the membrane. Soft reset: the rest goes on."""
    for reset, expected in (("hard", 0.0), ("soft", 0.5 * 0.75 / 100)):
        current = torch.tensor([150.0, 100.0]).view(2, 1, 1).requires_grad_()
        population = Population("n", (1,), np.array(100), 4096, 2048, None, reset)  # type: ignore[arg-type]
        spikes_of(current, population, 2)[1].sum().backward()
        assert current.grad is not None
        assert current.grad[0].item() == pytest.approx(expected), reset


def test_a_wider_surrogate_reaches_further() -> None:
    current = torch.tensor([[[250.0]]], requires_grad=True)
    population = Population("n", (1,), np.array(100))
    spikes_of(current, population, 1, width=2.0).sum().backward()
    assert current.grad is not None and current.grad.item() == pytest.approx((2.0 - 1.5) / 4.0 / 100)
