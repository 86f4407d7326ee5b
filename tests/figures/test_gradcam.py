"""Grad-CAM against the same sums written out in NumPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.figures.cast import Unsuited
from neurokd.figures.gradcam import grad_cam
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking

CONV = np.array([1.5, -0.5, 3.0])
BIAS = np.array([0.0, 0.4, -0.5])
IMAGES = np.array([[[0.2, 0.9], [0.5, 1.0]], [[1.0, 0.0], [0.1, 0.7]]])  # [B, h, w]
READ = np.random.default_rng(3).normal(size=(2, 3, 2, 2))  # [classes, K, h, w]


def network(hidden: int | None = None) -> nn.Sequential:
    """A 1x1 convolution with three channels, ReLU, and a linear layer over all positions."""
    conv = nn.Conv2d(1, 3, 1)
    conv.weight.data = torch.tensor(CONV, dtype=torch.float32).reshape(3, 1, 1, 1)
    conv.bias.data = torch.tensor(BIAS, dtype=torch.float32)  # type: ignore[union-attr]
    layers: list[nn.Module] = [conv, nn.ReLU(), nn.Flatten()]
    if hidden:
        layers += [nn.Linear(12, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, 2, bias=False)]
    else:
        layers.append(nn.Linear(12, 2, bias=False))
        layers[-1].weight.data = torch.tensor(READ, dtype=torch.float32).reshape(2, 12)
    return nn.Sequential(*layers).eval()


def currents() -> np.ndarray:
    """What enters the activation, `[B, K, h, w]`."""
    return IMAGES[:, None] * CONV[None, :, None, None] + BIAS[None, :, None, None]


def spikes(timesteps: int, decay: float = 0.5, threshold: float = 1.0) -> np.ndarray:
    """LIF with hard reset, step by step: `[T, B, K, h, w]`."""
    v = np.zeros_like(currents())
    steps = []
    for _ in range(timesteps):
        v = decay * v + currents()
        steps.append((v > threshold).astype(float))
        v = np.where(v > threshold, 0.0, v)
    return np.stack(steps)


def expected_map(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """`ReLU(sum_k alpha_k A_k)` with `alpha_k` the mean gradient, loop by loop."""
    maps = np.zeros(features.shape[0:1] + features.shape[2:])
    for b in range(len(features)):
        for k in range(features.shape[1]):
            maps[b] += gradients[b, k].mean() * features[b, k]
    return np.maximum(maps, 0.0)


def inputs() -> torch.Tensor:
    """The images as a network gets them."""
    return torch.tensor(IMAGES, dtype=torch.float32)[:, None]


def test_of_an_ann_it_is_the_papers_equation() -> None:
    features = np.maximum(currents(), 0.0)
    logits = np.einsum("bkhw,ckhw->bc", features, READ)
    best = logits.argmax(axis=1)
    cam = grad_cam(network(), inputs())
    assert cam.path == "1"
    assert cam.predicted.tolist() == best.tolist()
    wanted = expected_map(features, READ[best])
    assert wanted.max() > 0.1
    np.testing.assert_allclose(cam.maps.numpy(), wanted, atol=1e-5)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cam.probability.numpy(), share.max(axis=1), atol=1e-5)


@pytest.mark.parametrize("timesteps", [1, 3, 4])
def test_of_a_spiking_network_features_are_averaged_and_gradients_summed_over_the_steps(timesteps: int) -> None:
    fired = spikes(timesteps)
    logits = np.einsum("tbkhw,ckhw->tbc", fired, READ).mean(axis=0)
    best = logits.argmax(axis=1)
    gradients = np.stack([READ[best] / timesteps] * timesteps)  # of the mean logit, at every step
    wanted = expected_map(fired.mean(axis=0), gradients.sum(axis=0))
    cam = grad_cam(to_spiking(network(), LIF(), timesteps).eval(), inputs())
    assert cam.predicted.tolist() == best.tolist()
    np.testing.assert_allclose(cam.maps.numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("spiking", [False, True])
def test_frames_of_a_still_image_have_the_map_of_the_image(spiking: bool) -> None:
    model = to_spiking(network(), LIF(), 3).eval() if spiking else network()
    still, moving = grad_cam(model, inputs()), grad_cam(model, inputs().expand(3, -1, -1, -1, -1))
    assert still.maps.max() > 0
    torch.testing.assert_close(moving.maps, still.maps)
    torch.testing.assert_close(moving.probability, still.probability)


def test_an_ann_on_frames_adds_up_its_gradients_and_averages_its_maps() -> None:
    frames = torch.tensor(IMAGES, dtype=torch.float32)[:, None, None]  # the two images as frames of one recording
    features = np.maximum(currents(), 0.0)
    best = int(np.einsum("tkhw,ckhw->c", features, READ).argmax())
    cam = grad_cam(network(), frames)
    assert cam.predicted.tolist() == [best]
    np.testing.assert_allclose(cam.maps.numpy(), expected_map(features.mean(axis=0)[None], READ[[best]]), atol=1e-5)


def test_gradients_pass_neurons_behind_the_map_through_their_surrogate() -> None:
    torch.manual_seed(1)
    model = to_spiking(network(hidden=5), LIF(), timesteps=1).eval()
    first, last = (layer.weight.detach().double().numpy() for layer in (model.net[3], model.net[5]))
    fired = spikes(1)[0]
    h = fired.reshape(2, 12) @ first.T
    logits = (h > 1.0).astype(float) @ last.T
    best = logits.argmax(axis=1)
    triangle = np.maximum(0.0, 1.0 - np.abs(h - 1.0))
    gradients = ((last[best] * triangle) @ first).reshape(2, 3, 2, 2)
    assert np.abs(gradients).max() > 0.01
    cam = grad_cam(model, inputs())
    assert cam.path == "1"
    np.testing.assert_allclose(cam.maps.numpy(), expected_map(fired, gradients), atol=1e-5)


def test_a_trained_threshold_changes_no_map() -> None:
    """Spikes of value theta have gradients 1/theta of those of spikes of value 1."""
    ann = to_qcfs(network(), levels=4, threshold=1.0)
    plain = grad_cam(convert(ann, 4).eval(), inputs())
    doubled = convert(ann, 4).eval()
    doubled.net[1].threshold.data *= 2  # type: ignore[union-attr,operator]
    doubled.net[0].weight.data *= 2  # type: ignore[union-attr,operator]
    doubled.net[0].bias.data *= 2  # type: ignore[union-attr,operator]
    doubled.net[3].weight.data /= 2  # type: ignore[union-attr,operator]
    torch.testing.assert_close(grad_cam(doubled, inputs()).maps, plain.maps)


def test_every_image_has_the_map_that_it_has_alone() -> None:
    model = to_spiking(network(), LIF(), 3).eval()
    together = grad_cam(model, inputs()).maps
    alone = [grad_cam(model, image[None]).maps[0] for image in inputs()]
    torch.testing.assert_close(together, torch.stack(alone))


def test_no_hook_and_no_gradient_stays_behind() -> None:
    model = network()
    grad_cam(model, inputs())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_of_vectors_has_no_map() -> None:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise((4, 3, 2)):
        layers += [nn.Linear(a, b), nn.ReLU()]
    with pytest.raises(Unsuited, match="feature map"):
        grad_cam(nn.Sequential(*layers[:-1]), inputs())
