"""Grad-CAM of several networks on the same images (SAKD's figure)."""

import torch

from neurokd.figures.cast import Cast, of_each
from neurokd.figures.figure import Figure, Shown, names_in
from neurokd.figures.gradcam import Cam, grad_cam
from neurokd.figures.grid import Block, Scale, Tile, grid
from neurokd.figures.picture import heat_strip, overlay, png
from neurokd.report import numbers

TITLE = "Grad-CAM: what speaks for the predicted class"
ABOUT = (
    "Grad-CAM (Selvaraju et al. 2017) on the last feature map A of each network, for the class c that this network "
    "predicts: alpha_k is the mean over all positions of dY_c / dA_k, and the map is ReLU(sum_k alpha_k A_k).",
    "In a spiking network Y_c is the mean of the logits over T. The gradients are taken at every step and summed over "
    "T, through the surrogate where neurons lie behind A, and A is the mean over T of its spikes. An ANN that sees "
    "frames is treated alike, a frame a step.",
)


def gradcam_figure(cast: Cast, shown: Shown) -> Figure:
    """One row per image and one column per network."""
    done, notes = of_each(cast, lambda network: grad_cam(network.model, shown.inputs(network)))
    heads = [(*one.title_lines, one.kind, *one.frames, one.share) for one, _ in done]
    maps = [(cam, shown.seen_by(network)) for network, cam in done]
    rows = []
    for number in range(len(shown.chosen)):
        tiles = [shown.tile(number), *(_tile(cam, shown, number, seen) for cam, seen in maps)]
        rows.append((shown.label(number), tuple(tiles)))
    scale = Scale(heat_strip(), "none", "strong", "each map by its own largest value, enlarged bilinearly")
    return Figure(
        "gradcam", TITLE, ABOUT,
        f"{len(shown.chosen)} {cast.samples}. Below each picture the predicted class and its "
        "probability (softmax of the mean logits), in red where it is wrong.",
        grid([Block("", (("input",), *heads), tuple(rows))], scale, f"{TITLE}: {names_in(cast)}", shown.aspect)
        if done else None,
        {"images": shown.chosen.tolist(), "networks": {one.name: _json(cam, shown) for one, cam in done}},
        tuple(notes),
    )  # fmt: skip


def _tile(cam: Cam, shown: Shown, number: int, seen: torch.Tensor) -> Tile:
    largest = float(cam.maps[number].max())
    heat = cam.maps[number] / largest if largest > 0.0 else cam.maps[number]
    name = shown.dataset.classes[int(cam.predicted[number])]
    share = numbers.percent(float(cam.probability[number]))
    lines = (name, share if largest > 0.0 else f"{share}, no map")
    tip = f"{shown.tip(number)}: predicted {name} with {share}, layer {cam.path}, largest value {largest:.3g}"
    return Tile(png(overlay(seen[number], heat)), tip, lines, wrong=name != shown.class_of(number))


def _json(cam: Cam, shown: Shown) -> dict[str, object]:
    return {
        "layer": cam.path,
        "predicted": [shown.dataset.classes[int(label)] for label in cam.predicted],
        "probability": [float(share) for share in cam.probability],
        "largest_value": [float(value) for value in cam.maps.amax(dim=(1, 2))],
        "true": [shown.class_of(number) for number in range(len(shown.chosen))],
    }
