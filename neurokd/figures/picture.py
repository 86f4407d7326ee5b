"""Pixels: colour ramps, overlays, and PNG images inside a drawing."""

import base64
import io

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]
Ramp = tuple[tuple[int, int, int], ...]

# dark to bright, so that both survive a print in grey
RATE: Ramp = ((9, 13, 24), (14, 62, 92), (10, 122, 132), (118, 184, 112), (253, 240, 170))
HEAT: Ramp = ((120, 20, 50), (222, 62, 32), (255, 150, 30), (255, 236, 130))
DARKER, BRIGHTER, EITHER = (70, 150, 255), (255, 120, 60), (230, 230, 230)  # events by polarity, on black
OPACITY = 0.85  # of the strongest place in an overlay


def ramp(values: Values, colours: Ramp = RATE) -> Pixels:
    """Colours `[..., 3]` of values in 0..1, straight between equally spaced stops; outside, the nearest end.

    >>> ramp(np.array([0.0, 1.0]), ((0, 0, 0), (255, 128, 0))).tolist()
    [[0, 0, 0], [255, 128, 0]]
    """
    stops = np.linspace(0.0, 1.0, len(colours))
    channels = [np.interp(values, stops, [colour[k] for colour in colours]) for k in range(3)]
    colours_of: Pixels = np.stack(channels, axis=-1).round().astype(np.uint8)
    return colours_of


def photo(image: torch.Tensor) -> Pixels:
    """An image `[C, H, W]` (uint8) as `[H, W, 3]`: RGB of three channels, else the mean of all channels in grey.

    The frames of a recording, `[T, C, H, W]`, as the events of all of them (`events`).
    """
    if image.ndim == 4:
        return events(image)
    colours = image if image.shape[0] == 3 else image.double().mean(dim=0).round().expand(3, -1, -1)
    pixels: Pixels = colours.permute(1, 2, 0).to(torch.uint8).contiguous().numpy()
    return pixels


def events(frames: torch.Tensor) -> Pixels:
    """Counts `[T, C, H, W]`, added up over T, as `[H, W, 3]`: darker events blue, brighter ones orange, on black.

    A pixel with both is mixed by their shares. Its light grows with the square root of its count, up to the
    largest of the recording, so that single events can be seen. One channel (both polarities) is grey.
    """
    counts = frames.double().sum(dim=0)
    total = counts.sum(dim=0)
    colours = torch.tensor((DARKER, BRIGHTER) if len(counts) == 2 else (EITHER,) * len(counts)).double()
    mixed = torch.einsum("chw,ck->hwk", counts / total.clamp(min=1), colours)
    light = (total / total.max().clamp(min=1)).sqrt()
    pixels: Pixels = (light[..., None] * mixed).round().to(torch.uint8).numpy()
    return pixels


def overlay(image: torch.Tensor, heat: torch.Tensor) -> Pixels:
    """Lay a map `[h, w]` in 0..1 over an image or frames (as in `photo`) in grey, the stronger the less transparent.

    The map is enlarged bilinearly, as Grad-CAM's authors do. Returns `[H, W, 3]`.
    """
    size = (int(image.shape[-2]), int(image.shape[-1]))
    large = F.interpolate(heat.double()[None, None], size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
    grey = np.repeat(photo(image).mean(axis=-1, keepdims=True), 3, axis=-1)
    share = OPACITY * large[..., None]
    mixed: Pixels = ((1.0 - share) * grey + share * ramp(large, HEAT)).round().astype(np.uint8)
    return mixed


def png(pixels: Pixels) -> str:
    """Pixels `[H, W, 3]` as the address of a PNG image that contains itself."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def rate_strip() -> str:
    """The ramp from left to right, for a legend."""
    return png(ramp(np.linspace(0.0, 1.0, 128)[None, :]))


def heat_strip() -> str:
    """What an overlay does to an even grey, from left to right, for a legend."""
    return png(overlay(torch.full((1, 1, 128), 128, dtype=torch.uint8), torch.linspace(0.0, 1.0, 128)[None, :]))
