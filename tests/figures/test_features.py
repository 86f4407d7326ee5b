"""Last features, their separation and their layout."""

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from neurokd.figures.cast import Unsuited
from neurokd.figures.embedding import embed
from neurokd.figures.features import classifier_layer, last_features
from neurokd.figures.maps import stage_maps
from neurokd.figures.separation import separation
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking

IMAGES = torch.randint(0, 256, (300, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def toy() -> tuple[np.ndarray, np.ndarray]:
    """Three clouds that overlap, with as many samples as labels."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    return generator.normal(size=(60, 7)) + labels[:, None] * 0.8, labels


def test_separation_is_what_scikit_learn_says() -> None:
    features, labels = toy()
    found = separation(features, labels)
    votes = cross_val_predict(KNeighborsClassifier(5), features, labels, cv=LeaveOneOut())
    assert found.neighbour_accuracy == np.mean(votes == labels)
    assert 0.5 < found.neighbour_accuracy < 1.0
    assert found.silhouette == silhouette_score(features, labels)


def test_separation_does_not_depend_on_the_scale() -> None:
    features, labels = toy()
    once, larger = separation(features, labels), separation(1000 * features, labels)
    assert once.silhouette == pytest.approx(larger.silhouette)
    assert once.neighbour_accuracy == larger.neighbour_accuracy


def test_equal_seeds_lay_out_equally() -> None:
    features, _ = toy()
    first, again, other = embed(features, 0), embed(features, 0), embed(features + 1e-3 * toy()[0] ** 2, 0)
    assert np.array_equal(first.positions, again.positions)
    assert not np.array_equal(first.positions, other.positions)
    assert first.perplexity == pytest.approx(59 / 3)
    assert 0.0 < first.divergence < 2.0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_features_that_say_nothing_are_named(value: float) -> None:
    with pytest.raises(Unsuited, match="same for every image"):
        embed(np.full((20, 3), value), 0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 2),
    ).eval()  # fmt: skip


def test_last_features_are_the_input_of_the_classifier() -> None:
    ann = network()
    with torch.no_grad():
        wanted = ann[:6](IMAGES / 255.0)
    np.testing.assert_allclose(last_features(ann, IMAGES), wanted.numpy(), atol=1e-5)


def test_of_frames_they_are_the_mean_over_the_frames() -> None:
    frames = IMAGES.unflatten(0, (100, 3))  # 100 recordings of three frames: counts, not pixels in [0, 1]
    ann = network()
    with torch.no_grad():
        wanted = ann[:6](IMAGES.float()).unflatten(0, (100, 3)).mean(dim=1)
    np.testing.assert_allclose(last_features(ann, frames), wanted.numpy(), rtol=1e-4)
    assert last_features(to_spiking(ann, LIF(), 3).eval(), frames).shape == (100, 6)


def test_of_a_spiking_network_they_are_rates() -> None:
    features = last_features(to_spiking(network(), LIF(threshold=0.2), 4).eval(), IMAGES)
    assert features.shape == (300, 6)
    assert set(np.unique(features)) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert len(np.unique(features)) > 2


def test_a_network_without_linear_classifier_is_named() -> None:
    with pytest.raises(Unsuited, match=r"nn\.Linear"):
        classifier_layer(nn.Sequential(nn.Conv2d(1, 2, 4), nn.Flatten()), IMAGES[:2] / 255.0)


def test_stage_maps_are_the_activation_that_ends_the_stage() -> None:
    ann = network()
    maps = stage_maps(ann, IMAGES[:2] / 255.0, 1, 2)
    with torch.no_grad():
        torch.testing.assert_close(maps.maps, ann[:2](IMAGES[:2] / 255.0)[:, :2])
    spiking = stage_maps(to_spiking(ann, LIF(threshold=0.2), 4), IMAGES[:2] / 255.0, 1, 9)
    assert spiking.maps.shape == (2, 3, 4, 4) and 0.0 < spiking.maps.mean() < 1.0
    frames = IMAGES[:6].float().unflatten(0, (3, 2))  # time first
    with torch.no_grad():
        wanted = ann[:2](frames.flatten(0, 1)).unflatten(0, (3, 2)).mean(dim=0)
    torch.testing.assert_close(stage_maps(ann, frames, 1, 3).maps, wanted)
    with pytest.raises(Unsuited, match="1 stages of feature maps, stage 2"):
        stage_maps(ann, IMAGES[:2] / 255.0, 2, 2)
