"""The rows of `manifest.json`: what each layer holds and does, and where accuracy was lost."""

from dataclasses import dataclass
from typing import Any

from neurokd.export.calibrate import Calibration
from neurokd.export.network import LoihiNetwork


def layer_rows(
    network: LoihiNetwork, calibration: Calibration, activity: dict[str, Any], saturated: dict[str, int]
) -> list[dict[str, Any]]:
    """One row per population: integers from the network, activity on the test images."""
    scales = {scale.name: scale for scale in calibration.quantized.scales}
    measured = {layer["name"]: layer for layer in activity["layers"]}
    rows = []
    for population in network.populations:
        (connection,) = network.incoming(population.name)
        scale, bias = scales[population.name], population.bias
        rows.append({
            "name": population.name,
            "kind": connection.kind,
            "shape": list(population.shape),
            "neurons": population.size,
            "synapses": measured[population.name]["synapses"],
            "weight_min": int(connection.weight.min()),
            "weight_max": int(connection.weight.max()),
            "threshold": int(population.threshold.max()),
            "threshold_min": int(population.threshold.min()),
            "bias_min": 0 if bias is None else int(bias.min()),
            "bias_max": 0 if bias is None else int(bias.max()),
            "decay_u": population.decay_u,
            "decay_v": population.decay_v,
            "scale": scale.scale,
            "scale_limited_by": scale.limited_by,
            "clipped_fraction": scale.clipped_fraction,
            "saturated": int(saturated.get(population.name, 0)),
            "firing_rate": measured[population.name]["firing_rate"],
            "spikes_per_sample": measured[population.name]["spikes"],
            "readout": population.name == network.readout,
        })  # fmt: skip
    return rows


@dataclass(frozen=True)
class Scores:
    """Test accuracy of the float network, called `network`, and of the integers, and the share of equal predictions.

    The accuracies are None where the samples, called `inputs`, have no labels.
    """

    network: str
    float_accuracy: float | None
    quantised: float | None
    agreement: float
    samples: int
    inputs: str = "the images"


def waterfall_rows(
    teacher: dict[str, Any] | None, test: int, scores: Scores, lava: dict[str, Any]
) -> list[dict[str, Any]]:
    """Teacher, float network, integers, Lava: accuracy and how many images each one saw, the teacher `test` of them."""
    note = f"same prediction as the {scores.network} on {scores.agreement:.2%} of {scores.inputs}"
    rows: list[dict[str, Any]] = []
    if teacher is not None:
        rows.append({"stage": "teacher", "accuracy": teacher["accuracy"], "samples": test, "note": teacher["model"]})
    rows.append({
        "stage": scores.network, "accuracy": scores.float_accuracy, "samples": scores.samples, "note": None,
    })  # fmt: skip
    rows.append({"stage": "quantised", "accuracy": scores.quantised, "samples": scores.samples, "note": note})
    if lava["status"] != "skipped":
        ours = lava["simulator_accuracy"]
        same = None if ours is None else f"the simulator on the same images: {ours:.2%}"
        rows.append({"stage": "lava", "accuracy": lava["accuracy"], "samples": lava["samples"], "note": same})
    return rows
