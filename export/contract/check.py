"""Can this model be deployed? Known before training, from the layers alone; after it, from the weights too."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
from torch import nn

from neurokd.data.catalogue import CATALOGUE
from neurokd.data.config import DataConfig
from neurokd.data.dataset import load_dataset
from neurokd.errors import NeurokdError
from neurokd.export.contract.footprint import Footprint, footprints
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.contract.layers_of_torch import layers_of_torch
from neurokd.export.contract.rules import RULES, WEIGHT_RULES, Finding, look_at
from neurokd.export.contract.target import Target
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.network import LoihiNetwork
from neurokd.export.network_files.hdf5_fields import located
from neurokd.export.network_files.netx import is_chain
from neurokd.export.network_files.netx_dense import survives_netx
from neurokd.export.nir_graphs.common import common_nodes
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.time import timed
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.passes.infer_shapes import infer_shapes
from neurokd.export.passes.weigh_shortcuts import weigh_shortcuts
from neurokd.export.quantization.quantize import quantize
from neurokd.inputs import PIXELS, Encoding
from neurokd.networks import build_ann, build_student
from neurokd.recipe import Recipe
from neurokd.runs import Run
from neurokd.spiking import SpikingNetwork

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Verdict:
    """What a check found. `layers` is empty where a violation keeps the network from being built."""

    subject: str
    target: Target
    findings: tuple[Finding, ...]
    layers: tuple[Footprint, ...] = ()
    timesteps: int | None = None
    weights_checked: bool = False

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that keep the model from the target."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def deployable(self) -> bool:
        """Whether nothing keeps the model from the target."""
        return not self.violations

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        depth = len(self.layers) or None
        return {
            "format": 1,
            "subject": self.subject,
            "target": self.target.to_json(),
            "deployable": self.deployable,
            "weights_checked": self.weights_checked,
            "findings": [finding.to_json() for finding in self.findings],
            "layers": [layer.to_json() for layer in self.layers],
            "depth": depth,
            "timesteps": self.timesteps,
            "latency_steps": self.timesteps + depth if self.timesteps and depth else None,
        }


def check_model(
    model: nn.Module,
    shape: Shape,
    target: Target,
    subject: str = "model",
    *,
    weights: bool,
    encoding: Encoding = PIXELS,
) -> Verdict:
    """Hold a spiking network for images of `shape`, `(C, H, W)`, against `target`; all violations are listed.

    `weights`: they are trained, so their numbers count too, beside inputs in this `encoding`. `model` is left as it is.

    >>> from neurokd.export.contract.target import find_target
    >>> from neurokd.spiking import to_spiking
    >>> ann = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2))
    >>> print(check_model(to_spiking(ann), (1, 8, 8), find_target("loihi2"), weights=False).violations[0].text)
    layer '2': max pooling 2x2 cannot run on loihi2; use average pooling or a strided convolution
    """
    net = model.net if isinstance(model, SpikingNetwork) else model
    try:
        layers, problem = layers_of_torch(net, shape)
    except NeurokdError as error:
        return Verdict(subject, target, (_untraceable(str(error), target),))
    findings = look_at(layers, target)
    if problem is not None:
        findings.append(_of_model("shape", f"input of shape {shape} ({problem})", "one that fits", "", target))
    if not isinstance(model, SpikingNetwork):
        return Verdict(subject, target, tuple(findings) or (_plain_ann(target),))
    verdict = Verdict(subject, target, tuple(findings), timesteps=model.timesteps)
    if not verdict.deployable:
        return verdict
    try:
        return _as_integers(verdict, lower(model, shape, encoding), weights)
    except NeurokdError as error:  # nothing that the export refuses is called deployable
        return _with(verdict, _refused(error, target))


def check_recipe(recipe: Recipe, target: Target, data_root: Path | None = None) -> Verdict:
    """Check the untrained student of `recipe`. Raises NeurokdError where it cannot be built at all."""
    return _check_student(recipe, None, target, data_root)


def check_run(run: Run, target: Target, data_root: Path | None = None) -> Verdict:
    """Check the student of `run` with its weights, or without where it has none yet."""
    return _check_student(run.recipe, run if run.weights.is_file() else None, target, data_root)


def check_nir(path: Path, target: Target) -> Verdict:
    """Check the graph in a NIR file. Raises NeurokdError for a file that cannot be read."""
    read, subject = read_nir(path), f"'{path}'"
    with located(subject):
        graph = common_nodes(read)
        missing = [key for key in ("dt", "timesteps") if key not in graph.metadata]
        findings = look_at(layers_of_nir(graph), target, RULES + WEIGHT_RULES)
        if missing:
            found, advice = f"metadata without {' and '.join(missing)}", "add dt (seconds per step) and timesteps"
            findings.append(_of_model("metadata", found, "dt and timesteps", advice, target))
        verdict = Verdict(subject, target, tuple(findings))
        if not verdict.deployable:
            return verdict
        try:
            graph = weigh_shortcuts(infer_shapes(timed(graph)))
            return _as_integers(replace(verdict, timesteps=graph.metadata["timesteps"]), graph, weights=True)
        except NeurokdError as error:
            return _with(verdict, _refused(error, target))


def known_shape(config: DataConfig) -> tuple[Shape, int] | None:
    """Image shape and number of classes of a data set that need not be loaded to know them."""
    entry = CATALOGUE[config.name]
    if entry.shape is None or entry.classes is None:
        return None
    if config.events is None:
        return entry.shape, entry.classes
    height, width = entry.shape[1:]
    return config.events.settings().shape((height, width))[1:], entry.classes


def _check_student(recipe: Recipe, run: Run | None, target: Target, data_root: Path | None) -> Verdict:
    shape, classes = known_shape(recipe.data) or _loaded_shape(recipe.data, data_root)
    subject = f"run '{run.path}'" if run else f"recipe '{recipe.name}'"
    if recipe.neuron is None:
        return Verdict(subject, target, (_plain_ann(target),))
    try:
        student = build_student(recipe, shape, classes)
    except NeurokdError:
        ann = build_ann(recipe, shape, classes)  # raises again unless only the activations could not be swapped
        return check_model(ann, shape, target, subject, weights=False)
    if run:
        run.load_weights(student)
    verdict = check_model(student, shape, target, subject, weights=run is not None, encoding=recipe.data.encoding)
    logits = verdict.layers[-1].neurons if verdict.layers else classes
    if logits == classes:
        return verdict
    advice = "let the model end in one output for each class"
    return _with(verdict, _of_model("classes", f"{logits} logits for {classes} classes", str(classes), advice, target))


def _loaded_shape(config: DataConfig, data_root: Path | None) -> tuple[Shape, int]:
    dataset = load_dataset(config, data_root)
    return dataset.shape, len(dataset.classes)


def _as_integers(verdict: Verdict, graph: nir.NIRGraph, weights: bool) -> Verdict:
    """Go the rest of the way: fold, and for trained weights quantise and hold the integers against the limits."""
    target, folded = verdict.target, fold_average_pooling(fold_scale(graph))
    if not weights:
        return _placed(verdict, footprints(folded, target))
    verdict = _with(verdict, *look_at(layers_of_nir(folded), target, WEIGHT_RULES))
    if not verdict.deployable:
        return verdict
    quantized = quantize(folded)
    wrong = [_of_model("limits", text, "", "", target) for text in check_limits(quantized.network)]
    wrong += _changed_by_netx(quantized.network, target) if is_chain(quantized.network) else []
    verdict = replace(_with(verdict, *wrong), weights_checked=True)
    return _placed(verdict, footprints(folded, target, quantized))


def _placed(verdict: Verdict, layers: tuple[Footprint, ...]) -> Verdict:
    """Add what the populations take, and a note if that is more than one chip."""
    core, cores = verdict.target.core, sum(layer.cores_at_least or 0 for layer in layers)
    if core is not None and cores > core.per_chip:
        largest = max(layers, key=lambda layer: layer.cores_at_least or 0)
        found = f"{cores} neurocores or more, {largest.cores_at_least} of them for '{largest.name}'"
        advice = "use a smaller model or several chips"
        note = Finding("", "cores", "note", found, f"{core.per_chip} on a chip", advice, verdict.target.name)
        verdict = _with(verdict, note)
    return replace(verdict, layers=layers)


def _changed_by_netx(network: LoihiNetwork, target: Target) -> list[Finding]:
    """Dense matrices of one sign that stock netx would load as something else."""
    return [
        Finding(
            connection.target, "dense signs", "error",
            f"dense matrix with values {connection.weight.min()}..{connection.weight.max()}, which netx would change,",
            "mixed signs, or no negative value", "add a weight of the other sign", target.name,
        )
        for connection in network.connections
        if connection.kind == "dense" and not survives_netx(connection.weight)
    ]  # fmt: skip


def _with(verdict: Verdict, *findings: Finding) -> Verdict:
    known = {(finding.layer, finding.rule) for finding in verdict.findings}
    new = tuple(finding for finding in findings if (finding.layer, finding.rule) not in known)
    return replace(verdict, findings=verdict.findings + new)


def _of_model(rule: str, found: str, allowed: str, advice: str, target: Target) -> Finding:
    return Finding("", rule, "error", found, allowed, advice, target.name)


def _untraceable(reason: str, target: Target) -> Finding:
    advice = "control flow must not depend on the data, and activations must be nn.ReLU modules"
    return _of_model("trace", f"forward that cannot be traced ({reason})", "a fixed order of layers", advice, target)


def _plain_ann(target: Target) -> Finding:
    advice = "name a neuron in the recipe, e.g. neuron: {decay: 0.5}, or check the student that it teaches"
    return _of_model("neuron", "plain ANN without spiking neurons", "spiking neurons", advice, target)


def _refused(error: NeurokdError, target: Target) -> Finding:
    return _of_model("export", f"network that the export refuses ({error})", "", "", target)
