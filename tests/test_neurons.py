"""The two implementations of the LIF neuron are one neuron, and that neuron is norse's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters, iaf_feed_forward_step
from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step
from norse.torch.functional.reset import reset_subtract, reset_value
from pydantic import ValidationError

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


@st.composite
def _neurons(draw: st.DrawFn) -> LIF:
    """Dyadic parameters: in float64 all sums and products below are then exact, and ties are real ties."""
    return LIF(
        decay=draw(st.sampled_from([0.0, 0.25, 0.5, 0.875, 1.0])),
        threshold=draw(st.sampled_from([0.5, 1.0, 1.75])),
        reset=draw(st.sampled_from(["hard", "soft"])),
        initial=draw(st.sampled_from([0.0, 0.25, 0.5])),
        surrogate_width=draw(st.sampled_from([0.5, 1.0, 3.0])),
        detach_reset=draw(st.booleans()),
    )


def _run(x: torch.Tensor, timesteps: int, p: LIF) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes, and the gradient of their sum weighted by position."""
    leaf = x.clone().requires_grad_()
    s = lif(leaf, timesteps, p)
    (s * torch.linspace(-1.0, 2.0, s.numel(), dtype=s.dtype).view_as(s)).sum().backward()
    assert leaf.grad is not None
    return s.detach(), leaf.grad


@settings(deadline=None, max_examples=150)
@given(
    p=_neurons(), timesteps=st.integers(1, 6), constant=st.booleans(),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**16),
)  # fmt: skip
def test_both_implementations_are_one_neuron(
    p: LIF, timesteps: int, constant: bool, shape: list[int], seed: int
) -> None:
    steps = 1 if constant else timesteps
    x = torch.randint(-8, 17, (steps, *shape), generator=torch.Generator().manual_seed(seed)).double() / 8
    spikes, gradient = _run(x, timesteps, p)
    again, expected = _run(x, timesteps, p.model_copy(update={"implementation": "reference"}))
    assert torch.equal(spikes, again)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
    v = torch.full_like(x[0], p.initial * p.threshold)
    for t in range(timesteps):
        s, v = lif_step(x[0 if constant else t], v, p)
        assert torch.equal(s, spikes[t])
    with torch.no_grad():  # keeps no history, and gives the same
        assert torch.equal(lif(x, timesteps, p), spikes)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_a_leaky_neuron_is_norses_lif_box(decay: float, reset: str) -> None:
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(2))
    box = LIFBoxParameters(  # dt * tau_mem_inv = 1 - decay, by which norse scales its input
        tau_mem_inv=torch.tensor(1 - decay), v_th=torch.tensor(1.0), method="heaviside",
        reset_method=reset_value if reset == "hard" else reset_subtract,
    )  # fmt: skip
    state = LIFBoxFeedForwardState(v=torch.zeros(64))
    spikes = lif(x, 5, LIF(decay=decay, reset=reset))
    assert 0.05 < spikes.mean() < 0.95
    for t in range(5):
        s, state = lif_box_feed_forward_step(x[t] / (1 - decay), state, box, dt=1.0)
        assert torch.equal(s, spikes[t])


def test_decay_one_is_norses_integrate_and_fire() -> None:
    x = _dyadic(5, 64)
    state, p = IAFFeedForwardState(v=torch.zeros(64)), IAFParameters(method="heaviside")
    spikes = lif(x, 5, LIF(decay=1.0))
    assert 0.05 < spikes.mean() < 0.95
    for t in range(5):
        s, state = iaf_feed_forward_step(x[t], state, p)
        assert torch.equal(s, spikes[t])


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


def test_soft_reset_keeps_what_is_above_the_threshold_and_spikes_at_it() -> None:
    p = LIF(decay=1.0, reset="soft")
    s, v = lif_step(torch.tensor([1.0, 1.75, 1.0 - 2**-20]), torch.zeros(3), p)
    assert s.tolist() == [1.0, 1.0, 0.0]
    assert v.tolist() == [0.0, 0.75, 1.0 - 2**-20]


@pytest.mark.parametrize("implementation", ["fused", "reference"])
def test_gradient_of_the_soft_reset_by_hand(implementation: str) -> None:
    """Decay 1/2, 1/4 before the first step, x = (1.5, 0.25): h = (1.625, 0.5625), s = (1, 0).

    gamma = 2: ds/dh = (2 - 0.625) / 4, (2 - 0.4375) / 4. Through the reset: dv/dh = 1 - ds/dh * 1.
    """
    x = torch.tensor([[1.5], [0.25]], requires_grad=True)
    settings: dict[str, object] = {"decay": 0.5, "reset": "soft", "initial": 0.25, "surrogate_width": 2.0}
    s = lif(x, 2, LIF.model_validate(settings | {"detach_reset": False, "implementation": implementation}))
    assert s.flatten().tolist() == [1.0, 0.0]
    s.sum().backward()
    first, second = (2 - 0.625) / 4, (2 - 0.4375) / 4
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([first + 0.5 * (1 - first) * second, second]))


@pytest.mark.parametrize(
    "wrong", [{"decay": 1.1}, {"decay": -0.1}, {"initial": 1.0}, {"surrogate_width": 0.0}, {"reset": "none"}], ids=str
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        LIF.model_validate(wrong)


def test_keeps_the_memory_layout() -> None:
    x = torch.rand(2, 3, 4, 5, 5)
    folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (2, 3))
    assert lif(folded, 2, LIF()).flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(lif(folded, 2, LIF()), lif(x, 2, LIF()))


def test_wrong_number_of_steps() -> None:
    with pytest.raises(ValueError, match="3 steps"):
        lif(torch.zeros(3, 2), 4, LIF())


@settings(deadline=None)
@given(p=_neurons())
def test_after_one_step_a_hard_reset_is_as_good_as_any(p: LIF) -> None:
    """Equal spikes for every input, those that meet the threshold exactly among them."""
    hard = p.hard()
    assert hard.reset == "hard" and hard.initial == 0.0
    x = torch.arange(-512, 1024).unsqueeze(0) / 256
    assert torch.equal(lif(x, 1, p), lif(x, 1, hard))


@settings(deadline=None)
@given(p=_neurons().filter(lambda p: p.decay == 1.0 or p.initial == 0.0), seed=st.integers(0, 99))
def test_up_to_the_first_spike_a_hard_reset_is_as_good_as_any(p: LIF, seed: int) -> None:
    x = torch.randint(-512, 1024, (6, 500), generator=torch.Generator().manual_seed(seed)).double() / 256
    before, after = lif(x, 6, p), lif(x, 6, p.hard())
    first = before.cumsum(0).cumsum(0) <= 1  # up to and with the first spike
    assert torch.equal(before[first], after[first]) and before[first].any()
