"""The rows of `manifest.json`: what each layer holds and does, and where accuracy was lost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurokd.export.network import LoihiNetwork
from neurokd.export.proof.stages import Stage
from neurokd.export.proof.waterfall import scores
from neurokd.export.quantization.calibrate import Calibration


def layer_rows(
    network: LoihiNetwork, calibration: Calibration, activity: dict[str, Any], saturated: dict[str, int]
) -> list[dict[str, Any]]:
    """One row per population: integers from the network, activity on the test images."""
    scales = {scale.name: scale for scale in calibration.quantized.scales}
    measured = {layer["name"]: layer for layer in activity["layers"]}
    rows = []
    for population in network.populations:
        incoming = network.incoming(population.name)
        scale, bias = scales[population.name], population.bias
        rows.append({
            "name": population.name,
            "kind": " and ".join(dict.fromkeys(connection.kind for connection in incoming)),
            "shape": list(population.shape),
            "neurons": population.size,
            "synapses": measured[population.name]["synapses"],
            "weight_min": min(int(connection.weight.min()) for connection in incoming),
            "weight_max": max(int(connection.weight.max()) for connection in incoming),
            "threshold": int(population.threshold.max()),
            "threshold_min": int(population.threshold.min()),
            "bias_min": 0 if bias is None else int(bias.min()),
            "bias_max": 0 if bias is None else int(bias.max()),
            "decay_u": population.decay_u,
            "decay_v": population.decay_v,
            "scale": scale.scale,
            "scale_limited_by": scale.limited_by,
            "clip": scale.clip,
            "clipped_fraction": scale.clipped_fraction,
            "saturated": int(saturated.get(population.name, 0)),
            "firing_rate": measured[population.name]["firing_rate"],
            "spikes_per_sample": measured[population.name]["spikes"],
            "readout": population.name == network.readout,
        })  # fmt: skip
    return rows


def waterfall_rows(
    teacher: dict[str, Any] | None,
    test: int,
    stages: Sequence[Stage],
    labels: npt.NDArray[np.int64] | None,
    lava: dict[str, Any],
) -> list[dict[str, Any]]:
    """Teacher, float network, every form on its way, integers, Lava: accuracy and how many images each one saw.

    The teacher saw `test` of them. `agreement` is the share of images with the prediction of the first of `stages`.
    """
    rows = scores(stages, labels)
    if teacher is not None:
        rows.insert(0, {
            "stage": "teacher", "accuracy": teacher["accuracy"], "agreement": None, "samples": test,
            "note": teacher["model"],
        })  # fmt: skip
    if lava["status"] != "skipped":
        ours = lava["simulator_accuracy"]
        same = None if ours is None else f"the simulator on the same images: {ours:.2%}"
        rows.append({
            "stage": "lava", "accuracy": lava["accuracy"], "agreement": None, "samples": lava["samples"], "note": same,
        })  # fmt: skip
    return rows
