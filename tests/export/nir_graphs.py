"""Chains of NIR nodes that the tests share."""

import itertools
from typing import Any

import nir
import numpy as np

DT = 1e-3


def chain(*nodes: nir.NIRNode, shape: tuple[int, ...] = (4,), timesteps: int = 5, **metadata: Any) -> nir.NIRGraph:
    """Input of `shape`, `nodes` named "0", "1", ..., output."""
    named = {"in": nir.Input(np.array(shape))} | {str(i): node for i, node in enumerate(nodes)}
    named["out"] = nir.Output(np.array([1]))
    times = {"dt": DT, "timesteps": timesteps}
    return nir.NIRGraph(named, list(itertools.pairwise(named)), metadata=times | metadata, type_check=False)


def affine(outputs: int, inputs: int, seed: int = 0, bias: float = 0.3) -> nir.Affine:
    """Random weights of both signs, so large that neurons with threshold 1 fire now and then."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(0.2, 2.0 / np.sqrt(inputs), (outputs, inputs))
    return nir.Affine(weight, np.full(outputs, bias))


def lif(size: int | tuple[int, ...], tau: float = 2e-3, r: float = 2.0, threshold: Any = 1.0) -> nir.LIF:
    """`v + dt / tau (r x - v)`: with these values half of the membrane stays and the current counts once."""
    zero = np.zeros(size)
    return nir.LIF(zero + tau, zero + r, zero, zero + threshold, zero)


def cuba(size: int, tau_syn: float = 2e-3, tau_mem: float = 4e-3, w_in: float = 2.0, r: float = 4.0) -> nir.CubaLIF:
    """A half of the current stays, three quarters of the membrane; both gains are one."""
    zero = np.zeros(size)
    return nir.CubaLIF(zero + tau_syn, zero + tau_mem, zero + r, zero, zero + 1.0, zero, w_in)


def li(size: int, tau: float = 2e-3, r: float = 2.0) -> nir.LI:
    """A half of the membrane stays, the current counts once."""
    return nir.LI(np.full(size, tau), np.full(size, r), np.zeros(size))
