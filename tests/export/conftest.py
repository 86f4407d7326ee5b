"""What the tests of the export share."""

from collections.abc import Callable

import nir
import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def run_float() -> Callable[[nir.NIRGraph, torch.Tensor], torch.Tensor]:
    """An independent float interpreter of a NIR chain: NIR's own equations, one Euler step of dt; `[T, B, ...]`."""
    return _run_float


def _run_float(graph: nir.NIRGraph, images: torch.Tensor) -> torch.Tensor:
    dt, state, logits = graph.metadata["dt"], {}, []
    for _ in range(int(graph.metadata["timesteps"])):
        x = images.double()
        for name, node in graph.nodes.items():
            if isinstance(node, nir.Conv2d):
                w, b = torch.from_numpy(node.weight).double(), torch.from_numpy(node.bias).double()
                geometry = (tuple(node.stride), tuple(node.padding), tuple(node.dilation), node.groups)
                x = nn.functional.conv2d(x, w, b, *geometry)
            elif isinstance(node, nir.Affine):
                x = x @ torch.from_numpy(node.weight).double().T + torch.from_numpy(node.bias).double()
            elif isinstance(node, nir.AvgPool2d):
                x = nn.functional.avg_pool2d(x, tuple(node.kernel_size), tuple(node.stride))
            elif isinstance(node, nir.Flatten):
                x = x.flatten(1)
            elif isinstance(node, nir.Scale):
                x = x * torch.from_numpy(node.scale).double()
            elif isinstance(node, nir.LIF | nir.IF):
                v = state.get(name, torch.zeros_like(x))
                current = torch.from_numpy(node.r).double() * x
                if isinstance(node, nir.IF):
                    v = v + dt * current
                else:
                    v = v + dt / torch.from_numpy(node.tau).double() * (current - v)
                x = (v > torch.from_numpy(node.v_threshold).double()).double()
                state[name] = v * (1 - x)
        logits.append(x)
    return torch.stack(logits)
