"""Samples to Lava's steps and back."""

import numpy as np
import pytest

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.hardware.lava.alignment import check_chain, frames_of, samples_of


def network(kind: str = "spikes") -> LoihiNetwork:
    populations = tuple(Population(name, (1, 2, 3), np.array(1)) for name in ("a", "b"))
    weight = np.full((1, 1, 1, 1), 2)
    connections = (Connection("input", "a", weight), Connection("a", "b", weight))
    if kind == "bias":
        connections = connections[1:]
    return LoihiNetwork(InputSpec((1, 2, 3), kind=kind), populations, connections, timesteps=4)  # type: ignore[arg-type]


def test_samples_follow_one_another_and_a_flush_ends_them() -> None:
    inputs = np.arange(4 * 5 * 6).reshape(4, 5, 1, 2, 3)
    frames = frames_of(network(), inputs)
    assert frames.shape == (4 * 5 + 2, 3, 2, 1)
    assert frames[1 * 4 + 3, 2, 1, 0] == inputs[3, 1, 0, 1, 2]  # sample 1, step 3
    assert not frames[20:].any()
    assert len(frames_of(network("bias"), inputs)) == 4 * 5 + 1


def test_static_images_are_shown_at_every_step() -> None:
    image = np.arange(6).reshape(1, 1, 1, 2, 3)
    assert (frames_of(network(), image)[:4] == frames_of(network(), image)[0]).all()


def test_what_goes_in_comes_out_after_the_lag() -> None:
    inputs = np.arange(4 * 5 * 6).reshape(4, 5, 1, 2, 3)
    late = np.concatenate([np.full((2, 3, 2, 1), -1), frames_of(network(), inputs)])
    assert (samples_of(late, 2, 4, 5, (1, 2, 3)) == inputs).all()


def test_a_branch_is_refused_by_name() -> None:
    chain = network()
    skip = Connection("input", "b", np.full((1, 1, 1, 1), 2))
    branched = LoihiNetwork(chain.input, chain.populations, (*chain.connections, skip), timesteps=4)
    with pytest.raises(NeurokdError, match=r"net: population 'b' is driven by \['a', 'input'\].*simulator"):
        check_chain(branched, "net")
