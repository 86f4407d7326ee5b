"""QCFS against its formula, and its gradients against cases worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from neurokd.errors import NeurokdError
from neurokd.qcfs import QCFS, QCFSConfig


@given(
    x=hnp.arrays(np.float64, hnp.array_shapes(max_dims=4), elements=st.floats(-20, 20)),
    levels=st.integers(1, 32), threshold=st.floats(0.1, 10),
)  # fmt: skip
def test_equals_the_formula(x: np.ndarray, levels: int, threshold: float) -> None:  # type: ignore[type-arg]
    layer = QCFS(levels, threshold).double()
    s = layer.threshold.item()
    expected = s / levels * np.clip(np.floor(x * levels / s + 0.5), 0, levels)
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12, atol=0)


def test_gradients_by_hand() -> None:
    """L = 4, s = 2: a level is 1/2 wide, the first one reached at 1/4, the last one at 7/4."""
    layer = QCFS(levels=4, threshold=2.0)
    #                 below   at -1/4   level 0  tie 1/4  level 1  below the last  last  above
    x = torch.tensor([-0.30, -0.25, 0.10, 0.25, 0.60, 1.70, 1.75, 5.00], requires_grad=True)
    values = [0.0, 0.0, 0.0, 0.5, 0.5, 1.5, 2.0, 2.0]
    y = layer(x)
    assert y.tolist() == values
    to_x = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    to_s = [0.0, 0.25 / 2, -0.10 / 2, 0.25 / 2, -0.10 / 2, -0.20 / 2, 1.0, 1.0]  # (y - x) / s inside
    weight = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0])
    (y * weight).sum().backward()
    assert x.grad is not None and layer.threshold.grad is not None
    assert (x.grad / weight).tolist() == to_x
    assert layer.threshold.grad.item() == pytest.approx(float((weight * torch.tensor(to_s)).sum()), rel=1e-6)


def test_gradients_equal_those_of_a_straight_through_floor() -> None:
    """The same few lines with torch's own gradients; no value sits on an end of the range."""
    x = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).mul_(2)
    layer = QCFS(levels=8, threshold=1.5).double()
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    s = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    u = theirs * 8 / s + 0.5
    level = u + (u.floor() - u).detach()
    expected = torch.where(level < 0, 0.0 * s, torch.where(level > 7.5, s, level * s / 8))  # 7.5: saturated from 8 on
    layer(mine).square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)
    torch.testing.assert_close(layer.threshold.grad, s.grad)


def test_the_threshold_learns() -> None:
    """A threshold that starts far too high comes down to the data."""
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    layer = QCFS(levels=4, threshold=8.0)
    for _ in range(300):
        loss = (layer(x) - x).square().mean()
        (slope,) = torch.autograd.grad(loss, [layer.threshold])
        with torch.no_grad():
            layer.threshold -= 0.05 * slope.sign()
    assert 0.8 < layer.threshold.item() < 1.2


@pytest.mark.parametrize(("levels", "threshold"), [(0, 1.0), (4, 0.0), (4, float("nan"))])
def test_impossible_settings_are_refused(levels: int, threshold: float) -> None:
    with pytest.raises(NeurokdError, match=f"QCFS: levels {levels}"):
        QCFS(levels, threshold)
    with pytest.raises(ValidationError):
        QCFSConfig(levels=levels, threshold=threshold)
