"""Ask Lava whether the artefact does what our simulator says: every neuron, every layer, every step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neurokd.export.network import IntArray, LoihiNetwork
from neurokd.export.proof.verify import compare
from neurokd.hardware.lava.runner import LavaMissing, run_lava
from neurokd.hardware.simulator import simulate


@dataclass(frozen=True)
class Witness:
    """How Lava is asked: "auto" runs it where it is installed, "require" fails without it, "off" does not.

    `fast` swaps Lava's convolution for one that computes the same integers with one matrix product;
    the file is loaded by stock netx either way.
    """

    mode: Literal["auto", "require", "off"] = "auto"
    samples: int = 200
    fast: bool = False
    timeout_s: float = 1800.0


def witness(
    network: LoihiNetwork, path: Path, frames: IntArray, labels: npt.NDArray[np.int64] | None, options: Witness
) -> dict[str, Any]:
    """Run the first `options.samples` of `frames` `[1, B, ...]` on both and compare; the manifest's entry.

    Without `labels` there are no accuracies in it.

    Raises LavaMissing in mode "require" where Lava is not installed, LavaFailed if it hangs or crashes.
    """
    if options.mode == "off":
        return _skipped("switched off")
    samples = min(options.samples, frames.shape[1])
    chosen = frames[:, :samples]
    try:
        theirs = run_lava(path, chosen, timeout_s=options.timeout_s, fast=options.fast)
    except LavaMissing as error:
        if options.mode == "require":
            raise
        return _skipped(str(error))
    ours = simulate(network, chosen)
    comparison = compare(ours, theirs)
    return {
        "status": "passed" if comparison.mismatches == 0 else "failed",
        "reason": None if comparison.mismatches == 0 else comparison.describe(),
        "samples": samples,
        "timesteps": network.timesteps,
        "models": f"loaded by {theirs.info['loaded_by']}; process models: {theirs.info['process_models']}",
        "accuracy": None if labels is None else theirs.accuracy(labels[:samples])[-1],
        "simulator_accuracy": None if labels is None else ours.accuracy(labels[:samples])[-1],
        **comparison.to_json(),
        "versions": {name: theirs.info[name] for name in ("lava-nc", "lava-dl")},
        "wall_s": theirs.wall_s,
    }


def _skipped(reason: str) -> dict[str, Any]:
    return {"status": "skipped", "reason": reason, "samples": 0, "compared": 0, "mismatches": 0, "layers": []}
