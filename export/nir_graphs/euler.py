"""One Euler step of NIR's neurons, in the form in which the chip computes it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import nir
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Spiking: TypeAlias = nir.LIF | nir.IF | nir.CubaLIF
Integrator: TypeAlias = nir.LI | nir.I | nir.CubaLI


@dataclass(frozen=True)
class EulerStep:
    """With the input `x[t]`, all arrays shaped as the node's parameters::

        u[t] = (1 - forget_u) u[t-1] + gain x[t]
        v[t] = (1 - forget_v) v[t-1] + u[t]

    `u` is zero before the first step, as is `v`. A node without a synaptic current has `forget_u = 1`.
    """

    forget_u: FloatArray
    forget_v: FloatArray
    gain: FloatArray


def euler_step(node: Spiking | Integrator, dt: float) -> EulerStep:
    """Forward Euler over `dt` seconds of NIR's equations (nir/ir/neuron.py), with `v_leak = 0`::

        LIF, LI          tau v' = -v + r x               v += dt / tau (r x - v)
        IF, I                v' = r x                    v += dt r x
        CubaLIF, CubaLI  tau_syn i' = -i + w_in x        i += dt / tau_syn (w_in x - i)
                         tau_mem v' = -v + r i           v += dt / tau_mem (r i - v)

    The membrane takes the current of its own step, as on the chip. Here `u = dt / tau_mem r i`, so that the
    factors of both equations are one `gain`.

    >>> step = euler_step(nir.LI(tau=np.array([2e-3]), r=np.array([3.0]), v_leak=np.array([0.0])), dt=1e-3)
    >>> step.forget_v, step.gain
    (array([0.5]), array([1.5]))
    """
    r = np.asarray(node.r, np.float64)
    if isinstance(node, nir.IF | nir.I):
        return EulerStep(np.ones_like(r), np.zeros_like(r), dt * r)
    if isinstance(node, nir.LIF | nir.LI):
        forget_v = _per_step(dt, node.tau)
        return EulerStep(np.ones_like(forget_v), forget_v, forget_v * r)
    forget_u, forget_v = _per_step(dt, node.tau_syn), _per_step(dt, node.tau_mem)
    return EulerStep(forget_u, forget_v, forget_u * np.asarray(node.w_in, np.float64) * forget_v * r)


def _per_step(dt: float, tau: Any) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):  # tau = 0 becomes infinity, which no decay is
        return np.asarray(dt / np.asarray(tau, np.float64))
