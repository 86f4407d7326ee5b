"""What exceeds the chip is found and named; what a network contradicts itself in is refused."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits, require_limits
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.validate import validate
from neurokd.hardware.simulator import simulate


def network(weight: Any = None, kind: Any = "spikes", constant: int = 0, **neuron: Any) -> LoihiNetwork:
    """One dense layer from 4 inputs to 2 neurons."""
    values = np.array([[2, -4, 6, 8], [0, 0, 0, 2]] if weight is None else weight)
    population = Population("fc", (2,), **{"threshold": np.array(100), **neuron})
    return LoihiNetwork(InputSpec((4,), kind, constant), (population,), (Connection("input", "fc", values),), 4)


def test_a_network_within_the_limits_passes() -> None:
    edge = network(
        [[254, -254, 0, 2]] * 2, threshold=np.array([1, 131071]), bias=np.array([-4095, 4095]), decay_u=0, decay_v=4096
    )
    assert check_limits(edge) == []
    require_limits(edge)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"weight": [[256, 0, 0, 0], [0, 0, 0, -2]]},
            "connection 'input' -> 'fc': weights reach -2..256, allowed is -254..254",
        ),
        (
            {"weight": [[1, 3, 2, 0], [0, 0, 0, -2]]},
            "connection 'input' -> 'fc': 2 of 8 weights are odd, allowed are even",
        ),
        ({"threshold": np.array(0)}, "population 'fc': thresholds reach 0..0, allowed is 1..131071"),
        ({"threshold": np.array([5, 131072])}, "population 'fc': thresholds reach 5..131072, allowed is 1..131071"),
        ({"bias": np.array([0, -4096])}, "population 'fc': |bias| reaches 4096, allowed is 4095"),
    ],
)
def test_everything_beyond_is_named(changes: dict[str, Any], sentence: str) -> None:
    found = check_limits(network(**changes))
    assert len(found) == 1
    assert found[0].startswith(sentence)
    assert ";" in found[0]  # what to do


def test_geometry_that_lava_keeps_in_a_byte() -> None:
    wide = Connection("input", "a", np.full((1, 1, 1, 1), 2), stride=(1, 128))
    spec = InputSpec((1, 2, 129), "spikes")
    two = LoihiNetwork(spec, (Population("a", (1, 2, 2), np.array(5)),), (wide,), 1)
    (found,) = check_limits(two)
    assert found.startswith("connection 'input' -> 'a': kernel, stride, padding or dilation of 128, allowed is 127")


@pytest.mark.parametrize(("groups", "left"), [(127, 127), (128, 64), (256, 64), (130, 65), (131, 1), (512, 64)])
def test_groups_beyond_a_byte_are_joined(groups: int, left: int) -> None:
    """Zeros between the groups that become one: the same sums, by torch's own convolution."""
    weight = np.random.default_rng(0).integers(-9, 10, (3 * groups, 2, 1, 2))
    many = Connection("input", "a", weight, padding=(0, 1), groups=groups)
    few = many.with_few_groups()
    assert few.groups == left and few.padding == many.padding
    inputs = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (1, 2 * groups, 3, 2))).double()
    sums = [
        torch.nn.functional.conv2d(inputs, torch.from_numpy(one.weight).double(), None, 1, (0, 1), 1, one.groups)
        for one in (many, few)
    ]
    assert torch.equal(*sums) and sums[0].any()


def test_all_findings_come_at_once() -> None:
    with pytest.raises(NeurokdError, match=r"weights reach.*are odd.*thresholds reach.*bias"):
        require_limits(network([[301, 0, 0, 0]] * 2, threshold=np.array(0), bias=np.array([9999, 0])))


