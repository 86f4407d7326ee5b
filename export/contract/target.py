"""The targets: what each of them can hold and do, as data."""

from dataclasses import asdict, dataclass
from typing import Any

from neurokd.errors import NeurokdError
from neurokd.export.network import CURRENT_LIMIT, MAX_BIAS, MAX_INPUT, MAX_THRESHOLD, MAX_WEIGHT

LAYERS = (
    "Conv2d", "Linear", "Affine", "BatchNorm1d", "BatchNorm2d", "LIF", "IF", "CubaLIF",
    "LI", "I", "CubaLI", "Scale", "AvgPool2d", "AdaptiveAvgPool2d", "Flatten", "Dropout", "Dropout2d", "Identity",
)  # fmt: skip
"""Kinds of layers that the export turns into integers, by their class in torch.nn and in NIR."""


@dataclass(frozen=True)
class Core:
    """Sizes of one neurocore and of the chip that holds it; `source` says who published them."""

    neurons: int
    synapse_bytes: int
    per_chip: int
    source: str


@dataclass(frozen=True)
class Target:
    """One place to run an exported network.

    `resets` run as they are; those in `custom_resets`, and a membrane that does not start at 0, need
    `custom`, else they are refused. `weight`, `bias` and `threshold` are the largest magnitudes, a synaptic
    sum must stay below `current`, and `input_max` is the largest input.
    """

    name: str
    what: str
    layers: tuple[str, ...] = LAYERS
    resets: tuple[str, ...] = ("hard",)
    custom_resets: tuple[str, ...] = ()
    custom: str = ""
    weight: int = MAX_WEIGHT
    bias: int = MAX_BIAS
    threshold: int = MAX_THRESHOLD
    current: int = CURRENT_LIMIT
    input_max: int = MAX_INPUT
    core: Core | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


LOIHI2_CORE = Core(8192, 128 * 1024, 128, "Intel, Taking Neuromorphic Computing to the Next Level with Loihi 2, 2021")

TARGETS: dict[str, Target] = {
    "loihi2": Target("loihi2", "Loihi 2 with its stock LIF neuron", core=LOIHI2_CORE),
    "loihi2-microcode": Target(
        "loihi2-microcode",
        "Loihi 2 with a neuron programmed for it",
        custom_resets=("soft",),
        custom="custom microcode",
        core=LOIHI2_CORE,
    ),
    "lava-cpu": Target(
        "lava-cpu",
        "Lava's processor models of Loihi 2, as stock netx builds them",
        custom_resets=("soft",),
        custom="a Lava process model of its own",
    ),
}


def find_target(name: str) -> Target:
    """The target called `name`; NeurokdError naming those that there are."""
    if name not in TARGETS:
        raise NeurokdError(f"target '{name}' is unknown; allowed are {', '.join(TARGETS)}")
    return TARGETS[name]
