"""A search as a YAML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurokd.distill import METHODS
from neurokd.distill.features import FeatureObjective
from neurokd.errors import NeurokdError
from neurokd.recipe import Recipe, parse_recipe
from neurokd.search.space import FACTORY, Space
from neurokd.search.supernet import recipe_of
from neurokd.sweep.reading import explain, read_mapping

LEAST = 3  # subnets from which a rank correlation says anything


class SearchFile(BaseModel):
    """The keys of a search file; exactly one of `recipe` (a path beside the file) and `base` (inline).

    The recipe gives everything but the model, which is the space's; `epochs` replaces its `training.epochs` for the
    supernet. Each step trains the largest subnet, the smallest and `random_subnets` others. `samples` subnets are
    evaluated, each after its BN statistics were found on `calibration_images`; `seed` draws all of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Path | None = None
    base: dict[str, Any] | None = None
    space: Space
    epochs: int | None = Field(default=None, ge=1)
    random_subnets: int = Field(default=2, ge=0)
    samples: int = Field(default=300, ge=LEAST)
    sampler: Literal["random", "tpe"] = "random"
    calibration_images: int = Field(default=1024, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _parts_fit(self) -> "SearchFile":
        if (self.recipe is None) == (self.base is None):
            raise ValueError("give either 'recipe', the path of one, or 'base', a recipe written out here")
        if self.samples > self.space.count:
            raise ValueError(f"samples is {self.samples}, but the space has only {self.space.count} subnets; lower it")
        return self


class Search(BaseModel):
    """A search with its recipe read: what `search.yaml` of its folder holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: Recipe
    space: Space
    epochs: int
    random_subnets: int
    samples: int
    sampler: Literal["random", "tpe"]
    calibration_images: int
    seed: int

    @property
    def supernet_recipe(self) -> Recipe:
        """The recipe of the supernet: that of the largest subnet, for `epochs`."""
        training = self.base.training.model_copy(update={"epochs": self.epochs})
        return recipe_of(self.base, self.space.largest).model_copy(update={"training": training})


def load_search(path: Path) -> Search:
    """Read a search file and its recipe.

    Raises NeurokdError for a file that cannot be read, an unknown key (with the nearest allowed one), a value that is
    not allowed, and a recipe that no supernet can be trained by.
    """
    subject = f"search '{path}'"
    file = _parse(read_mapping(path, "search"), subject)
    values = file.base if file.base is not None else read_mapping(path.parent / (file.recipe or ""), "recipe")
    model = {"name": FACTORY, "channels": list(file.space.largest.channels), "depths": list(file.space.largest.depths)}
    base = parse_recipe({"name": path.stem, **values, "model": model}, f"{subject}, its recipe")
    _check(base, subject)
    return Search(
        name=path.stem,
        base=base,
        epochs=file.epochs or base.training.epochs,
        **file.model_dump(include=set(Search.model_fields) - {"name", "base", "epochs"}),
    )


def _check(recipe: Recipe, subject: str) -> None:
    """Refuse what has no meaning for weights that many architectures share."""
    if isinstance(recipe.method, FeatureObjective):
        allowed = ", ".join(name for name, method in METHODS.items() if not issubclass(method, FeatureObjective))
        raise NeurokdError(
            f"{subject}: method '{recipe.method.name}' compares features, whose shapes change from subnet to subnet, "
            f"and its adapters fit one of them; allowed are {allowed}"
        )
    if recipe.weights_from is not None:
        raise NeurokdError(f"{subject}: weights_from has the weights of one architecture; leave it out of a search")
    if recipe.start != "random":
        raise NeurokdError(
            f"{subject}: start: {recipe.start} copies the weights of a teacher of the same architecture, and the "
            "architecture is what is searched; use start: random"
        )
    if recipe.training.epochs == 0:
        raise NeurokdError(f"{subject}: training.epochs is 0; weights that many architectures share have to be trained")
    if recipe.qat is not None:
        raise NeurokdError(f"{subject}: qat trains the integers of one architecture; leave it out of a search")
    if recipe.qcfs is not None:
        raise NeurokdError(
            f"{subject}: qcfs trains a threshold for each layer of one architecture; remove it to search over ReLU, "
            "or give a neuron"
        )


def _parse(values: dict[str, Any], subject: str) -> SearchFile:
    try:
        return SearchFile.model_validate(values)
    except ValidationError as error:
        raise NeurokdError(
            f"{subject}: " + "; ".join(explain(e, _keys_at(e["loc"])) for e in error.errors())
        ) from error


def _keys_at(place: Sequence[Any]) -> list[str]:
    """The keys that are allowed where an error lies."""
    return list((Space if place[:1] == ("space",) else SearchFile).model_fields)
