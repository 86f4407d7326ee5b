"""What a model of one's own does wrong is said by its name, before a folder is made or a teacher trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.neurons import LIF
from neurokd.recipe import parse_recipe
from neurokd.spiking import to_spiking
from neurokd.training import fit
from neurokd.trial import check_logits

IMAGES = torch.zeros(2, 1, 2, 2)


def mlp(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, outputs))


class Faulty(nn.Module):
    """A small network whose forward ends in `fault`."""

    def __init__(self, fault: Any) -> None:
        super().__init__()
        self.net, self.fault = mlp(), fault

    def forward(self, x: torch.Tensor) -> Any:
        return self.fault(self.net(x))


def boom(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("two\nlines")


def test_what_fits_passes_and_is_left_in_its_mode() -> None:
    for model in (mlp(), to_spiking(mlp(), LIF(), timesteps=3)):
        check_logits(model, "mine", IMAGES, 3)
        assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Faulty(boom), r"model 'mine': fails on images \[2, 1, 2, 2\] \(RuntimeError: two lines\)"),
        (Faulty(lambda logits: (logits, logits)), r"returns a tuple; .* one tensor of logits \[B, 3\]"),
        (Faulty(lambda logits: logits * torch.nan), "untrained, it returns logits that are not finite"),
        (Faulty(lambda logits: logits[:1]), r"returns \[1, 3\] for 2 images"),
        (mlp(outputs=5), r"returns \[2, 5\] for 2 images; a model gives one tensor of logits \[B, 3\]"),
        (to_spiking(mlp(outputs=5), LIF(), timesteps=4), r"returns \[4, 2, 5\] for 2 images"),
    ],
)
def test_what_does_not_fit_is_named(model: nn.Module, message: str) -> None:
    with pytest.raises(NeurokdError, match=message) as caught:
        check_logits(model, "mine", IMAGES, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "tests.test_trial:five"}}, "model 'tests.test_trial:five': returns .*2, 5.*"),
        ({"teacher": {"model": {"name": "tests.test_trial:five"}}}, "model 'tests.test_trial:five': returns .*2, 5.*"),
        ({"training": {"batch_size": 500}}, "batch size is 500, but there are only 96 training images"),
        ({"data": {"augment": {"shift": 8}}}, "data.augment.shift is 8, allowed is less than .* 8x8"),
    ],
)
def test_nothing_is_written_for_a_recipe_that_cannot_be_trained(
    data: Path, cache: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    small = {"name": "vgg-tiny", "width": 4}
    recipe = {"name": "x", "model": small, "method": {"name": "kd"}, "teacher": {"model": small}, **change}
    recipe["data"] = {"name": "arrays", "path": str(data), "validation": 0.2, **change.get("data", {})}
    with pytest.raises(NeurokdError, match=message):
        fit(parse_recipe(recipe), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists() and not cache.exists()


def five(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 5))
