"""The parameters of NIR's neurons in the units of the chip, refused where the chip has none such."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.contract.layers_of_nir import channelwise
from neurokd.export.network import MAX_DECAY
from neurokd.export.nir_graphs.euler import FloatArray, Integrator, Spiking, euler_step
from neurokd.export.nir_graphs.reset import initial_of, reset_of


@dataclass(frozen=True, eq=False)
class FloatNeurons:
    """The membrane takes `gain` times the current; decays are what is lost in one step, of 4096.

    `threshold` is one value (0-d) or one per channel, `[C]`, and None where there is none: a read-out never spikes.
    `initial` is the membrane before the first step as a fraction of the threshold.
    """

    gain: float = 1.0
    decay_u: int = MAX_DECAY
    decay_v: int = 0
    threshold: FloatArray | None = None
    reset: Literal["hard", "soft"] = "hard"
    initial: float = 0.0


def float_neurons(name: str, node: Spiking | Integrator, dt: float) -> FloatNeurons:
    """One step of `dt` seconds of the neurons `node`, called `name`; NeurokdError for parameters the chip has not."""
    rest = [_one_value(getattr(node, key), name, key) for key in ("v_leak", "v_reset") if hasattr(node, key)]
    step = euler_step(node, dt)
    gain = _one_value(step.gain, name, "r or time constants")
    forget_u, forget_v = _one_value(step.forget_u, name, "tau_syn"), _one_value(step.forget_v, name, "tau")
    for forget in (forget_u, forget_v):
        if not 0.0 <= forget <= 1.0:
            raise NeurokdError(
                f"layer '{name}': a step of dt = {dt:g} s is {forget:.3g} times its time constant; needs 0 < dt <= tau"
            )
    if any(rest) or not 0.0 < gain < np.inf:
        raise NeurokdError(f"layer '{name}': needs v_leak = v_reset = 0 and r > 0 (gain per step is {gain:g})")
    threshold = _threshold(name, node) if isinstance(node, Spiking) else None
    decays = round(forget_u * MAX_DECAY), round(forget_v * MAX_DECAY)
    return FloatNeurons(gain, *decays, threshold, reset_of(node), initial_of(node))


def _threshold(name: str, neurons: Spiking) -> FloatArray:
    threshold = channelwise(neurons.v_threshold)
    if threshold is None:
        _one_value(neurons.v_threshold, name, "v_threshold within a channel")
    if threshold is None or not (np.isfinite(threshold) & (threshold > 0.0)).all():
        raise NeurokdError(f"layer '{name}': needs finite thresholds above 0")
    return threshold


def _one_value(values: Any, name: str, field: str) -> float:
    unique = np.unique(np.asarray(values, np.float64))
    if unique.size != 1:
        between = f"({unique[0]:g} to {unique[-1]:g})" if unique.size else "(no values at all)"
        raise NeurokdError(f"layer '{name}': neurons differ in {field} {between}; use one value")
    return float(unique[0])