def graded(positive: int, negative: int, **changes: Any) -> LoihiNetwork:
    """Graded inputs through weights that sum to `positive` and `-negative` in channel 1."""
    weight = np.zeros((2, 1000), dtype=int)
    weight[1, : positive // 2] = 2
    weight[1, positive // 2 : positive // 2 + negative // 2] = -2
    found = dataclasses.replace(network(), input=InputSpec((1000,), "graded"))
    return dataclasses.replace(found, connections=(Connection("input", "fc", weight),), **changes)


def test_the_current_is_bounded_by_the_larger_side() -> None:
    assert check_limits(graded(512, 512)) == []  # 512 * 255 = 130560
    for positive, negative in ((516, 0), (0, 516), (516, 516)):
        found = check_limits(graded(positive, negative))
        assert len(found) == 1
        assert found[0].startswith(
            "population 'fc': the synaptic sum can reach 131580 (channel 1), allowed is less than"
        )
    assert check_limits(graded(516, 0, input=InputSpec((1000,), "graded", maximum=100))) == []


def test_the_bound_is_reached_and_no_more() -> None:
    """Inputs that are as bad as they can be bring u to the bound, which is what the limit says."""
    found = graded(512, 400)
    worst = np.where(found.connections[0].weight[1] > 0, 255, 0)[None, None]
    trace = simulate(found, worst, state=True)
    assert trace.u["fc"][0, 0, 1] >> 6 == 512 * 255


def test_a_constant_plane_counts_with_its_own_value() -> None:
    weight = [[2, 0, 0, 200]] * 2
    assert check_limits(network(weight, "graded", constant=600)) == []  # 2 * 255 + 200 * 600 = 120510
    assert "120" not in str(check_limits(network(weight, "graded", constant=655)))  # 131510
    assert len(check_limits(network(weight, "graded", constant=655))) == 1


def test_branches_add_up() -> None:
    image = InputSpec((1, 4, 4), "graded", maximum=515)
    populations = (Population("a", (1, 4, 4), np.array(9)), Population("b", (1, 4, 4), np.array(9)))
    one = Connection("input", "a", np.full((1, 1, 1, 1), 254))
    two = Connection("input", "b", np.full((1, 1, 1, 1), 254))
    skip = Connection("a", "b", np.full((1, 1, 1, 1), 254))
    branched = LoihiNetwork(image, populations, (one, two, skip), 1)
    assert check_limits(branched) == []  # 254 * 515 + 254 = 131064
    more = dataclasses.replace(branched, input=dataclasses.replace(image, maximum=516))
    assert len(check_limits(more)) == 1


INCOHERENT = {
    "no population": ({"populations": ()}, "no population"),
    "no steps": ({"timesteps": 0}, "timesteps is 0"),
    "unknown read-out": ({"readout": "out"}, "readout 'out' is not a population"),
    "nothing drives it": ({"connections": ()}, "population 'fc': nothing drives it"),
    "input of two sizes": ({"input": InputSpec((2, 2))}, "input shape"),
    "bits rounded off spikes": ({"input": InputSpec((4,), shift=1)}, "input of kind .spikes. with shift 1"),
    "input of unknown kind": ({"input": InputSpec((4,), "analog")}, "input kind 'analog'"),  # type: ignore[arg-type]
    "bias input with a connection": ({"input": InputSpec((2,), "bias")}, "an input of kind 'bias' is its bias"),
    "unknown source": ({"connections": (Connection("x", "fc", np.ones((2, 4), int)),)}, "unknown end"),
    "bias input into a later population": (
        {
            "input": InputSpec((2,), "bias"),
            "populations": tuple(Population(name, (2,), np.array(9)) for name in ("fc", "b")),
            "connections": (Connection("input", "b", np.ones((2, 2), int)),),
        },
        "connection 'input' -> 'b': an input of kind 'bias' is the bias of 'fc' alone",
    ),
    "backwards": ({"connections": (Connection("fc", "fc", np.ones((2, 2), int)),)}, "it runs backwards"),
    "dense shape": ({"connections": (Connection("input", "fc", np.ones((2, 3), int)),)}, "dense weight has shape"),
    "float weights": ({"connections": (Connection("input", "fc", np.ones((2, 4))),)}, "weight is float64"),
    "conv on a vector": ({"connections": (Connection("input", "fc", np.ones((2, 4, 1, 1), int)),)}, "cannot read"),
}


@pytest.mark.parametrize(("changes", "message"), INCOHERENT.values(), ids=INCOHERENT.keys())
def test_incoherent_networks_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        validate(dataclasses.replace(network(), **changes))


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ({"threshold": np.array(1.5)}, "threshold is float64"),
        ({"threshold": np.arange(3)}, r"threshold is int64 of shape \(3,\)"),
        ({"bias": np.zeros(2)}, "bias is float64"),
        ({"bias": np.arange(3)}, "bias is int64"),
        ({"decay_u": 4097}, "decay_u is 4097, allowed is 0..4096"),
        ({"decay_v": -1}, "decay_v is -1"),
        ({"reset": "zero"}, "reset 'zero', allowed are 'hard' and 'soft'"),
        ({"reset": "soft", "threshold": np.array([9, 0])}, "threshold reaches 0, a soft reset subtracts it"),
        ({"initial": np.array(0.5)}, "initial is float64"),
        ({"initial": np.arange(3)}, r"initial is int64 of shape \(3,\)"),
        ({"initial": np.array([0, 1 << 23])}, "initial reaches 0..8388608, v saturates at"),
        ({"initial": np.array(-(1 << 23))}, "initial reaches -8388608"),
    ],
)
def test_incoherent_populations_are_refused(neuron: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=f"population 'fc': {message}"):
        validate(network(**neuron))


def test_equal_names_are_refused() -> None:
    found = network()
    with pytest.raises(NeurokdError, match="unique names"):
        validate(dataclasses.replace(found, populations=found.populations * 2))


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"stride": (0, 1)}, "stride is"),
        ({"dilation": (1, 0)}, "dilation is"),
        ({"groups": 0}, "groups is"),
        ({"padding": (-1, 0)}, "padding is"),
        ({"stride": (2, 2)}, r"the convolution gives \(2, 2, 2\), the target population has shape \(2, 4, 4\)"),
        ({"groups": 2}, "in 2 groups cannot read"),
    ],
)
def test_incoherent_convolutions_are_refused(geometry: dict[str, Any], message: str) -> None:
    connection = Connection("input", "a", np.ones((2, 1, 1, 1), int), **geometry)
    spec, population = InputSpec((1, 4, 4)), Population("a", (2, 4, 4), np.array(9))
    with pytest.raises(NeurokdError, match=message):
        validate(LoihiNetwork(spec, (population,), (connection,), 1))
