"""The data part of a recipe."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurokd.data.augment_config import AugmentConfig

DataName = Literal["digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "image-folder", "arrays"]
PositiveInt = Annotated[int, Field(ge=1)]


class DataConfig(BaseModel):
    """Which images are used, and which of them validate.

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

    @model_validator(mode="after")
    def _options_fit_the_name(self) -> "DataConfig":
        if self.name in ("image-folder", "arrays") and self.path is None:
            raise ValueError(f"data '{self.name}' needs `path`, the folder with the data")
        if self.name not in ("image-folder", "arrays") and self.path is not None:
            raise ValueError(
                f"data '{self.name}' takes no `path`, got '{self.path}'; it is for image-folder and arrays"
            )
        if self.name != "image-folder" and self.image_size is not None:
            raise ValueError(f"data '{self.name}' takes no `image_size`; only image-folder resizes")
        return self
