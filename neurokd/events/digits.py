"""An event version of scikit-learn's digits: a real data set seen by a simulated sensor, without a download."""

import numpy as np
import torch

from neurokd.data.digits import official_split
from neurokd.events.pixels import PixelSettings
from neurokd.events.sets import EventData, EventSet
from neurokd.events.simulate import saccades, simulate

SIDE = 28  # of a digit on the sensor, as in N-MNIST
SENSOR = PixelSettings(threshold=0.3, mismatch=0.03, refractory_us=300, noise_hz=0.5)


def digits_dvs(seed: int = 0, sensor: tuple[int, int] = (34, 34)) -> EventData:
    """Return 1,437 training and 360 test recordings of three saccades, the same split as the images' `digits`.

    The 8x8 images are scaled bilinearly to 28x28. `seed` draws the sensor's mismatch and noise; the split does not
    depend on it. `sample_ids` are the numbers of the source images, each of which is in one part only.
    Raises NeurokdError for a sensor smaller than 28x28.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    small = torch.from_numpy(np.asarray(bunch.images, dtype=np.float32))[:, None]
    large = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    images = (large[:, 0] * (255 / 16)).round().to(torch.uint8).numpy()
    labels = np.asarray(bunch.target, dtype=np.int64)
    parts = []
    for numbers in official_split(labels):
        recordings = simulate(images[numbers], saccades(), sensor, SENSOR, seed, numbers.tolist())
        parts.append(EventSet.of(recordings, labels[numbers], numbers, tuple(str(digit) for digit in range(10))))
    return EventData("digits-dvs", *parts)
