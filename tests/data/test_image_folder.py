"""Image folders are read in the order of names, once; a bad file is named."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from neurokd.data import decode
from neurokd.data.image_folder import load_image_folder
from neurokd.errors import NeurokdError


def grey(path: Path, value: int, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def test_classes_and_files_are_in_the_order_of_names(folder: Path) -> None:
    data = load_image_folder(folder)
    assert data.classes == ("cat", "dog")
    assert data.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 11, 12, 13]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.images[:, 0, 0, 0].tolist() == [4, 14]
    assert data.shape == (3, 8, 8)


def test_the_order_in_the_directory_does_not_matter(folder: Path) -> None:
    before = load_image_folder(folder).train.fingerprint()
    again = folder.with_name("again")
    for path in sorted(folder.rglob("*.png"), reverse=True):
        copied = again / path.relative_to(folder)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    assert load_image_folder(again).train.fingerprint() == before


def test_grey_images_have_one_channel_and_mixed_ones_three(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        grey(path, 7)
    assert load_image_folder(folder).shape == (1, 8, 8)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(folder / "train" / "cat" / "colour.jpg")
    assert load_image_folder(folder).shape == (3, 8, 8)


def test_a_second_start_decodes_nothing(folder: Path) -> None:
    first = load_image_folder(folder)
    with patch.object(decode, "_decode_all", side_effect=RuntimeError("decoded again")):
        assert load_image_folder(folder).train.fingerprint() == first.train.fingerprint()


def test_a_changed_image_is_seen(folder: Path) -> None:
    path = folder / "train" / "cat" / "1.png"
    before, stat = load_image_folder(folder), path.stat()
    Image.new("RGB", (8, 8), (2, 1, 1)).save(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert load_image_folder(folder).train.fingerprint() != before.train.fingerprint()


def test_there_is_one_cached_file_per_folder_and_size(folder: Path, own_cache: Path) -> None:
    for _ in range(2):
        load_image_folder(folder)
        load_image_folder(folder, 4)
        grey(folder / "train" / "cat" / "9.png", 9)
    assert len(list((own_cache / "image-folder").iterdir())) == 2


def test_a_damaged_cache_is_rebuilt(folder: Path, own_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = load_image_folder(folder).train.fingerprint()
    (cached,) = (own_cache / "image-folder").iterdir()
    cached.write_bytes(cached.read_bytes()[:300])
    assert load_image_folder(folder).train.fingerprint() == before
    assert "is made again" in caplog.text


def test_a_cache_that_cannot_be_written_costs_only_time(
    folder: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.write_text("a file where the folder should be")
    assert len(load_image_folder(folder).train) == 6
    assert "could not be cached" in caplog.text


def test_other_sizes_are_refused_with_the_file(folder: Path) -> None:
    odd = grey(folder / "train" / "dog" / "odd.png", 1, (9, 5))
    with pytest.raises(NeurokdError, match=rf"image '{odd}' is 5x9 \(height x width\).*8x8; set image_size"):
        load_image_folder(folder)


def test_image_size_resizes_all(folder: Path) -> None:
    grey(folder / "train" / "dog" / "odd.png", 1, (9, 5))
    assert load_image_folder(folder, 6).shape == (3, 6, 6)
    assert load_image_folder(folder, (4, 6)).shape == (3, 4, 6)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_an_unreadable_image_is_named(folder: Path, content: bytes) -> None:
    bad = folder / "test" / "cat" / "bad.png"
    bad.write_bytes(content)
    with pytest.raises(NeurokdError, match=f"image '{bad}' cannot be read"):
        load_image_folder(folder)


def test_a_truncated_jpeg_is_named(folder: Path) -> None:
    bad = folder / "train" / "cat" / "cut.jpg"
    Image.effect_noise((8, 8), 50).convert("RGB").save(bad)
    bad.write_bytes(bad.read_bytes()[:-20])
    with pytest.raises(NeurokdError, match=f"image '{bad}' cannot be read"):
        load_image_folder(folder)


def test_sixteen_bits_are_refused(folder: Path) -> None:
    deep = folder / "train" / "cat" / "deep.png"
    Image.new("I;16", (8, 8), 40000).save(deep)
    with pytest.raises(NeurokdError, match=f"image '{deep}' has more than 8 bits"):
        load_image_folder(folder)


def test_a_class_only_in_test_is_refused(folder: Path) -> None:
    grey(folder / "test" / "emu" / "1.png", 1)
    with pytest.raises(NeurokdError, match=r"class 'emu' is in .*test' but not in"):
        load_image_folder(folder)


def test_a_class_without_test_images_is_fine(folder: Path) -> None:
    grey(folder / "train" / "emu" / "1.png", 1)
    data = load_image_folder(folder)
    assert data.classes == ("cat", "dog", "emu") and data.test.labels.tolist() == [0, 1]


def test_an_empty_class_folder_is_named(folder: Path) -> None:
    (folder / "train" / "emu").mkdir()
    with pytest.raises(NeurokdError, match=r"class folder '.*emu' has no png or jpg"):
        load_image_folder(folder)


def test_no_train_folder_and_no_classes(root: Path) -> None:
    with pytest.raises(NeurokdError, match="train' is missing; it must hold one folder of images per class"):
        load_image_folder(root)
    (root / "train").mkdir()
    with pytest.raises(NeurokdError, match="has no class folders"):
        load_image_folder(root)


def test_an_empty_test_folder_is_refused(folder: Path) -> None:
    for path in (folder / "test").rglob("*.png"):
        path.unlink()
    with pytest.raises(NeurokdError, match="gives no test image"):
        load_image_folder(folder)


def test_other_files_are_left_out_and_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("meow")
    (folder / "train" / ".hidden").mkdir()
    assert len(load_image_folder(folder).train) == 6
    assert "1 entries in" in caplog.text


def test_without_test_folder_the_name_decides(root: Path) -> None:
    pets = root / "pets"
    for name in ("cat", "dog"):
        for number in range(100):
            grey(pets / "train" / name / f"{number:03}.png", number)
    data = load_image_folder(pets)
    chosen = {(int(k), int(v)) for k, v in zip(data.test.labels, data.test.images[:, 0, 0, 0], strict=True)}
    assert 20 <= len(chosen) <= 60 and len(data.train) + len(data.test) == 200
    for number in range(100, 120):
        grey(pets / "train" / "cat" / f"{number:03}.png", number)
    more = load_image_folder(pets)
    assert chosen <= {(int(k), int(v)) for k, v in zip(more.test.labels, more.test.images[:, 0, 0, 0], strict=True)}


def test_real_jpegs(real_root: Path) -> None:
    source = real_root / "cifar10-jpeg75"
    if not source.is_dir():
        pytest.skip(f"no '{source}'")
    some = Path(os.environ["NEUROKD_CACHE"]) / "some"
    for part in ("train", "test"):
        for path in sorted((source / part).iterdir()):
            (some / part / path.name).mkdir(parents=True)
            for image in sorted(path.iterdir())[:5]:
                shutil.copy(image, some / part / path.name)
    data = load_image_folder(some)
    assert (len(data.train), len(data.test), data.shape) == (50, 50, (3, 32, 32))
    assert data.classes[0] == "airplane"
