"""The `neurokd` group of a network file: what netx has no place for, as one JSON text."""

import json
from typing import Annotated, Any, Literal

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_STATE, LoihiNetwork
from neurokd.export.network_files.hdf5_fields import Fields, located

GROUP, TEXT = "neurokd", "network"
FORMATS = (1, 2)  # 2 since files hold graphs, soft resets and initial membranes


State = Annotated[int, Field(ge=-MAX_STATE, le=MAX_STATE)]


class Neuron(BaseModel):
    """How a population's membrane starts and resets; `initial` is one value or one per channel."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reset: Literal["hard", "soft"]
    initial: State | list[State]


class Extra(BaseModel):
    """Everything about a `LoihiNetwork` that its other groups do not say; see there for the meaning.

    Format 1 is a chain of neurons as netx has them, format 2 has `neurons`, one per population. A reader that knows
    format 1 alone refuses the other, which it would run with other resets.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal[1, 2]
    input_kind: Literal["spikes", "graded", "bias"]
    input_constant: int
    input_maximum: Annotated[int, Field(ge=1, lt=1 << 24)] = 255
    input_shift: Annotated[int, Field(ge=0, le=7)] = 0
    populations: list[str]
    neurons: list[Neuron] = []
    timesteps: Annotated[int, Field(ge=1, le=1 << 20)]
    readout: str | None
    logit_scale: Annotated[float, Field(allow_inf_nan=False)]
    labels: list[str]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, network: LoihiNetwork, *, chain: bool) -> "Extra":
        """What `network` needs stored; `chain`: its other group is that of netx."""
        neurons = [Neuron(reset=p.reset, initial=p.initial.tolist()) for p in network.populations]
        stock = chain and all(p.reset == "hard" and not p.initial.any() for p in network.populations)
        return cls(
            format=1 if stock else 2,
            neurons=[] if stock else neurons,
            input_kind=network.input.kind,
            input_constant=network.input.constant,
            input_maximum=network.input.maximum,
            input_shift=network.input.shift,
            populations=[population.name for population in network.populations],
            timesteps=network.timesteps,
            readout=network.readout,
            logit_scale=float(network.logit_scale),
            labels=list(network.labels),
            metadata=dict(network.metadata),
        )

    def write(self, file: h5py.File) -> None:
        """Store as `neurokd/network`, an ASCII string; NeurokdError if the metadata is no JSON."""
        try:
            text = json.dumps(self.model_dump(exclude=self._left_out()), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise NeurokdError(f"network metadata: it is not JSON ({error}); keep to text, numbers, lists") from error
        file.create_group(GROUP).create_dataset(TEXT, data=np.bytes_(text.encode("ascii")))

    def _left_out(self) -> set[str]:
        """Fields that say nothing here; a reader that does not know a field refuses the file."""
        silent = {"neurons": self.format == 1, "input_shift": self.input_shift == 0}
        return {name for name, nothing in silent.items() if nothing}

    @classmethod
    def read(cls, root: Fields) -> "Extra | None":
        """The stored text, checked field by field; None for a file by others."""
        if not root.has(GROUP):
            return None
        group = root.child(GROUP)
        where = f"{group.where}/{TEXT}"
        with located(where):
            stored = json.loads(group.text(TEXT))
        version = stored.get("format") if isinstance(stored, dict) else None
        if version not in FORMATS:
            raise NeurokdError(f"{where}: format {str(version)[:40]}, this version reads {FORMATS}; update neurokd")
        try:
            extra = cls.model_validate(stored)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise NeurokdError(f"{where}: field '{field}': {first['msg']}; write the file again") from error
        wanted = len(extra.populations) if extra.format == 2 else 0
        if len(extra.neurons) != wanted:
            raise NeurokdError(f"{where}: {len(extra.neurons)} neurons, needed in format {extra.format} are {wanted}")
        return extra

    def neurons_in_order(self) -> list[Neuron]:
        """How each population starts and resets."""
        return self.neurons or [Neuron(reset="hard", initial=0)] * len(self.populations)

    def require_populations(self, count: int, where: str) -> None:
        """Raise NeurokdError, about the file `where`, unless there are names for just `count` populations."""
        if len(self.populations) != count:
            raise NeurokdError(f"{where}: {len(self.populations)} population names for {count} populations")
