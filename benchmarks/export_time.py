"""How long the export of a large residual network takes, stage by stage: `python benchmarks/export_time.py`.

The student is untrained but for the statistics of its batch normalisation, which one batch of random images sets.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import nir
import numpy as np
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.network import LoihiNetwork
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.proof.witness import Witness, witness
from neurokd.export.quantization.calibrate import calibrate, float_logits
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.simulator import simulate
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork, to_spiking

Result = TypeVar("Result")

rows: list[tuple[str, float, float]] = []


def timed(stage: str, work: Callable[[], Result]) -> Result:
    """Run `work`, note its wall and processor time in seconds, and return its result."""
    wall, before = time.perf_counter(), os.times()
    result = work()
    after = os.times()
    rows.append((stage, time.perf_counter() - wall, after.user + after.system - before.user - before.system))
    print(f"{stage:<34} {rows[-1][1]:7.2f} s wall {rows[-1][2]:7.2f} s processor", flush=True)
    return result


def main() -> None:
    """Export one network and print a row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--timesteps", type=int, default=2)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--search", action="store_true", help="choose the scales as neurokd export does by itself")
    parser.add_argument("--lava", type=int, default=0, metavar="N", help="let Lava repeat N of the images")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    shape = (3, 32, 32)
    student = to_spiking(build_model(options.model, shape, 10, width=options.width), LIF(), options.timesteps)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics are those of the one batch
    with torch.no_grad():
        student.train()(torch.rand(16, *shape))
    parameters = sum(parameter.numel() for parameter in student.parameters())
    print(f"{options.model}, width {options.width}, {parameters:,} parameters, T = {options.timesteps}")

    graph = timed("lower, batch norm folded", lambda: lower(student.eval(), shape))
    folded = timed("fold scales and pooling", lambda: fold_average_pooling(fold_scale(graph)))
    network = timed("quantise", lambda: quantize(folded).network)
    if options.search:
        network = timed("search the scales", lambda: searched(student, folded, shape))
    found = timed("check the limits of the chip", lambda: check_limits(network))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.net"
        timed("write network.net", lambda: write_network(network, path))
        again = timed("read it back", lambda: read_network(path))
        pixels = np.random.default_rng(0).integers(0, 256, (options.images, *shape))
        frames = again.input.encode(pixels)
        if options.lava:
            asked = Witness("require", options.lava, fast=True)
            seen = timed(f"Lava, {options.lava} images", lambda: witness(again, path, frames, None, asked))
            print(f"Lava: {seen['mismatches']:,} of {seen['compared']:,} values differ")
    trace = timed(f"simulate {options.images} images", lambda: simulate(again, frames, record="counts"))
    images = torch.from_numpy(pixels).float() / 255
    with torch.no_grad():
        logits = timed(f"float student, {options.images} images", lambda: student(images)).sum(0).numpy()
    assert trace.readout is not None and not found
    answers = trace.readout[-1] * again.logit_scale
    print(f"{'all':<34} {sum(row[1] for row in rows):7.2f} s wall {sum(row[2] for row in rows):7.2f} s processor")
    spiking = again.populations[:-1]
    rates = [trace.counts[one.name].sum() / (options.images * options.timesteps * one.size) for one in spiking]
    print(f"{len(spiking)} spiking populations, {len(again.connections)} connections")
    print(f"firing rates {min(rates):.3f} to {max(rates):.3f}")
    print(
        f"correlation of the logits with the float student's: {np.corrcoef(answers.ravel(), logits.ravel())[0, 1]:.4f}"
    )
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB, threads {options.threads}"
    )


def searched(student: SpikingNetwork, folded: nir.NIRGraph, shape: tuple[int, int, int]) -> LoihiNetwork:
    """The best of all candidates on 512 random images, or as many of them as a network of this size is tried with."""
    pixels = torch.randint(0, 256, (512, *shape), dtype=torch.uint8)
    images = ImageSet(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    found = calibrate(folded, float_logits(student, images), images, ())
    print(f"{len(found.tried)} candidates kept, on {found.samples} images; the best: {found.chosen.method}")
    return found.quantized.network


if __name__ == "__main__":
    main()
