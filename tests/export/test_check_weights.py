"""What only numbers can break: trained weights, and the nodes of a NIR graph."""

import itertools
from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.export.contract.check import Verdict, check_model
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.contract.rules import RULES, WEIGHT_RULES, look_at
from neurokd.export.contract.target import TARGETS
from neurokd.spiking import to_spiking

SHAPE = (2, 8, 8)
LOIHI2 = TARGETS["loihi2"]


def checked(ann: nn.Module, *, weights: bool) -> Verdict:
    """The verdict on the spiking form of `ann`."""
    return check_model(to_spiking(ann, timesteps=2), SHAPE, LOIHI2, weights=weights)


def small() -> nn.Sequential:
    """Two convolutions with neurons and a linear layer."""
    convolutions = (nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(192, 4))


def changed(layer: int, change: Callable[[torch.Tensor], object]) -> Verdict:
    """The verdict on `small` with other weights in one layer; before training there is nothing wrong with it."""
    ann = small()
    with torch.no_grad():
        change(ann[layer].weight)
    assert checked(ann, weights=False).deployable
    return checked(ann, weights=True)


def test_weights_that_are_no_numbers_or_all_zero_are_all_listed() -> None:
    ann = small()
    with torch.no_grad():
        ann[0].weight[0, 0, 0, 0] = torch.nan
        ann[2].bias[1] = torch.inf
        ann[5].weight.zero_()
    found = [(finding.layer, finding.rule) for finding in checked(ann, weights=True).violations]
    assert found == [("0", "finite"), ("2", "finite"), ("5", "not all zero")]


def test_dead_outputs_are_a_note() -> None:
    verdict = changed(2, lambda weight: weight[1].zero_())
    assert verdict.deployable and [(f.layer, f.rule) for f in verdict.findings] == [("2", "dead outputs")]
    assert "1 of 3 outputs" in verdict.findings[0].text


def test_weights_too_large_beside_the_threshold() -> None:
    (violation,) = changed(2, lambda weight: weight.mul_(1e6)).violations
    assert violation.rule == "export" and "layer '3'" in violation.text and "threshold" in violation.text


def test_a_dense_matrix_of_one_sign_that_netx_would_change() -> None:
    """1023 equal inputs over two steps leave room for weights of -64, of which netx makes -63."""
    ann = nn.Sequential(nn.Conv2d(2, 1023, 8), nn.ReLU(), nn.Flatten(), nn.Linear(1023, 4, bias=False))
    nn.init.constant_(ann[3].weight, -1.0)
    (violation,) = checked(ann, weights=True).violations
    assert violation.rule == "dense signs" and violation.layer == "3" and "netx would change" in violation.text


def _nir(*nodes: tuple[str, nir.NIRNode], edges: list[tuple[str, str]] | None = None) -> nir.NIRGraph:
    names = [name for name, _ in nodes]
    found = edges if edges is not None else list(itertools.pairwise(names))
    return nir.NIRGraph(dict(nodes), found, metadata={"dt": 1e-3, "timesteps": 2}, type_check=False)


def _lif(size: int = 3, **changes: object) -> nir.LIF:
    values: dict[str, object] = {"tau": 2e-3, "r": 2.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0} | changes
    return nir.LIF(**{key: np.broadcast_to(np.float32(value), size).copy() for key, value in values.items()})


def _li(size: int = 2, **changes: float) -> nir.LI:
    values = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0} | changes
    return nir.LI(**{key: np.full(size, value) for key, value in values.items()})


def _cuba(**changes: float) -> nir.CubaLIF:
    values = {"tau_syn": 2e-3, "tau_mem": 4e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0} | changes
    return nir.CubaLIF(**{key: np.full(3, value) for key, value in values.items()})


def _soft() -> nir.IF:
    return nir.IF(np.full(3, 1e3), np.ones(3), metadata={"reset_mechanism": "subtract"})


INPUT, OUTPUT = ("in", nir.Input(np.array([4]))), ("out", nir.Output(np.array([2])))
FIRST, LAST = ("fc1", nir.Affine(np.ones((3, 4)), np.zeros(3))), ("fc2", nir.Affine(np.ones((2, 3)), np.zeros(2)))
BIASED = ("fc1", nir.Affine(np.ones((3, 4)), np.ones(3)))
SCALE = ("value", nir.Scale(np.full(3, 2.0)))


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("lif", _lif()), SCALE, LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("if", nir.IF(np.full(3, 1e3), np.ones(3), np.zeros(3))), LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("lif", _lif(v_threshold=[1, 2, 3])), LAST, OUTPUT), [("lif", "channel thresholds")]),
        (_nir(INPUT, FIRST, ("lif", _lif(tau=[2e-3, 3e-3, 4e-3])), LAST, OUTPUT), [("lif", "one population")]),
        (_nir(INPUT, FIRST, ("lif", _lif(v_reset=0.5)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif(tau=5e-4)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif(v_threshold=0.0)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, SCALE, ("lif", _lif()), LAST, OUTPUT), [("value", "scale place")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), ("v", nir.Scale(np.arange(3.0))), LAST, OUTPUT), [("v", "scale values")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), ("fc2", nir.Linear(np.ones((2, 3)))), OUTPUT), [("fc2", "layer")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, ("li", _li()), OUTPUT), []),
        (_nir(INPUT, FIRST, ("li", _li(3)), LAST, OUTPUT), [("li", "integrator place")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, ("li", _li(v_leak=1.0)), OUTPUT), [("li", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif(5)), LAST, OUTPUT), [("lif", "shapes")]),
        (_nir(INPUT, FIRST, ("if", _soft()), LAST, OUTPUT), [("if", "reset")]),
        (_nir(INPUT, FIRST, ("cuba", _cuba()), LAST, OUTPUT), []),
        (_nir(INPUT, BIASED, ("cuba", _cuba()), LAST, OUTPUT), [("fc1", "filtered bias")]),
        (_nir(INPUT, FIRST, ("cuba", _cuba(tau_syn=5e-4)), LAST, OUTPUT), [("cuba", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, OUTPUT, edges=[
            ("in", "fc1"), ("fc1", "lif"), ("lif", "fc1"), ("lif", "fc2"), ("fc2", "out"),
        ]), [("fc1", "recurrent")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), ("late", nir.Delay(np.ones(3))), LAST, OUTPUT), [("late", "layer")]),
        (_nir(("in", nir.Input(np.array([1 << 25]))), ("pool", nir.Flatten(None, 0)), OUTPUT), [
            ("", "size"), ("pool", "size"), ("", "size"), ("", "read-out"),
        ]),
        (_nir(INPUT, ("fc1", nir.Affine(np.ones((3, 5)), np.zeros(3))), ("lif", _lif()), LAST, OUTPUT), [
            ("fc1", "shapes"),
        ]),
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, OUTPUT, edges=[("in", "fc1"), ("fc1", "lif"), ("fc2", "out")]), [
            ("fc2", "undriven"), ("lif", "unused"),
        ]),
    ],
)  # fmt: skip
def test_nodes_of_a_graph_are_held_against_the_same_rules(graph: nir.NIRGraph, expected: list[tuple[str, str]]) -> None:
    found = look_at(layers_of_nir(graph), LOIHI2, RULES + WEIGHT_RULES)
    assert sorted((finding.layer, finding.rule) for finding in found) == sorted(expected)
