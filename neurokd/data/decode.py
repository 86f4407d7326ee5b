"""Decode many image files into one array, once: the result is kept in the cache folder."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from neurokd.cache import cache_dir
from neurokd.data.kept import kept_array
from neurokd.errors import NeurokdError

ImageSize: TypeAlias = int | tuple[int, int]
Pixels: TypeAlias = npt.NDArray[np.uint8]

FORMAT = 1  # change it when the same files give other pixels
DEEP = ("I", "F", "I;16", "I;16B", "I;16L")  # Pillow's modes with more than 8 bits


def decode(folder: Path, files: Sequence[Path], image_size: ImageSize | None = None) -> Pixels:
    """Return the images of `files`, which lie below `folder`, as `[N, 1 or 3, H, W]` in that order.

    One cached array per folder and size is used again while names, sizes and modification times are the same.
    Raises NeurokdError that names a file that is unreadable, of another size, or deeper than 8 bits.
    """
    place = hashlib.sha256(f"{folder.resolve()} {image_size}".encode()).hexdigest()[:24]
    cached = cache_dir() / "image-folder" / f"{place}.npz"
    key = _key(folder, files, image_size)
    return kept_array(cached, key, lambda: _decode_all(files, image_size))


def _key(folder: Path, files: Sequence[Path], image_size: ImageSize | None) -> str:
    digest = hashlib.sha256(f"{FORMAT} {image_size}".encode())
    for path in files:
        stat = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decode_all(files: Sequence[Path], image_size: ImageSize | None) -> Pixels:
    """Decode in threads (Pillow releases the interpreter while it works); all images take the size of the first."""
    first, _ = _open(files[0], image_size)
    pixels = np.empty((len(files), 3, *first.shape[:2]), np.uint8)

    def fill(number: int) -> bool:
        image, grey = _open(files[number], image_size)
        if image.shape != first.shape:
            raise NeurokdError(
                f"image '{files[number]}' is {image.shape[0]}x{image.shape[1]} (height x width), but '{files[0]}' is "
                f"{first.shape[0]}x{first.shape[1]}; set image_size to resize all of them"
            )
        pixels[number] = image.transpose(2, 0, 1)
        return grey

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        all_grey = all(list(pool.map(fill, range(len(files)), chunksize=64)))
    return np.ascontiguousarray(pixels[:, :1]) if all_grey else pixels


def _open(path: Path, image_size: ImageSize | None) -> tuple[Pixels, bool]:
    """Return one image as `[H, W, 3]` and whether it is grey."""
    try:
        with Image.open(path) as image:
            mode = image.mode
            if mode not in DEEP:
                colours = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NeurokdError(f"image '{path}' cannot be read ({error}); repair or remove it") from error
    if mode in DEEP:
        raise NeurokdError(f"image '{path}' has more than 8 bits per channel (mode {mode}); convert it to 8 bits")
    if image_size is not None:
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        colours = colours.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(colours), mode in ("1", "L", "LA")
