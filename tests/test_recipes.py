"""The shipped recipes: each is valid and builds, and carries the figure that its paper prints."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from neurokd.distill import METHODS
from neurokd.distill.features import FeatureObjective
from neurokd.distill.pairing import Pairing
from neurokd.export.contract.check import known_shape
from neurokd.networks import build_ann, build_student
from neurokd.neurons import LIF
from neurokd.recipe import Recipe, load_recipe
from neurokd.sweep.grid import points
from neurokd.sweep.reading import read_mapping
from neurokd.sweep.spec import load_sweep

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
PAPERS = RECIPES / "papers"
FILES = [path for path in sorted(RECIPES.rglob("*.yaml")) if "space" not in read_mapping(path, "file")]  # no searches
HSD_ABLATION = PAPERS / "hsd" / "ablation-cifar10-dvs-vgg-snn-t5.yaml"
PAPER_FILES = [path for path in FILES if path.is_relative_to(PAPERS)]
NAMES = {
    "hsd": "HSD (Zhong et al., ACM MM 2024), ",
    "tser": "TSER (Yu et al., CVPR 2025, arXiv 2503.03144), ",
    "sakd": "SAKD (draft under review), ",
}
ANN = {10: {18: 95.65, 34: 95.69, 50: 95.85, 101: 95.92, 152: 96.38, 19: 96.30},
       100: {18: 78.35, 34: 79.30, 50: 80.49, 101: 80.83, 152: 81.36, 19: 80.48}}  # fmt: skip

# Accuracy and the teacher's, typed from the papers' tables; of a sweep, by variant.
PUBLISHED: dict[str, tuple[float | dict[str, float], float | None]] = {
    "hsd/cifar10-dvs-vgg-snn-t5": (81.10, None),
    "hsd/cifar10-dvs-vgg-snn-t1": (75.81, None),
    "hsd/ncaltech101-vgg-snn-t5": (80.20, None),
    "hsd/dvs-gesture-snn5-t10": (97.92, None),
    "hsd/dvs-gesture-snn5-t5": (97.57, None),
    "hsd/ablation-cifar10-dvs-vgg-snn-t5": (
        {"direct": 73.60, "ht": 79.21, "skd": 75.70, "ht-kd": 79.50, "ht-skd": 81.10}, None),
    "hsd/ablation-ncaltech101-vgg-snn-t5": (
        {"direct": 73.58, "ht": 79.97, "skd": 75.97, "ht-kd": 79.70, "ht-skd": 80.20}, None),
    "hsd/ablation-dvs-gesture-snn5-t10": (
        {"direct": 94.10, "ht": 95.83, "skd": 94.44, "ht-kd": 97.22, "ht-skd": 97.92}, None),
    "hsd/ablation-cifar10-dvs-vgg-snn-t5-tet": ({"tet": 77.60, "tet-ht": 80.82}, None),
    "hsd/ablation-cifar10-dvs-vgg-snn-t5-levels": (
        {"levels-4": 77.23, "levels-8": 80.12, "levels-16": 81.10, "levels-32": 76.77}, None),
    "sakd/cifar10-dvs-vgg11-t4": (81.50, None),
    "sakd/cifar10-dvs-vgg11-t4-ce": (75.20, None),
    "sakd/cifar10-dvs-resnet19-t4": (80.30, None),
    "sakd/cifar10-dvs-resnet19-t4-ce": (73.50, None),
    "tser/cifar100-resnet18-t2": (78.30, 81.12),
    "tser/cifar100-resnet18-t4": (79.69, 81.12),
    "tser/cifar100-resnet19-t2": (81.29, 81.97),
    "tser/cifar100-vgg16-t2": (75.81, 78.08),
    "tser/cifar100-vgg16-t4": (77.06, 78.08),
    "tser/cifar100-vgg11-t2": (73.67, 78.08),
    "tser/cifar100-vgg11-t4": (74.65, 78.08),
    "tser/cifar10-resnet18-t2": (95.58, 97.10),
    "tser/cifar10-resnet18-t4": (96.18, 97.10),
    "tser/cifar10-resnet19-t2": (96.72, 97.08),
    "tser/cifar10-vgg16-t2": (94.55, 96.06),
    "tser/cifar10-vgg16-t4": (95.01, 96.06),
    "tser/cifar10-vgg11-t2": (93.31, 96.06),
    "tser/cifar10-vgg11-t4": (93.68, 96.06),
    "tser/cifar100-resnet18-t2-lasnn": (76.17, 81.12),
    "tser/cifar100-resnet18-t2-kdsnn": (77.16, 81.12),
    "tser/cifar100-resnet18-t2-bkdsnn": (73.30, 81.12),
    "tser/imagenet-sew-resnet18-t4": (69.24, 71.69),
    "tser/imagenet-sew-resnet34-t4": (73.16, 75.38),
    "tser/ablation-cifar100-resnet18-t2": (
        {"vanilla": 77.15, "separate-ce": 77.41, "separate-kl": 77.64, "separate-both": 77.99,
         "separate-both-entropy": 78.13}, 81.12),
    "sakd/cifar10-resnet18-t4": (94.99, ANN[10][18]),
    "sakd/cifar10-resnet34-t4": (95.15, ANN[10][34]),
    "sakd/cifar10-resnet50-t4": (95.55, ANN[10][50]),
    "sakd/cifar10-resnet101-t4": (95.13, ANN[10][101]),
    "sakd/cifar10-resnet152-t4": (95.36, ANN[10][152]),
    "sakd/cifar100-resnet18-t4": (77.85, ANN[100][18]),
    "sakd/cifar100-resnet34-t4": (78.50, ANN[100][34]),
    "sakd/cifar100-resnet50-t4": (79.58, ANN[100][50]),
    "sakd/cifar100-resnet101-t4": (79.72, ANN[100][101]),
    "sakd/cifar100-resnet152-t4": (79.21, ANN[100][152]),
    "sakd/cifar10-resnet18-t4-ce": (94.33, None),
    "sakd/cifar10-resnet34-t4-ce": (93.50, None),
    "sakd/cifar10-resnet50-t4-ce": (93.54, None),
    "sakd/cifar10-resnet101-t4-ce": (55.83, None),
    "sakd/cifar10-resnet152-t4-ce": (10.00, None),
    "sakd/cifar100-resnet18-t4-ce": (75.03, None),
    "sakd/cifar100-resnet34-t4-ce": (71.72, None),
    "sakd/cifar100-resnet50-t4-ce": (70.34, None),
    "sakd/cifar100-resnet101-t4-ce": (35.72, None),
    "sakd/cifar100-resnet152-t4-ce": (10.00, None),
    "sakd/cifar10-resnet19-t4": (96.06, ANN[10][19]),
    "sakd/cifar100-resnet19-t4": (80.10, ANN[100][19]),
    "sakd/imagenet-resnet18-t4": (68.04, 71.5),
    "sakd/imagenet-resnet34-t4": (70.04, 76.4),
    "sakd/imagenet-resnet50-t4": (71.71, 80.4),
    "sakd/ablation-cifar100-resnet18-t4": ({"none": 76.00, "norm": 76.93, "conv": 77.78, "conv-before": 77.48}, 78.35),
    "sakd/ablation-imagenet-resnet18-t4": ({"direct": 61.13, "weights": 63.49, "weights-sakd": 65.37}, 71.5),
}  # fmt: skip


def key(path: Path) -> str:
    return path.relative_to(PAPERS).with_suffix("").as_posix()


@cache
def recipes_of(path: Path) -> dict[str, Recipe]:
    """The recipes of a file: its one under "", or those of a sweep by variant."""
    if "data" in read_mapping(path, "recipe"):
        return {"": load_recipe(path)}
    return {point.variant: point.recipe for point in points(load_sweep(path))}


def shape_and_classes(recipe: Recipe) -> tuple[tuple[int, int, int], int]:
    """What the data of a recipe is like, without opening it; image folders are ImageNet."""
    known = known_shape(recipe.data)
    if known:
        return known
    size = recipe.data.image_size or 32
    assert isinstance(size, int)
    return (3, size, size), 1000 if size == 224 else 10


def distinct(recipes: list[Recipe]) -> Iterator[Recipe]:
    """One recipe for each pair of networks: method, training and the number of classes change nothing of note."""
    seen = set()
    for recipe in recipes:
        teacher = recipe.teacher.model if recipe.uses_teacher and recipe.teacher else None
        shape = shape_and_classes(recipe)[0]
        built = repr((shape, recipe.model, recipe.neuron, recipe.timesteps, recipe.start, teacher))
        if built not in seen:
            seen.add(built)
            yield recipe


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(RECIPES).as_posix())
def test_every_file_is_valid_and_survives_its_own_yaml(path: Path, tmp_path: Path) -> None:
    recipes = recipes_of(path)
    for recipe in recipes.values():
        (tmp_path / "copy.yaml").write_text(recipe.to_yaml())
        assert load_recipe(tmp_path / "copy.yaml") == recipe
    if "" in recipes and path.parent != RECIPES:
        name = f"{path.parent.name}-{path.stem}" if PAPERS in path.parents else path.stem
        assert recipes[""].name == name, "runs are found again by the name of the recipe"


def test_every_network_of_the_shipped_recipes_builds() -> None:
    every = [recipe for path in FILES for recipe in recipes_of(path).values()]
    for recipe in distinct(every):
        shape, classes = shape_and_classes(recipe)
        with torch.device("cpu" if recipe.start == "converted" else "meta"):  # a conversion reads thresholds
            student = build_student(recipe, shape, classes)
            assert sum(parameter.numel() for parameter in student.parameters()) > 0
            if recipe.uses_teacher:
                assert recipe.teacher is not None
                teacher = build_ann(recipe.teacher_recipe(), shape, classes)
                if recipe.start != "random" or recipe.method.name == "sakd":
                    ours = [tuple(p.shape) for p in student.parameters() if p.ndim > 1]
                    assert ours == [tuple(p.shape) for p in teacher.parameters() if p.ndim > 1], recipe.name


@pytest.mark.parametrize("path", PAPER_FILES, ids=key)
def test_the_published_figure_is_the_papers(path: Path) -> None:
    accuracy, teacher = PUBLISHED[key(path)]
    recipes = recipes_of(path)
    expected = accuracy if isinstance(accuracy, dict) else {"": accuracy}
    assert {name: recipe.published and recipe.published.accuracy for name, recipe in recipes.items()} == expected
    for recipe in recipes.values():
        assert recipe.published is not None and recipe.published.teacher_accuracy == teacher
        assert recipe.published.source.startswith(NAMES[path.parent.name])
        assert "paper" in (recipe.published.protocol or "") and "here:" in (recipe.published.protocol or "")


@pytest.mark.parametrize("path", PAPER_FILES, ids=key)
def test_the_file_name_says_what_is_trained(path: Path) -> None:
    data, model, steps = re.match(
        r"(?:ablation-)?(cifar10-dvs|dvs-gesture|[a-z0-9]+)-([a-z0-9-]+)-t(\d+)", path.stem
    ).groups()  # type: ignore[union-attr]
    for recipe in recipes_of(path).values():
        assert (recipe.model.name, recipe.timesteps) == (model, int(steps))
        assert str(recipe.data.path if data == "imagenet" else recipe.data.name) == data
        if path.parent.name == "hsd":
            assert recipe.neuron == LIF(decay=1.0, reset="soft", initial=0.5), "HSD eq. 3, 4, 6, 7"
        else:
            assert recipe.neuron == LIF(decay=0.5), "TSER eq. 2 with mu = 2; SAKD eq. 1-3"


def test_settings_are_those_the_papers_print() -> None:
    for path in PAPER_FILES:
        for recipe in recipes_of(path).values():
            method, training = recipe.method, recipe.training
            if method.name == "tser":
                assert method.temperature == 5.0 and method.entropy_weight in (0.0, 0.01)
            if method.name == "bkdsnn":
                assert method.mask_ratio == 0.15
            if method.name == "sakd":
                weights = method.ce_weight, method.logit_weight, method.temperature, method.feature_weight
                assert weights == ((1, 10, 1, 10) if recipe.data.path else (0, 1, 20, 100)), path
                assert [method.weight_at(epoch) for epoch in (9, 10)] == ([10, 0.01] if recipe.data.path else [100] * 2)
            if path.parent.name == "sakd":
                deep = recipe.model.name in ("resnet101", "resnet152")
                optimizer = ("adamw", 1e-3) if recipe.data.path else ("adamw", 0.01) if deep else ("sgd", 0.1)
                assert (training.optimizer, training.lr) == optimizer
                assert training.epochs == (120 if recipe.data.path else 200)
                assert deep == (getattr(method, "taps", "") == "blocks") or method.name == "ce"


def test_hsd_has_the_frames_levels_and_stages_of_the_paper() -> None:
    for path in (PAPERS / "hsd").glob("*.yaml"):
        for variant, recipe in recipes_of(path).items():
            events, teacher, training = recipe.data.events, recipe.teacher, recipe.training
            assert events and teacher and teacher.qcfs and recipe.data.augment.nda
            gesture = recipe.data.name == "dvs-gesture"
            frames = (events.frames, events.pretrain, events.inference, events.size)
            assert frames == ((16, 6, 10, None) if gesture else (10, 5, 5, 48))
            levels = int(variant[7:]) if path.stem.endswith("levels") else 32 if "ncaltech101" in path.stem else 16
            assert teacher.qcfs.levels == levels
            adam, sgd = ("adamw", 1e-3, 32, 0.0), ("sgd", 0.1, 128, 5e-4)
            settings = [(t.optimizer, t.lr, t.batch_size, t.weight_decay) for t in (teacher.training, training)]
            tuned = ("adamw", 1e-5, 32 if gesture else 128, 0.0)
            first = adam if gesture else sgd
            assert settings == [first, tuned if recipe.start == "converted" else first]
            assert (teacher.training.epochs, training.epochs) == (300, 100 if recipe.start == "converted" else 300)
    stages = {name: (r.start, r.method.name) for name, r in recipes_of(HSD_ABLATION).items()}
    assert stages == {
        "direct": ("random", "ce"), "ht": ("converted", "ce"), "skd": ("random", "hsd"),
        "ht-kd": ("converted", "hsd"), "ht-skd": ("converted", "hsd"),
    }  # fmt: skip
    assert [recipes_of(HSD_ABLATION)[name].method.step_wise for name in ("ht-kd", "ht-skd")] == [False, True]


@pytest.mark.parametrize("name", ["resnet18", "resnet19", "resnet101"])
def test_sakd_compares_the_stages_or_blocks_of_the_paper(name: str) -> None:
    recipe = recipes_of(PAPERS / "sakd" / f"cifar10-{name}-t4.yaml")[""]
    narrow = recipe.model_copy(update={"model": type(recipe.model)(name=name, width=4)})
    assert isinstance(recipe.method, FeatureObjective)
    student, teacher = build_student(narrow, (3, 32, 32), 10), build_ann(narrow, (3, 32, 32), 10)
    pairs = Pairing(recipe.method, student, teacher, torch.rand(1, 3, 32, 32)).shapes
    resolutions = [pair.student[1] for pair in pairs]
    blocks = [32] * 4 + [16] * 4 + [8] * 23 + [4] * 3  # the stem is a block of its own
    assert resolutions == {"resnet18": [32, 16, 8, 4], "resnet19": [32, 16, 8], "resnet101": blocks}[name]
    assert all(pair.student == pair.teacher for pair in pairs)


def test_the_readme_lists_every_file_with_its_figures() -> None:
    text = (PAPERS / "README.md").read_text(encoding="utf-8")
    rows = {line.split("](")[1].split(")")[0]: line for line in text.splitlines() if line.startswith("| [")}
    assert set(rows) == {f"{name}.yaml" for name in PUBLISHED} == {f"{key(path)}.yaml" for path in PAPER_FILES}
    for name, (accuracy, teacher) in PUBLISHED.items():
        figures = accuracy.values() if isinstance(accuracy, dict) else [accuracy]
        cells = [cell.strip() for cell in rows[f"{name}.yaml"].strip("|").split("|")]
        assert re.findall(r"\d+\.\d+", cells[5]) == [f"{figure:.2f}" for figure in figures], name
        taught = any(recipe.uses_teacher for recipe in recipes_of(PAPERS / f"{name}.yaml").values())
        assert (cells[6] != "none") == taught, name
        assert re.findall(r"\d+\.\d+", cells[6]) == ([] if teacher is None else [f"{teacher:.2f}"]), name
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (PAPERS / target).exists(), target


def test_every_method_has_a_ready_recipe_on_built_in_data() -> None:
    ready = {path.stem: recipes_of(path)[""] for path in (RECIPES / "small").glob("digits-*.yaml")}
    assert {f"digits-{method}" for method in METHODS} <= set(ready)
    assert all(recipe.data.name == "digits" and recipe.published is None for recipe in ready.values())
    assert all(ready[f"digits-{method}"].method.name == method for method in METHODS)
    hard, soft = ready["digits-hsd"], ready["digits-hsd-soft"]
    assert hard.start == soft.start == "converted" and hard.teacher and hard.teacher.qcfs
    assert hard.neuron == LIF(decay=0.5), "what the chip has"
    assert soft.neuron == LIF(decay=1.0, reset="soft", initial=0.5), "HSD eq. 3, 4, 6, 7"
