"""Networks and arrays that others published: the simulator reproduces every value."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from neurokd.export.network_files.network_file import read_network
from neurokd.hardware.activity import measure_activity
from neurokd.hardware.simulator import simulate

FOLDER = Path(os.environ.get("NEUROKD_CONFORMANCE", Path(__file__).parents[3] / "shared" / "conformance"))
STEPS = 16
Array = npt.NDArray[np.int64]

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no reference networks in {FOLDER}; $NEUROKD_CONFORMANCE names their folder"
)


def to_channels_first(values: npt.NDArray[np.generic]) -> Array:
    """`[W, H, C, time]` or `[N, time]` to `[time, C, H, W]` or `[time, N]`."""
    return values.astype(np.int64).transpose()


def test_tinynet_output() -> None:
    network = dataclasses.replace(read_network(FOLDER / "tinynet" / "tiny.net"), timesteps=STEPS)
    bias = to_channels_first(np.load(FOLDER / "tinynet" / "input_bias.npy"))
    expected = to_channels_first(np.load(FOLDER / "tinynet" / "output.npy")[0])
    spikes = simulate(network, bias[None, None]).spikes[network.populations[-1].name][:, 0]
    assert spikes.sum() > 0
    assert np.count_nonzero(spikes[: STEPS - 1] != expected[1:STEPS].reshape(spikes[1:].shape)) == 0


def test_pilotnet_spikes_and_currents_of_every_layer() -> None:
    network = dataclasses.replace(read_network(FOLDER / "pilotnet_lif" / "network.net"), timesteps=STEPS)
    reference = np.load(FOLDER / "pilotnet_lif" / "reference.npz")
    image = to_channels_first(np.load(FOLDER / "pilotnet_lif" / "image.npy"))
    trace = simulate(network, image[None, None], state=True)
    names = ["input", *(f"conv-{k}" for k in range(5)), *(f"fc-{k}" for k in range(3))]
    compared = mismatches = 0
    for lag, (name, population) in enumerate(zip(names, network.populations, strict=False)):
        kept = STEPS - lag  # layer k starts k steps later in the reference
        pairs = [(trace.spikes, reference[name])]
        if f"{name}-u" in reference:
            pairs.append((trace.u, reference[f"{name}-u"]))
        for ours, theirs in pairs:
            window = to_channels_first(theirs)[lag:STEPS]
            compared += window.size
            mismatches += np.count_nonzero(ours[population.name][:kept, 0] != window)
    assert mismatches == 0
    assert compared > 4_000_000


def test_pilotnet_driven_by_its_biases_alone() -> None:
    """Intel's benchmark ran this network without an image: activity per step was found by others in their plots.

    26928, 6247.5, 840, 433 and 146 spikes in the five convolutions, 2.27 million synaptic operations.
    """
    network = dataclasses.replace(read_network(FOLDER / "pilotnet_lif" / "network.net"), timesteps=STEPS)
    nothing = np.zeros((1, 1, *network.input.shape), dtype=np.int64)
    work = measure_activity(network, simulate(network, nothing, record="counts"))
    spikes = [layer.spikes / STEPS for layer in work.layers]
    assert spikes[:6] == pytest.approx([0, 26928, 6247.5, 840, 433, 146], abs=0.5)
    assert work.acs / STEPS == pytest.approx(2.2698e6, rel=1e-3)
