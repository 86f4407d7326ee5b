"""t-SNE of the last features of several networks, side by side (TSER's figure)."""

from dataclasses import dataclass

import torch

from neurokd.data.images import IntArray
from neurokd.figures.cast import Cast, Network, of_each
from neurokd.figures.choice import test_images
from neurokd.figures.embedding import Embedding, embed
from neurokd.figures.features import last_features
from neurokd.figures.figure import Figure, Table, names_in
from neurokd.figures.scatter import Panel, scatter
from neurokd.figures.separation import NEIGHBOURS, Separation, separation
from neurokd.report import numbers

TITLE = "Last features, laid out by t-SNE"
ABOUT = (
    "The input of the classifier layer, averaged over all time steps, of the same test samples in every network. "
    "t-SNE keeps neighbourhoods and distorts distances, sizes and gaps, so tidier clusters prove nothing.",
    "Compare the numbers instead. They are measured in the original feature space: the silhouette of the true classes "
    f"(-1 to 1, higher is better separated), and the accuracy of the {NEIGHBOURS} nearest neighbours among the "
    "others.",
)


@dataclass(frozen=True, eq=False)
class _Laid:
    width: int
    embedding: Embedding
    separation: Separation


def tsne_figure(cast: Cast, chosen: IntArray, seed: int) -> Figure:
    """One panel per network for the test images `chosen`; networks without a linear classifier are left out."""
    labels: IntArray = cast.dataset.test.labels[torch.from_numpy(chosen)].numpy()

    def lay_out(network: Network) -> _Laid:
        features = last_features(network.model, test_images(network.data, chosen))
        return _Laid(features.shape[1], embed(features, seed), separation(features, labels))

    done, notes = of_each(cast, lay_out)
    panels = [Panel(one.title, (one.detail, _numbers(laid)), laid.embedding.positions) for one, laid in done]
    rows = tuple(
        (one.title, one.detail, str(laid.width), f"{laid.separation.silhouette:.3f}",
         numbers.percent(laid.separation.neighbour_accuracy, len(chosen)), f"{laid.embedding.divergence:.2f}")
        for one, laid in done
    )  # fmt: skip
    perplexity = f", perplexity {done[0][1].embedding.perplexity:.3g}" if done else ""
    return Figure(
        "tsne", TITLE, ABOUT,
        f"{len(chosen)} {cast.samples}, every class with its share{perplexity}, "
        f"start from the principal components, seed {seed}. Colours are the true classes.",
        scatter(panels, labels, cast.dataset.classes, f"{TITLE}: {names_in(cast)}") if done else None,
        {"images": chosen.tolist(), "labels": labels.tolist(),
         "networks": {one.name: _json(laid) for one, laid in done}},
        tuple(notes),
        Table(("Network", "", "Features", "Silhouette", f"{NEIGHBOURS}-NN accuracy", "t-SNE divergence, nats"), rows),
    )  # fmt: skip


def _numbers(laid: _Laid) -> str:
    share = numbers.percent(laid.separation.neighbour_accuracy, len(laid.embedding.positions))
    return f"silhouette {laid.separation.silhouette:.3f}, {laid.separation.neighbours}-NN {share}"


def _json(laid: _Laid) -> dict[str, object]:
    return {
        "features": laid.width,
        "silhouette": laid.separation.silhouette,
        "neighbours": laid.separation.neighbours,
        "neighbour_accuracy": laid.separation.neighbour_accuracy,
        "perplexity": laid.embedding.perplexity,
        "divergence_nats": laid.embedding.divergence,
        "positions": laid.embedding.positions.round(3).tolist(),
    }
