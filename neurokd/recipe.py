"""A recipe: one experiment, complete. YAML in, the resolved YAML saved with the run."""

import re
from pathlib import Path, PurePath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurokd.data.config import DataConfig, EventsConfig
from neurokd.distill import CE, TET, Method
from neurokd.errors import NeurokdError
from neurokd.neurons import LIF
from neurokd.qcfs import QCFSConfig
from neurokd.recipe_errors import explain

MAX_SEED = 2**32 - 1  # the largest that NumPy's generator takes


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(BaseModel):
    """A model by name (`neurokd models list`) or `package.module:function`; other keys are its options."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str

    def options(self) -> dict[str, Any]:
        """The keys that go to the model's factory."""
        return dict(self.model_extra or {})


class TrainingConfig(_Section):
    """The optimiser and its schedule; `lr` is the peak of the schedule.

    `epochs: 0` trains nothing: the network keeps the weights that its model comes with or `start` gives it.
    """

    epochs: int = Field(default=20, ge=0)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=4e-3, gt=0.0)
    weight_decay: float = Field(default=0.02, ge=0.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    clip_norm: float | None = Field(default=None, gt=0.0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = Field(default=0, ge=0)


class QATConfig(TrainingConfig):
    """Quantisation-aware training: the finished student goes on in the integers of its export.

    `bits` are those of the weights; `per_channel` gives each channel a scale, carried by its threshold. The loss is
    `kd` with the float student as the teacher, of which `kd_weight` and `temperature` are the coefficients. `lr` is
    the peak of the schedule, as in `training`.
    """

    bits: int = Field(default=8, ge=2, le=8)
    per_channel: bool = False
    kd_weight: float = Field(default=0.9, ge=0.0, le=1.0)
    temperature: float = Field(default=2.0, gt=0.0)
    epochs: int = Field(default=4, ge=1)
    lr: float = Field(default=2e-4, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    precision: Literal["32-true"] = "32-true"  # float32 holds the chip's integers, half precision does not


class TeacherConfig(_Section):
    """The ANN that is distilled: trained on the same split, kept and reused by content.

    It has a seed of its own, so that several seeds of a student learn from one teacher.
    """

    model: ModelConfig
    qcfs: QCFSConfig | None = None
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    training: TrainingConfig = TrainingConfig()
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)


class Published(_Section):
    """What a paper reports for this experiment, kept beside our own figure; nothing is computed from it."""

    accuracy: float = Field(gt=0.0, le=100.0)
    teacher_accuracy: float | None = Field(default=None, gt=0.0, le=100.0)
    source: str = Field(min_length=1)
    protocol: str | None = None


class Recipe(_Section):
    """One experiment. `neuron: null` trains the plain ANN, which is how teachers are made.

    `start: converted` makes three stages of one recipe, as HSD has them: the teacher is an ANN over QCFS, the
    student its conversion, and `method` the loss that fine-tunes it.

    `weights_from: RUN` takes the weights of a finished run of the same model instead, whose neurons, time steps or
    method may have been others: a network with soft resets goes on with the chip's hard ones.

    On event data a step is a frame: `timesteps`, unless given, are the frames of `data.events` that the network is
    for. Fewer are the first of them. An ANN sees its frames as images of their own and answers with the mean logits.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    data: DataConfig
    model: ModelConfig
    neuron: LIF | None = LIF()
    qcfs: QCFSConfig | None = None
    timesteps: int = Field(default=4, ge=1, le=64)
    start: Literal["random", "teacher", "converted"] = "random"
    weights_from: Path | None = None
    method: Method = Field(default=CE())
    training: TrainingConfig = TrainingConfig()
    teacher: TeacherConfig | None = None
    qat: QATConfig | None = None
    published: Published | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_frame_a_step(cls, values: Any) -> Any:
        """Let `timesteps` of event data follow from its frames."""
        data = values.get("data") if isinstance(values, dict) else None
        if data is None or "timesteps" in values:
            return values
        try:
            events = DataConfig.model_validate(data).events
        except ValidationError:
            return values  # the field's own validation says what is wrong
        return values if events is None else {**values, "timesteps": _frames_for(events, values.get("neuron", True))}

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.method.needs_teacher and self.teacher is None:
            raise ValueError(f"method '{self.method.name}' distils a teacher; add a 'teacher' section")
        if self.start != "random" and self.teacher is None:
            raise ValueError(f"start: {self.start} takes the weights of a teacher; add a 'teacher' section")
        if self.start == "teacher" and self.teacher and self.teacher.qcfs:
            raise ValueError("start: teacher takes ReLU weights; with teacher.qcfs it is start: converted")
        if self.start == "converted" and self.teacher and (not self.teacher.qcfs or self.teacher.model != self.model):
            raise ValueError("start: converted needs a teacher with the student's model and a 'qcfs' section")
        for network in (self, self.teacher):
            if network and network.qcfs and network.training.epochs == 0:
                raise ValueError("epochs: 0 leaves the thresholds of qcfs untrained; train for an epoch or more")
        if self.neuron is not None and self.qcfs:
            raise ValueError("qcfs is an activation of plain ANNs (neuron: null); of a teacher it is teacher.qcfs")
        if self.neuron is None and self.qat:
            raise ValueError("a plain ANN (neuron: null) has no integers to train in; leave qat out")
        if self.neuron is None and self.method.needs_teacher:
            raise ValueError("a plain ANN (neuron: null) learns from labels alone; use method: {name: ce}")
        if self.neuron is None and self.data.events is None and self.timesteps != 1:
            raise ValueError("a plain ANN (neuron: null) has timesteps: 1")
        if self.data.events is not None:
            there = _frames_for(self.data.events, self.neuron)
            if self.timesteps > there:
                raise ValueError(f"timesteps: {self.timesteps} for {there} frames; raise data.events.frames")
        return self

    @property
    def first_frame(self) -> int:
        """The first frame of a recording that this network sees: a spiking network comes after the ANN's frames."""
        return 0 if self.neuron is None or self.data.events is None else self.data.events.pretrain

    @property
    def teacher_frames(self) -> int:
        """How many frames of its own the teacher is shown while it is distilled; 0: those of the student."""
        events = self.data.events
        if events is None or events.teacher_frames == "inference" or not self.method.needs_teacher:
            return 0
        return events.pretrain

    @property
    def uses_teacher(self) -> bool:
        """Whether a teacher is trained: a `teacher` section that neither method nor start needs is left alone."""
        return self.method.needs_teacher or self.starts_from_teacher

    @property
    def starts_from_teacher(self) -> bool:
        """Whether the weights before training are those of the teacher."""
        return self.start != "random" and self.weights_from is None

    def teacher_recipe(self) -> "Recipe":
        """The recipe that trains the teacher: same data and split, no neurons.

        On event data its loss is the mean over its frames of the cross-entropy of each (HSD eq. 8).
        """
        if self.teacher is None:
            raise ValueError(f"recipe '{self.name}': has no teacher")
        smoothing, data, events = self.teacher.label_smoothing, self.data, self.data.events
        if events and events.pretrain:  # what is the student's alone makes no other teacher
            own = events.model_copy(update={"inference": None, "teacher_frames": "pretrain"})
            data = data.model_copy(update={"events": own})
        return Recipe(
            name=f"teacher-{run_name(self.teacher.model.name)}",
            seed=self.teacher.seed,
            data=data,
            model=self.teacher.model,
            neuron=None,
            qcfs=self.teacher.qcfs,
            timesteps=1 if events is None else _frames_for(events, None),
            method=CE(label_smoothing=smoothing) if events is None else TET(label_smoothing=smoothing),
            training=self.teacher.training,
        )

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def run_name(model: str) -> str:
    """What a run of the model of that name may be called.

    >>> run_name("torchvision:resnet18"), run_name("onnx:trained/my net.onnx")
    ('resnet18', 'my_net.onnx')
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", PurePath(model.rpartition(":")[2]).name)


def _frames_for(events: EventsConfig, neuron: object) -> int:
    """The frames that the spiking network is for or, without neurons, the ANN."""
    return events.steps if neuron is not None or not events.pretrain else events.pretrain


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a YAML recipe and apply `key.sub=value` overrides.

    Raises NeurokdError for a file that cannot be read, an unknown key (with the nearest allowed
    one) or a value that is not allowed.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NeurokdError(f"recipe '{path}': no such file; recipes/ holds ready ones") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise NeurokdError(f"recipe '{path}': not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise NeurokdError(f"recipe '{path}': expected a mapping of keys, got {type(values).__name__}")
    if kind := _other_kind(values):
        raise NeurokdError(f"recipe '{path}': this is the file of a {kind}; run it with: neurokd {kind} {path}")
    for override in overrides or []:
        _set(values, override)
    return parse_recipe(values, f"recipe '{path}'")


def parse_recipe(values: dict[str, Any], subject: str = "recipe") -> Recipe:
    """Validate a recipe given as nested dicts; errors are one NeurokdError naming `subject`."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        schema = Recipe.model_json_schema()
        raise NeurokdError(f"{subject}: " + "; ".join(explain(e, schema) for e in error.errors())) from error


def _other_kind(values: dict[str, Any]) -> str | None:
    """`sweep` or `search` for their files, which lie beside recipes."""
    if not {"recipe", "base"} & set(values):
        return None
    return "search" if "space" in values else "sweep"


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise NeurokdError(f"--set {override}: expected key=value, e.g. training.epochs=5")
    *parents, leaf = key.split(".")
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        child = values[parent]
        if not isinstance(child, dict):
            raise NeurokdError(f"--set {override}: '{parent}' is a value, not a section")
        values = child
    try:
        values[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NeurokdError(f"--set {override}: '{text}' is not a YAML value") from error
