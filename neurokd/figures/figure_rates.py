"""Firing-rate maps of the first neurons beside the image (HSD's figure)."""

import torch

from neurokd.figures.cast import Cast, Network, of_each
from neurokd.figures.figure import Figure, Shown, names_in
from neurokd.figures.grid import Block, Scale, Tile, grid
from neurokd.figures.picture import png, ramp, rate_strip
from neurokd.figures.rates import RateMaps, rate_maps

LARGEST = 96.0  # pixels; there are many of these maps
TITLE = "Firing rates of the first neurons"
ABOUT = (
    "Spikes per step at every position of the first layer of neurons: in the first step, and as the mean of all T "
    "steps. After one step a neuron has spiked or not, so a map is 0 or 1; more steps give it its shades.",
    "The last column is the mean of all channels of the layer. "
    "The other columns are the channels whose rate differs most between positions and images, chosen for each network.",
    "Beside them stands the image or, of a recording, the events of the frames that the network has seen by then.",
)


def rates_figure(cast: Cast, shown: Shown, channels: int) -> Figure:
    """One block per spiking network; ANNs are left out with a note."""
    done, notes = of_each(cast, lambda network: rate_maps(network.model, shown.inputs(network)))
    blocks = [_block(network, maps, shown, channels) for network, maps in done]
    scale = Scale(rate_strip(), "0", "1", "spikes per step, one scale for all maps")
    return Figure(
        "rates", TITLE, ABOUT,
        f"{len(shown.chosen)} {cast.samples}. All maps share one scale.",
        grid(blocks, scale, f"{TITLE}: {names_in(cast)}", shown.aspect, LARGEST) if blocks else None,
        {"images": shown.chosen.tolist(), "networks": {one.name: _json(maps, channels) for one, maps in done}},
        tuple(notes),
    )  # fmt: skip


def _block(network: Network, maps: RateMaps, shown: Shown, channels: int) -> Block:
    chosen = maps.liveliest(channels)
    steps = network.run.recipe.timesteps
    names = [*(f"channel {channel}" for channel in chosen), f"mean of {maps.mean.shape[1]}"]
    seen = shown.seen_by(network)
    rows = []
    for number in range(len(shown.chosen)):
        own = seen[number]
        for step, rates in [(1, maps.first)] + ([(steps, maps.mean)] if steps > 1 else []):
            beside = shown.tile(number, own[:step]) if own.ndim == 4 else shown.tile(number) if step == 1 else None
            shades = [*rates[number, chosen], rates[number].mean(dim=0)]
            tiles = [_tile(f"{name}, t = {step}", rate) for name, rate in zip(names, shades, strict=True)]
            rows.append(((*shown.label(number), f"t = {step}"), (beside, *tiles)))
    title = f"{network.title} ({network.detail}), layer {maps.path}"
    return Block(title, (("input",), *((name,) for name in names)), tuple(rows))


def _tile(name: str, rate: torch.Tensor) -> Tile:
    return Tile(png(ramp(rate.double().numpy())), f"{name}: {rate.mean():.3f} spikes per step on average")


def _json(maps: RateMaps, channels: int) -> dict[str, object]:
    chosen = maps.liveliest(channels)
    return {
        "layer": maps.path,
        "channels": chosen,
        "first_step": {"all": float(maps.first.mean()), "channels": _means(maps.first, chosen)},
        "all_steps": {"all": float(maps.mean.mean()), "channels": _means(maps.mean, chosen)},
    }


def _means(rates: torch.Tensor, channels: list[int]) -> list[float]:
    return [float(rate) for rate in rates[:, channels].mean(dim=(0, 2, 3))]
