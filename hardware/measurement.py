"""A figure with its unit, its range and where it comes from."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from neurokd.errors import NeurokdError

Kind = Literal["measured", "estimated", "extrapolated"]


@dataclass(frozen=True)
class Measurement:
    """One figure: `value` in `unit`, known to lie in `[low, high]`.

    `kind` says whether an instrument gave it ("measured"), a model within the conditions it was
    made for ("estimated"), or a model beyond them ("extrapolated"). `source` names the instrument
    or the model and its constants.
    """

    value: float
    unit: str
    low: float
    high: float
    source: str
    kind: Kind

    def __post_init__(self) -> None:
        """Refuse a value outside its own range."""
        if not self.low <= self.value <= self.high:
            raise NeurokdError(f"measurement from {self.source}: {self.value} is outside [{self.low}, {self.high}]")

    def to_json(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)
