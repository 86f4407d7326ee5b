"""The activation swap."""

import pytest
import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.neurons import LIF
from neurokd.spiking import LIFNeurons, to_spiking


def _ann() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5),
    ).eval()  # fmt: skip


def test_the_argument_is_left_alone() -> None:
    ann = _ann()
    before = {name: value.clone() for name, value in ann.state_dict().items()}
    student = to_spiking(ann, timesteps=2)
    student.net[0].weight.data.zero_()
    assert isinstance(ann[2], nn.ReLU)
    assert all(torch.equal(before[name], value) for name, value in ann.state_dict().items())


def test_static_image_equals_the_same_frames_and_runs_the_first_layer_once() -> None:
    student = to_spiking(_ann(), LIF(), timesteps=3).eval()
    images = torch.rand(4, 2, 8, 8) * 3
    seen: list[int] = []
    student.net[0].register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[0]))
    static = student(images)
    frames = student(images.expand(3, *images.shape))
    assert seen == [4, 12]
    torch.testing.assert_close(static, frames)
    assert static.shape == (3, 4, 5)


def test_equals_a_plain_loop_over_time() -> None:
    ann, images = _ann(), torch.rand(4, 2, 8, 8) * 3
    student = to_spiking(ann, LIF(), timesteps=3).eval()
    v1, v2, logits = torch.zeros(1), torch.zeros(1), []
    for _ in range(3):
        h1 = 0.5 * v1 + ann[:2](images)
        s1 = (h1 > 1).float()
        h2 = 0.5 * v2 + ann[3:5](s1)
        s2 = (h2 > 1).float()
        v1, v2 = h1 * (1 - s1), h2 * (1 - s2)
        logits.append(ann[6:](s2))
    torch.testing.assert_close(student(images), torch.stack(logits))
    assert sum(z.detach().abs().sum().item() for z in logits) > 0


def test_a_shared_relu_becomes_one_shared_layer_of_neurons() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu, self.linear = nn.ReLU(), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.relu(self.linear(self.relu(self.linear(x))))
            return out

    student = to_spiking(Twice(), timesteps=2)
    assert isinstance(student.net.relu, LIFNeurons)
    assert student(torch.rand(4, 3)).shape == (2, 4, 3)


def test_a_model_without_relu_is_refused() -> None:
    with pytest.raises(NeurokdError, match=r"no nn\.ReLU"):
        to_spiking(nn.Linear(2, 2))


def test_zero_steps_are_refused() -> None:
    with pytest.raises(NeurokdError, match="timesteps: got 0"):
        to_spiking(_ann(), timesteps=0)
