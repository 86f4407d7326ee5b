"""What a simulated sensor looks at: images in grey and in its size."""

import torch

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def fitting(image: tuple[int, int], sensor: tuple[int, int], amplitude: float) -> tuple[int, int]:
    """Return the largest (height, width) of `image`'s shape that stays on the sensor while it moves by `amplitude`.

    >>> fitting((32, 32), sensor=(48, 64), amplitude=4.0)
    (44, 44)
    """
    scale = min((room - amplitude) / length for room, length in zip(sensor, image, strict=True))
    height, width = (int(length * scale + 1e-9) for length in image)
    if height < 1 or width < 1:
        raise NeurokdError(
            f"simulate: a sensor of {sensor[0]}x{sensor[1]} leaves no room for {image[0]}x{image[1]} images that move "
            f"by {amplitude:g} pixels; take a larger sensor or a smaller amplitude"
        )
    return height, width


def picture(images: torch.Tensor, size: tuple[int, int]) -> Array:
    """Return `images` (uint8 `[N, 1 or 3, H, W]`) as luminance, scaled bilinearly to `size`: uint8 `[N, h, w]`."""
    light = images.float()
    if images.shape[1] == 3:
        light = (light * torch.tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    smaller = size[0] < images.shape[2] or size[1] < images.shape[3]
    scaled = torch.nn.functional.interpolate(light, size, mode="bilinear", align_corners=False, antialias=smaller)
    grey: Array = scaled[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return grey
