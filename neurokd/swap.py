"""Replace modules of one kind in a copy of a model: what every conversion does."""

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import nn

Kind = TypeVar("Kind", bound=nn.Module)


def swap(model: nn.Module, kind: type[Kind], make: Callable[[str, Kind], nn.Module]) -> tuple[nn.Module, int]:
    """Return a copy of `model` in which `make(path, module)` stands for every module of `kind`, and their number.

    A module that stands at two paths is replaced at each of them.

    >>> swap(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.ReLU, lambda path, module: nn.Tanh())
    (Sequential(
      (0): Linear(in_features=2, out_features=2, bias=True)
      (1): Tanh()
    ), 1)
    """
    net = copy.deepcopy(model)
    if isinstance(net, kind):
        return make("", net), 1
    found = [(path, module) for path, module in net.named_modules(remove_duplicate=False) if isinstance(module, kind)]
    for path, module in found:
        parent, _, leaf = path.rpartition(".")
        setattr(net.get_submodule(parent), leaf, make(path, module))
    return net, len(found)
