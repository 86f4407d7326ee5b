"""t-SNE: a picture of neighbourhoods (van der Maaten & Hinton 2008)."""

from dataclasses import dataclass

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from neurokd.figures.cast import Unsuited
from neurokd.figures.features import FloatArray

PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Embedding:
    """Positions `[N, 2]`, the perplexity used, and the divergence (nats) that t-SNE ended with."""

    positions: FloatArray
    perplexity: float
    divergence: float


def embed(features: FloatArray, seed: int) -> Embedding:
    """Lay out features `[N, F]` in the plane by scikit-learn's TSNE, started from the first two principal components.

    The perplexity is 30, or a third of the other samples where there are few. One thread, so that equal features and
    seeds give equal positions. Raises Unsuited for features that are not finite or all equal.
    """
    if not np.isfinite(features).all() or np.ptp(features, axis=0).max() == 0.0:
        raise Unsuited("its last features are not finite, or the same for every image")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    with threadpool_limits(1):
        positions = tsne.fit_transform(features)
    return Embedding(positions.astype(np.float64), perplexity, float(tsne.kl_divergence_))
