"""What a recipe may vary in its training samples."""

from pydantic import BaseModel, ConfigDict, Field


class AugmentConfig(BaseModel):
    """What is varied in training samples, in all frames of a recording alike; the default is nothing.

    The last three are for event recordings alone.

    >>> AugmentConfig().active, AugmentConfig(nda=True).active
    (False, True)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = False
    """Mirror left and right with probability 1/2."""
    shift: int = Field(default=0, ge=0)
    """Zero padding in pixels on every side before a random crop to the original size."""
    cutout: int = Field(default=0, ge=0)
    """Side in pixels of a square set to 0 around a random pixel (DeVries & Taylor 2017, arXiv 1708.04552)."""
    nda: bool = False
    """Mirror with probability 1/2, then roll, rotate, cut out or shear (`neurokd.data.nda`)."""
    mix: float = Field(default=0.0, ge=0, le=1)
    """Probability that a recording is mixed with another of its batch (`neurokd.data.event_mix`)."""
    temporal_crop: int = Field(default=0, ge=0)
    """How many frames more than the network sees are cut; training keeps a random window of them."""

    @property
    def active(self) -> bool:
        """Whether anything is varied."""
        return self != type(self)()


EVENT_KEYS = ("nda", "mix", "temporal_crop")
