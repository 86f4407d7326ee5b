"""Samples to Lava's steps and back."""

import numpy as np

from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.hardware.lava.alignment import delay_of, frames_of, lags_of, samples_of


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


def test_what_skips_populations_is_held_back_until_the_longest_path_has_arrived() -> None:
    """input -> a -> b -> c, input -> b and a, input -> c: c is three synapses deep."""
    ends = [("input", "a"), ("a", "b"), ("input", "b"), ("b", "c"), ("a", "c"), ("input", "c")]
    populations = tuple(Population(name, (1, 2, 3), np.array(1)) for name in "abc")
    connections = tuple(Connection(source, target, np.full((1, 1, 1, 1), 2)) for source, target in ends)
    graph = LoihiNetwork(InputSpec((1, 2, 3)), populations, connections, timesteps=4)
    lags = lags_of(graph)
    assert lags == {"input": 0, "a": 1, "b": 2, "c": 3}
    assert [delay_of(connection, lags) for connection in connections] == [0, 0, 1, 0, 1, 2]
    assert len(frames_of(graph, np.zeros((4, 5, 1, 2, 3), dtype=int))) == 4 * 5 + 3


def test_an_input_that_is_a_bias_has_no_synapse() -> None:
    assert lags_of(network("bias")) == {"input": 0, "a": 0, "b": 1}
