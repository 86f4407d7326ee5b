"""What `result.json` and `export/manifest.json` must hold: unknown keys are ignored, malformed ones are errors."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A frozen piece of a run's files; NaN and infinity are refused, numbers are never parsed from text."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


class DataSummary(Part):
    """The data of the run and the sizes of its splits."""

    name: str
    fingerprint: str | dict[str, str] | None = None
    train: Count | None = None
    validation: Count | None = None
    test: Count
    split: dict[str, str] | None = None
    """SHA-256 of the indices in `splits.npz`, by part."""


class Teacher(Part):
    """The ANN that taught the student."""

    accuracy: Share
    model: str
    parameters: Count | None = None
    macs: Count | None = None
    reused: bool = False


class Student(Part):
    """The trained spiking network, in float, on the test split."""

    model: str
    parameters: Count | None = None
    macs: Count | None = None
    accuracy: Share
    accuracy_per_step: tuple[Share, ...] = ()
    validation_accuracy: Share | None = None
    best_epoch: Count | None = None
    firing_rate: dict[str, Amount] = {}


class WallTime(Part):
    """Seconds spent on training."""

    teacher: Amount | None = None
    student: Amount | None = None


class Result(Part):
    """`result.json`: what training ended with."""

    format: Literal[1]
    name: str
    created: str | None = None
    timesteps: Annotated[int, Field(ge=1)]
    classes: tuple[str, ...] = ()
    data: DataSummary
    method: str
    teacher: Teacher | None = None
    student: Student
    wall_s: WallTime = WallTime()

    @model_validator(mode="after")
    def _steps_agree(self) -> "Result":
        _check_steps("student.accuracy_per_step", self.student.accuracy_per_step, self.timesteps)
        return self


class NetworkInput(Part):
    """What the exported network is shown at every step."""

    shape: tuple[int, ...]
    kind: str
    constant: int = 0


class Layer(Part):
    """One population of the exported network with the synapses that lead into it."""

    name: str
    kind: str
    shape: tuple[int, ...]
    neurons: Count
    synapses: Count
    weight_min: int
    weight_max: int
    threshold: int
    bias_min: int | None = None
    bias_max: int | None = None
    decay_u: Count
    decay_v: Count
    scale: float | None = None
    clipped_fraction: Share | None = None
    saturated: Count | None = None
    firing_rate: Amount | None = None
    spikes_per_sample: Amount | None = None
    readout: bool = False


class Stage(Part):
    """One stage of the accuracy waterfall; `agreement` is the share of samples predicted as by the float student."""

    stage: str
    accuracy: Share
    agreement: Share | None = None
    samples: Annotated[int, Field(ge=1)]
    note: str | None = None


class LayerChange(Part):
    """Firing rates of a layer before and after a stage, and their error over its neurons."""

    name: str
    before: Amount
    after: Amount
    error: Amount


class FirstLoss(Part):
    """The first stage that lost more than 0.2 points to the stage `before`, and the layer where that begins."""

    stage: str
    before: str
    points: Amount
    layers: tuple[LayerChange, ...] = ()
    starts_at: str | None = None


class ComparedLayer(Part):
    """How many spikes of one layer were compared, and how many differ."""

    name: str
    compared: Count
    mismatches: Count


class ReadoutCheck(Part):
    """How many membranes of the read-out were compared, and how many differ."""

    compared: Count
    mismatches: Count


class LavaCheck(Part):
    """The comparison with Lava; `compared` and `mismatches` are spikes and read-out values together."""

    status: Literal["passed", "failed", "skipped"]
    reason: str | None = None
    samples: Count | None = None
    timesteps: Count | None = None
    compared: Count = 0
    mismatches: Count = 0
    layers: tuple[ComparedLayer, ...] = ()
    readout: ReadoutCheck | None = None
    models: str | None = None
    versions: dict[str, str] = {}
    wall_s: Amount | None = None


class Verification(Part):
    """The witnesses that ran the artefact."""

    lava: LavaCheck | None = None


class LayerActivity(Part):
    """Operations of one layer per sample, summed over the time steps (NeuroBench's definitions)."""

    name: str
    effective_acs: Amount = 0.0
    effective_macs: Amount = 0.0
    dense_operations: Amount = 0.0
    spikes: Amount | None = None
    firing_rate: Amount | None = None
    neuron_updates: Amount | None = None


class ActivityTotals(Part):
    """`macs_once`: MACs per sample if the product of a static image is kept over the steps."""

    macs_once: Amount | None = None


class Activity(Part):
    """Operations of the whole network per sample."""

    layers: tuple[LayerActivity, ...]
    static_input: bool = False
    totals: ActivityTotals = ActivityTotals()


class Calibration(Part):
    """How the scales were chosen; `clip` is one for all layers in manifests of old, by layer since."""

    samples: Count
    clip: Share | dict[str, Share]
    method: str | None = None
    weight_bits: Count | None = None
    input_bits: Count | None = None
    rounding: str | None = None
    per_channel: bool = False


class Energy(Part):
    """One energy figure with its range and the source of its constants."""

    label: str
    value: Amount
    unit: Literal["pJ", "nJ", "uJ", "mJ"]
    low: Amount
    high: Amount
    source: str
    kind: str = "estimated"
    what: str = "student"

    @model_validator(mode="after")
    def _range_holds_value(self) -> "Energy":
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} is outside of its range {self.low} to {self.high}")
        return self


class Manifest(Part):
    """`export/manifest.json`: what the artefact is and how it was verified."""

    format: Literal[1]
    created: str | None = None
    target: str
    network: str
    sha256: str
    timesteps: Annotated[int, Field(ge=1)]
    input: NetworkInput
    layers: tuple[Layer, ...]
    waterfall: tuple[Stage, ...] = ()
    first_loss: FirstLoss | None = None
    accuracy_per_step: tuple[Share, ...] = ()
    verification: Verification = Verification()
    activity: Activity | None = None
    energy: tuple[Energy, ...] = ()
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _steps_agree(self) -> "Manifest":
        _check_steps("accuracy_per_step", self.accuracy_per_step, self.timesteps)
        return self


def _check_steps(name: str, values: tuple[float, ...], timesteps: int) -> None:
    if values and len(values) != timesteps:
        raise ValueError(f"{name} has {len(values)} values for {timesteps} time steps")
