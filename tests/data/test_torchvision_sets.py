"""Published sets are read offline from torchvision's files; what is missing or damaged is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neurokd.data import torchvision_sets
from neurokd.data.catalogue import CATALOGUE
from neurokd.data.config import DataConfig, DataName
from neurokd.data.dataset import load_dataset
from neurokd.data.torchvision_sets import KINDS, load_torchvision, prepare_torchvision
from neurokd.errors import NeurokdError

IDX_SETS = ("fashion-mnist", "mnist")


@pytest.mark.parametrize("name", IDX_SETS)
def test_the_mnist_format(idx_root: Path, name: DataName) -> None:
    data = load_dataset(DataConfig(name=name), idx_root)
    assert (len(data.train), len(data.test), data.shape) == (20, 10, (1, 28, 28))
    assert data.train.images[:, 0, 5, 5].tolist() == list(range(20))
    assert data.train.labels.tolist() == [number % 10 for number in range(20)]
    assert len(data.classes) == 10


@pytest.mark.parametrize(("name", "training"), [("cifar10", 50), ("cifar100", 10)])
def test_the_cifar_format(cifar_root: Path, name: str, training: int) -> None:
    data = load_torchvision(name, cifar_root)
    assert (len(data.train), len(data.test), data.shape) == (training, 10, (3, 32, 32))
    flat = (np.arange(3072) % 251).astype(np.uint8)
    assert torch.equal(data.test.images[0], torch.from_numpy(flat.reshape(3, 32, 32)))
    assert data.classes[3] == "class 3"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_missing_data_names_the_command_and_the_root(root: Path, name: str) -> None:
    with pytest.raises(NeurokdError, match=f"is missing.*'{root}'.*neurokd datasets prepare {name}"):
        load_torchvision(name, root)


@pytest.mark.parametrize("name", IDX_SETS)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("keep", [0, 3, 10, -1])
def test_a_truncated_file_is_named(idx_root: Path, name: str, number: int, keep: int) -> None:
    path = idx_root / CATALOGUE[name].folder / CATALOGUE[name].files[number]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NeurokdError, match=f"'{path}' is damaged .*delete it"):
        load_torchvision(name, idx_root)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x00\x00\x08\x03" + b"\xff" * 12, b"\x00" * 40])
def test_a_file_with_other_content_is_named(idx_root: Path, content: bytes) -> None:
    path = idx_root / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(NeurokdError, match=f"'{path}' is damaged"):
        load_torchvision("fashion-mnist", idx_root)


def test_exchanged_label_files_are_found(idx_root: Path) -> None:
    raw = idx_root / "FashionMNIST" / "raw"
    path = raw / "train-labels-idx1-ubyte"
    path.write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(NeurokdError, match=f"'{path}' is damaged \\(10 labels for 20 images\\)"):
        load_torchvision("fashion-mnist", idx_root)


def test_a_label_out_of_range_is_found(idx_root: Path) -> None:
    path = idx_root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(NeurokdError, match=rf"'{path}' is damaged \(label 11 of 0\.\.9\)"):
        load_torchvision("mnist", idx_root)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_changed_pickle_is_never_opened(cifar_root: Path, name: str, tmp_path: Path) -> None:
    path = cifar_root / CATALOGUE[name].folder / CATALOGUE[name].files[-1]
    trap = tmp_path / "sprung"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR.")
    with pytest.raises(NeurokdError, match=f"'{path}' is damaged .its MD5"):
        load_torchvision(name, cifar_root)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("mnist", "train-images-idx3-ubyte.gz.*t10k-labels-idx1-ubyte.gz.*MNIST/raw"),
        ("cifar10", "cifar-10-python.tar.gz"),
    ],
)
def test_prepare_without_network_says_what_to_put_where(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    def no_network(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(KINDS[name], "download", no_network)
    with pytest.raises(NeurokdError, match=rf"could not be downloaded \(no route to host\); put the file.* {what}"):
        prepare_torchvision(name, root)


def test_prepare_leaves_what_is_there(idx_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_sets, "KINDS", {"mnist": KINDS["mnist"]})
    monkeypatch.setattr(KINDS["mnist"], "download", lambda self: pytest.fail("downloaded again"))
    assert len(prepare_torchvision("mnist", idx_root).train) == 20


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_real_set(real_root: Path, name: str) -> None:
    entry = CATALOGUE[name]
    if entry.missing(real_root):
        pytest.skip(f"{name} is not below '{real_root}'")
    data = load_torchvision(name, real_root)
    assert (len(data.train), len(data.test)) == (entry.train, entry.test)
    assert (data.shape, len(data.classes)) == (entry.shape, entry.classes)
