"""The two implementations of the LIF neuron are one neuron."""

import pytest
import torch

from neurokd.neurons import LIF, lif, lif_step


def _dyadic(*shape: int) -> torch.Tensor:
    """Multiples of 1/1024, so that every sum and product is exact in float32 and order does not matter."""
    return torch.randint(-1024, 2048, shape, generator=torch.Generator().manual_seed(3)) / 1024


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("steps", [4, 1], ids=["currents per step", "constant current"])
def test_fused_equals_norse_in_spikes_and_gradients(detach_reset: bool, steps: int) -> None:
    x = _dyadic(steps, 8, 3, 5, 4)
    weight = torch.rand(4, 8, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    spikes, gradients = [], []
    for implementation in ("fused", "reference"):
        p = LIF(detach_reset=detach_reset, implementation=implementation)
        leaf = x.clone().requires_grad_()
        s = lif(leaf, 4, p)
        (s * weight).sum().backward()
        spikes.append(s.detach())
        gradients.append(leaf.grad)
    assert 0.1 < spikes[0].mean() < 0.9
    assert torch.equal(spikes[0], spikes[1])
    assert gradients[0] is not None and gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_other_decays_agree_with_norse(decay: float) -> None:
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(2))
    fused = lif(x, 5, LIF(decay=decay))
    reference = lif(x, 5, LIF(decay=decay, implementation="reference"))
    assert torch.equal(fused, reference)


def test_gradient_by_hand() -> None:
    """T = 2, decay 1/2, x = (0.8, 0.9): h = (0.8, 1.3), s = (0, 1), surrogates (0.8, 0.7)."""
    x = torch.tensor([[0.8], [0.9]], requires_grad=True)
    s = lif(x, 2, LIF())
    assert s.flatten().tolist() == [0.0, 1.0]
    s.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([0.8 + 0.5 * 0.7, 0.7]))


def test_threshold_is_strict_and_reset_is_to_zero() -> None:
    s, v = lif_step(torch.tensor([1.0, 1.0 + 2**-20]), torch.zeros(2), LIF())
    assert s.tolist() == [0.0, 1.0]
    assert v.tolist() == [1.0, 0.0]


def test_keeps_the_memory_layout() -> None:
    x = torch.rand(2, 3, 4, 5, 5)
    folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (2, 3))
    assert lif(folded, 2, LIF()).flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(lif(folded, 2, LIF()), lif(x, 2, LIF()))


def test_wrong_number_of_steps() -> None:
    with pytest.raises(ValueError, match="3 steps"):
        lif(torch.zeros(3, 2), 4, LIF())
