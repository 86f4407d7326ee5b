"""How well classes are separated, measured in the original feature space, where t-SNE distorts nothing."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from neurokd.data.images import IntArray
from neurokd.figures.features import FloatArray

NEIGHBOURS = 5


@dataclass(frozen=True)
class Separation:
    """`silhouette` in -1..1 and the share of samples that their nearest `neighbours` classify rightly."""

    silhouette: float
    neighbour_accuracy: float
    neighbours: int = NEIGHBOURS


def separation(features: FloatArray, labels: IntArray) -> Separation:
    """Silhouette of the classes and leave-one-out k-NN accuracy of features `[N, F]`, Euclidean distance.

    Silhouette (Rousseeuw 1987): the mean of `(b - a) / max(a, b)`, where `a` is a sample's mean distance to its own
    class and `b` to the nearest other class. k-NN: each sample gets the most frequent class of its 5 nearest others,
    the smallest of equally frequent ones.

    >>> separation(np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]), np.array([0, 0, 0, 1, 1, 1])).silhouette > 0.9
    True
    """
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(features).kneighbors(return_distance=False)
    votes = [np.bincount(labels[row]).argmax() for row in nearest]
    return Separation(float(silhouette_score(features, labels)), float(np.mean(np.array(votes) == labels)))
