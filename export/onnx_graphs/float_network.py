"""A float network, teacher or spiking student, as an ONNX graph, by torch's own exporter."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper
from torch import nn

from neurokd import __version__
from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.export.onnx_graphs.graph import BATCH, write_onnx
from neurokd.export.onnx_graphs.run import OnnxFile
from neurokd.export.tracing import first_line
from neurokd.inputs import to_input
from neurokd.neurons import lif_step
from neurokd.spiking import LIFNeurons
from neurokd.swap import swap

FLOAT_OPSET = 20  # what torch.onnx writes by default since torch 2.12
EXPORTS_FROM = (2, 6)  # torch.onnx takes dynamic_shapes from here on
TOLERANCE = 1e-4  # of logits, or of the image's largest one above 1: float32 in another order of summation


class _Neurons(nn.Module):
    """LIF neurons as plain operations, step by step, over the folded batch of `LIFNeurons`."""

    def __init__(self, neurons: LIFNeurons) -> None:
        super().__init__()
        self.lif, self.axis = neurons.lif, neurons.axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Current `[B, ...]` or `[T*B, ...]` to spikes `[T*B, ...]`."""
        currents = x.unflatten(0, (self.axis.steps_in(x), -1))
        v = torch.full_like(currents[0], self.lif.initial * self.lif.threshold)
        spikes = []
        for t in range(self.axis.timesteps):
            fired, v = lif_step(currents[0 if len(currents) == 1 else t], v, self.lif)
            spikes.append(fired)
        return torch.cat(spikes)


class _FromBytes(nn.Module):
    """A copy of the network behind what the user has: bytes of images `[B, C, H, W]` or frames `[T, B, C, H, W]`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = swap(model, LIFNeurons, lambda path, neurons: _Neurons(neurons))[0]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of every step `[T, B, classes]`."""
        return logits_per_step(self.model, to_input(images.transpose(0, 1) if images.ndim == 5 else images))


def export_onnx_float(model: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write a float network to `path`; `shape` is `(C, H, W)` of images or `(T, C, H, W)` of recordings.

    Input: "input", uint8 pixels `[B, C, H, W]` or counts `[T, B, C, H, W]`, as the data set holds them; scaling
    to [0, 1] is part of the graph. Output: "logits" `[T, B, classes]` of every step, not summed, of an ANN
    `[1, B, classes]`. The weights lie in the file. `model` is left as it is; the file is of its evaluation mode.
    Raises NeurokdError for a model that torch.onnx cannot export.
    """
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < EXPORTS_FROM:
        needed = ".".join(map(str, EXPORTS_FROM))
        raise NeurokdError(
            f"float networks as ONNX need torch {needed} or later, here is {torch.__version__}; update it"
        )
    batch_axis = len(shape) - 3
    sample = torch.zeros(*shape[:batch_axis], 2, *shape[batch_axis:], dtype=torch.uint8)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _FromBytes(model).eval(), (sample,), dynamo=True, verbose=False, opset_version=FLOAT_OPSET,
                input_names=["input"], output_names=["logits"],
                dynamic_shapes=({batch_axis: torch.export.Dim(BATCH)},),
            )  # fmt: skip
    except Exception as error:  # whatever a user's forward raises when torch traces it
        raise NeurokdError(f"model {type(model).__name__}: torch.onnx cannot export it: {_reason(error)}") from error
    if program is None:
        raise NeurokdError(f"model {type(model).__name__}: torch.onnx gave no program; use torch 2.12 or later")
    write_onnx(_without_traces(program.model_proto), path)


def float_difference(file: OnnxFile, model: nn.Module, images: ImageSet, batch_size: int = 128) -> dict[str, float]:
    """Images whose logits differ from torch's by more than `TOLERANCE`, other predictions, the largest difference.

    A spiking network differs by whole spikes where rounding carries a membrane over its threshold.
    """
    differing = predictions = 0
    largest = 0.0
    for start in range(0, len(images), batch_size):
        batch = images.images[start : start + batch_size]
        with torch.no_grad():
            ours: npt.NDArray[np.float32] = logits_per_step(model, to_input(batch)).numpy()
        given = batch if batch.ndim == 4 else batch.transpose(0, 1)
        theirs = file.run({"input": given.contiguous().numpy()})["logits"]
        error = np.abs(ours - theirs).max(axis=(0, 2))
        differing += int((error > TOLERANCE * np.abs(ours).max(axis=(0, 2)).clip(min=1.0)).sum())
        predictions += int((ours.sum(axis=0).argmax(axis=1) != theirs.sum(axis=0).argmax(axis=1)).sum())
        largest = max(largest, float(error.max()))
    return {
        "samples": len(images),
        "differing": differing,
        "other_predictions": predictions,
        "largest_difference": largest,
        "tolerance": TOLERANCE,
    }


def _reason(error: BaseException) -> str:
    """What went wrong first; torch.onnx wraps it several times, in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without the source lines and module names that torch notes at every node, which differ by machine."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for part in (*copy.graph.node, *copy.graph.value_info, *copy.graph.input, *copy.graph.output, copy.graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    copy.ClearField("metadata_props")
    helper.set_model_props(copy, {"neurokd": __version__})
    onnx.checker.check_model(copy, full_check=True)
    return copy
