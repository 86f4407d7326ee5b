"""Feature maps of several networks at the end of one stage (SAKD's figure)."""

from neurokd.figures.cast import Cast, Network, of_each
from neurokd.figures.figure import Figure, Shown, names_in
from neurokd.figures.grid import Block, Scale, Tile, grid
from neurokd.figures.maps import StageMaps, stage_maps
from neurokd.figures.picture import png, ramp, rate_strip
from neurokd.report import numbers

TITLE = "Feature maps"
ABOUT = (
    "The first channels at the end of a stage, behind the activation; a stage ends with the last activation of one "
    "resolution. In a spiking network a value is the mean over T: spikes per step, times a trained threshold; in an "
    "ANN that sees frames the mean over these.",
    "Channel k of one network has nothing to do with channel k of another, unless one started from the other's "
    "weights.",
)


def features_figure(cast: Cast, shown: Shown, stage: int, channels: int) -> Figure:
    """One block per image, one row per network; networks with fewer stages are left out with a note."""
    done, notes = of_each(cast, lambda network: stage_maps(network.model, shown.inputs(network), stage, channels))
    blocks = [_block(number, done, shown) for number in range(len(shown.chosen))]
    scale = Scale(rate_strip(), "lowest", "highest", "value of the network, beside its row")
    return Figure(
        "features", TITLE, ABOUT,
        f"End of stage {stage}, the first {channels} channels, {len(shown.chosen)} {cast.samples}. "
        "Each network has a scale of its own, the same for all its maps.",
        grid(blocks, scale, f"{TITLE} of stage {stage}: {names_in(cast)}", shown.aspect) if done else None,
        {"images": shown.chosen.tolist(), "stage": stage, "networks": {one.name: _json(maps) for one, maps in done}},
        tuple(notes),
    )  # fmt: skip


def _block(number: int, done: list[tuple[Network, StageMaps]], shown: Shown) -> Block:
    most = max((maps.maps.shape[1] for _, maps in done), default=0)
    columns = [("input",), *((f"channel {k}",) for k in range(most))]
    rows = []
    for index, (network, maps) in enumerate(done):
        low, high = _range(maps)
        own = shown.seen_by(network)[number]
        first = shown.tile(number, own) if index == 0 or own.ndim == 4 else None  # each sees frames of its own
        tiles = [
            Tile(
                png(ramp((one.double().numpy() - low) / max(high - low, 1e-12))),
                f"{network.title}, {maps.path}, channel {k}: mean {one.mean():.3g}",
            )
            for k, one in enumerate(maps.maps[number])
        ]
        span = f"{numbers.three_digits(low)} to {numbers.three_digits(high)}"
        rows.append(((*network.title_lines, maps.path, span), (first, *tiles)))
    return Block(", ".join(shown.label(number)), tuple(columns), tuple(rows))


def _range(maps: StageMaps) -> tuple[float, float]:
    """From zero, or the lowest value below it, to the highest value of all shown maps."""
    return min(0.0, float(maps.maps.min())), float(maps.maps.max())


def _json(maps: StageMaps) -> dict[str, object]:
    low, high = _range(maps)
    return {
        "layer": maps.path,
        "shape": list(maps.maps.shape[1:]),
        "low": low,
        "high": high,
        "mean_per_channel": [float(value) for value in maps.maps.mean(dim=(0, 2, 3))],
    }
