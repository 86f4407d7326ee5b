"""Firing rates against spikes that are counted by hand."""

import pytest
import torch
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.figures.cast import Unsuited
from neurokd.figures.rates import RateMaps, rate_maps
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking


def network(weight: float) -> nn.Sequential:
    """The current of a neuron is `weight` times its pixel."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    conv.weight.data.fill_(weight)
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))


def pixels(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 2, 2)


def test_a_lif_is_counted_by_hand() -> None:
    """Currents 0, 0.6, 1 and 2 with decay 1/2 and threshold 1, four steps.

    0.6: v = 0.6, 0.9, 1.05 (spike), 0.6. 1: v = 1 (not above 1), 1.5 (spike), 1, 1.5 (spike). 2: a spike every step.
    """
    maps = rate_maps(to_spiking(network(2.0), LIF(), 4), pixels(0.0, 0.3, 0.5, 1.0))
    assert maps.path == "1"
    assert maps.first.flatten().tolist() == [0.0, 0.0, 0.0, 1.0]
    assert maps.mean.flatten().tolist() == [0.0, 0.25, 0.5, 1.0]


def test_frames_are_counted_by_hand() -> None:
    """Currents 1.2, 0, 0 spike at once; 0, 0.8, 0.8 reach 0.4 + 0.8 = 1.2 in the last step."""
    frames = torch.cat([pixels(0.6, 0.0, 0.0, 0.0), pixels(0.0, 0.4, 0.0, 0.0), pixels(0.0, 0.4, 0.0, 0.0)])[:, None]
    maps = rate_maps(to_spiking(network(2.0), LIF(), 3), frames)
    assert maps.first.flatten().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert maps.mean.flatten().tolist() == pytest.approx([1 / 3, 1 / 3, 0.0, 0.0])


def test_spikes_count_as_one_whatever_value_they_carry() -> None:
    """Theta 4, soft reset from theta / 2, currents 0, 1, 2 and 4: 0, 1, 2 and 4 spikes in four steps."""
    model = convert(to_qcfs(network(4.0), levels=4, threshold=4.0), 4)
    maps = rate_maps(model, pixels(0.0, 0.25, 0.5, 1.0))
    assert maps.path == "1.spikes"
    assert maps.mean.flatten().tolist() == [0.0, 0.25, 0.5, 1.0]
    assert set(maps.first.flatten().tolist()) <= {0.0, 1.0}


def test_the_liveliest_channels_are_chosen_and_ties_keep_their_order() -> None:
    mean = torch.zeros(2, 5, 2, 2)
    mean[0, 3, 0, 0], mean[1, 1, 0, 0] = 1.0, 0.5
    maps = RateMaps("relu1", mean, mean)
    assert maps.liveliest(2) == [1, 3]
    assert maps.liveliest(3) == [0, 1, 3]
    assert maps.liveliest(99) == [0, 1, 2, 3, 4]


def test_without_neurons_or_without_positions_there_is_no_map() -> None:
    with pytest.raises(Unsuited, match="no spiking neurons"):
        rate_maps(network(1.0), pixels(0.0, 0.0, 0.0, 0.0))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(Unsuited, match="'2' form no map"):
        rate_maps(to_spiking(flat), pixels(0.0, 0.0, 0.0, 0.0))
