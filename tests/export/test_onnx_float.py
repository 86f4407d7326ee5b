"""Float networks as ONNX graphs give torch's logits for the bytes of the data set."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from neurokd.conversion import to_qcfs
from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.export.onnx_graphs.float_network import FLOAT_OPSET, TOLERANCE, export_onnx_float, float_difference
from neurokd.export.onnx_graphs.run import OnnxFile
from neurokd.inputs import to_input
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking


class Residual(nn.Module):
    """Two convolutions, of which the second is added to the first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.pool, self.drop, self.fc = nn.AvgPool2d(2), nn.Dropout(0.5), nn.Linear(4 * 3 * 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.conv2(x) + x)
        return self.fc(self.drop(self.pool(x).flatten(1)))  # type: ignore[no-any-return]


def network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    ann = Residual()
    with torch.no_grad():
        ann.bn1.weight.uniform_(1.0, 3.0)
        ann.bn1.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
    networks = {
        "ann": lambda: ann,
        "qcfs": lambda: to_qcfs(ann, 4, 2.0),
        "lif": lambda: to_spiking(ann, LIF(), 3),
        "soft": lambda: to_spiking(ann, LIF(decay=1.0, reset="soft", initial=0.5, implementation="reference"), 3),
    }
    return networks[kind]().eval()


@pytest.mark.parametrize(("kind", "frames"), [("ann", 3), ("qcfs", None), ("lif", 3), ("soft", None)])
def test_logits_are_those_of_torch(kind: str, frames: int | None, tmp_path: Path) -> None:
    model, path = network(kind), tmp_path / "float.onnx"
    shape = (2, 6, 4) if frames is None else (frames, 2, 6, 4)
    export_onnx_float(model, shape, path)
    assert [entry.version for entry in onnx.load(path).opset_import if not entry.domain] == [FLOAT_OPSET]
    file = OnnxFile(path)
    for batch in (1, 7):
        images = torch.randint(0, 256 if frames is None else 9, (batch, *shape), dtype=torch.uint8)
        with torch.no_grad():
            expected = logits_per_step(model, to_input(images)).numpy()
        given = images if frames is None else images.transpose(0, 1)
        logits = file.run({"input": given.contiguous().numpy()})["logits"]
        assert logits.shape == expected.shape and np.ptp(expected) > 0.1
        assert np.abs(logits - expected).max() < TOLERANCE
        found = float_difference(file, model, ImageSet(images, torch.zeros(batch, dtype=torch.int64)))
        assert (found["samples"], found["differing"], found["other_predictions"]) == (batch, 0, 0)


def test_another_network_is_found_to_differ_and_the_file_is_of_no_machine(tmp_path: Path) -> None:
    model, path = network("ann").train(), tmp_path / "float.onnx"
    export_onnx_float(model, (2, 6, 4), path)
    assert model.training and [entry.name for entry in tmp_path.iterdir()] == ["float.onnx"]
    root = str(Path(__file__).parents[2]).encode()
    assert root not in path.read_bytes() and b"stack_trace" not in path.read_bytes()
    images = ImageSet(torch.randint(0, 256, (5, 2, 6, 4), dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))
    assert float_difference(OnnxFile(path), model.eval(), images)["differing"] == 0
    with torch.no_grad():
        model.fc.bias[1] += 1e3  # type: ignore[union-attr,operator,index]
    found = float_difference(OnnxFile(path), model, images)
    assert (found["differing"], found["other_predictions"]) == (5, 5)
    assert found["largest_difference"] == pytest.approx(1e3, rel=1e-3)


class Undecided(nn.Module):
    """Control flow that depends on the data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Not traceable."""
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


def test_a_network_that_torch_cannot_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match=r"model Undecided: torch\.onnx cannot export it"):
        export_onnx_float(Undecided(), (2, 6, 4), tmp_path / "float.onnx")
    assert not list(tmp_path.iterdir())


def test_a_torch_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.3.1+cpu")
    with pytest.raises(NeurokdError, match=r"need torch 2\.6 or later, here is 2\.3\.1\+cpu; update it"):
        export_onnx_float(nn.Linear(1, 1), (1, 1, 1), tmp_path / "x.onnx")
