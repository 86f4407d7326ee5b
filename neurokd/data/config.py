"""The data part of a recipe."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurokd.data.augment_config import EVENT_KEYS, AugmentConfig
from neurokd.events.frames import Counting, FrameSettings, Overflow, Resizing, Slicing
from neurokd.inputs import PIXELS, SPIKES, Encoding

ImageName = Literal["digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "image-folder", "arrays"]
EventName = Literal["digits-dvs", "nmnist", "dvs-gesture", "cifar10-dvs", "ncaltech101", "events"]
DataName = Literal[ImageName, EventName]
EVENT_NAMES: tuple[str, ...] = get_args(EventName)
PATH_NAMES = ("image-folder", "arrays", "events")
PositiveInt = Annotated[int, Field(ge=1)]


class EventsConfig(BaseModel):
    """How recordings become frames, and which frames train what; the keys of frames are those of `FrameSettings`.

    HSD cuts a recording into T1 + T2 frames: the first `pretrain` train the ANN, each frame as an image of its own,
    the next `inference` fine-tune the spiking network, one frame a step. Inference uses these alone. With
    `pretrain: 0` both are trained on the same frames.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: PositiveInt = 10
    """Slices of a recording."""
    pretrain: int = Field(default=0, ge=0)
    """T1: frames of the ANN."""
    inference: PositiveInt | None = None
    """T2: frames of the spiking network, one a step; all that `pretrain` leaves unless given."""
    teacher_frames: Literal["pretrain", "inference"] = "pretrain"
    """What a teacher is shown while it is distilled: the frames it was trained on, or those of the student."""
    slicing: Slicing = "number"
    duration_us: PositiveInt | None = None
    counting: Counting = "count"
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    """Side of a frame, or (height, width); the sensor's unless given."""
    resizing: Resizing = "scale"
    max_count: int = Field(default=255, ge=1, le=255)
    """The largest count of a pixel: a network's input is 8 bits wide. Smaller ones leave more room for the weights."""
    overflow: Overflow = "refuse"
    """What becomes of a larger count: `refuse` it, or `saturate` at `max_count`."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """The part of the recordings that tests, for sets without an official test part."""
    folds: int | None = Field(default=None, ge=2)
    """Join all recordings, cut them into so many folds and test on one: for sets with few test recordings."""
    fold: int = Field(default=0, ge=0)
    """The fold that tests."""

    @model_validator(mode="after")
    def _frames_suffice(self) -> "EventsConfig":
        if self.pretrain + (self.inference or 1) > self.frames:
            raise ValueError(
                f"pretrain {self.pretrain} and inference {self.inference or 1} are more than the {self.frames} frames; "
                "raise frames"
            )
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold is {self.fold}, allowed is less than folds, {self.folds or 'which is not given'}")
        _ = self.settings()  # raises for settings that do not go together
        return self

    @property
    def steps(self) -> int:
        """T2, the frames of the spiking network."""
        return self.inference or self.frames - self.pretrain

    def settings(self, spare: int = 0) -> FrameSettings:
        """How recordings are cut, with `spare` frames more for a random temporal crop."""
        return FrameSettings(
            frames=self.frames + spare,
            slicing=self.slicing,
            duration_us=self.duration_us,
            counting=self.counting,
            size=(self.size, self.size) if isinstance(self.size, int) else self.size,
            resizing=self.resizing,
            max_count=self.max_count,
            overflow=self.overflow,
        )


class DataConfig(BaseModel):
    """Which images or recordings are used, and which of them validate.

    >>> DataConfig(name="digits").validation
    0.1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DataName
    path: Path | None = None
    """Folder of `image-folder` and `arrays`; relative to the data root unless absolute."""
    validation: float = Field(default=0.1, gt=0, lt=1)
    """The part of the training images that selects the model; the test images never do."""
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    """Which training images those are: apart from the recipe's seed, so that several seeds share data and teacher."""
    train_samples: PositiveInt | None = None
    """Use only this many training images: a fixed, stratified choice."""
    augment: AugmentConfig = AugmentConfig()
    image_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    """Resize the images of `image-folder` to this side, or (height, width)."""
    events: EventsConfig | None = None
    """Of event sets, which have these keys at their defaults where the section is left out."""

    @property
    def encoding(self) -> Encoding:
        """What the stored integers mean."""
        if self.events is None:
            return PIXELS
        limit = self.events.settings().limit
        return SPIKES if limit == 1 else Encoding(limit, 1.0)

    @model_validator(mode="after")
    def _options_fit_the_name(self) -> "DataConfig":
        if self.name in PATH_NAMES and self.path is None:
            raise ValueError(f"data '{self.name}' needs `path`, the folder with the data")
        if self.name not in PATH_NAMES and self.path is not None:
            raise ValueError(
                f"data '{self.name}' takes no `path`, got '{self.path}'; it is for {', '.join(PATH_NAMES)}"
            )
        if self.name != "image-folder" and self.image_size is not None:
            raise ValueError(f"data '{self.name}' takes no `image_size`; only image-folder resizes")
        if self.name not in EVENT_NAMES:
            for_events = [f"augment.{key}" for key in EVENT_KEYS if getattr(self.augment, key)]
            for_events += ["events"] if self.events is not None else []
            if for_events:
                raise ValueError(f"data '{self.name}' takes no `{for_events[0]}`; it is for {', '.join(EVENT_NAMES)}")
        if self.name in EVENT_NAMES and self.events is None:
            object.__setattr__(self, "events", EventsConfig())
        return self
