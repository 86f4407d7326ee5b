"""The `neurokd` group of a network file: what netx has no place for, as one JSON text."""

import json
from typing import Annotated, Any, Literal

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurokd.errors import NeurokdError
from neurokd.export.hdf5_fields import Fields, located
from neurokd.export.network import LoihiNetwork

GROUP, TEXT = "neurokd", "network"
FORMAT: Literal[1] = 1


class Extra(BaseModel):
    """Everything about a `LoihiNetwork` that its `layer` group does not say; see there for the meaning."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal[1] = FORMAT
    input_kind: Literal["spikes", "graded", "bias"]
    input_constant: int
    input_maximum: Annotated[int, Field(ge=1, lt=1 << 24)] = 255
    populations: list[str]
    timesteps: Annotated[int, Field(ge=1, le=1 << 20)]
    readout: str | None
    logit_scale: Annotated[float, Field(allow_inf_nan=False)]
    labels: list[str]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, network: LoihiNetwork) -> "Extra":
        """What `network` needs stored."""
        return cls(
            input_kind=network.input.kind,
            input_constant=network.input.constant,
            input_maximum=network.input.maximum,
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
            text = json.dumps(self.model_dump(), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise NeurokdError(f"network metadata: it is not JSON ({error}); keep to text, numbers, lists") from error
        file.create_group(GROUP).create_dataset(TEXT, data=np.bytes_(text.encode("ascii")))

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
        if version != FORMAT:
            raise NeurokdError(f"{where}: format {str(version)[:40]}, this version reads {FORMAT}; update neurokd")
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise NeurokdError(f"{where}: field '{field}': {first['msg']}; write the file again") from error
