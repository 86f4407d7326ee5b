"""The contract between a model and a target: one rule per thing that can be wrong, as data."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neurokd.errors import NeurokdError
from neurokd.export.contract import violations as v
from neurokd.export.contract import violations_in_neurons as n
from neurokd.export.contract import violations_in_weights as w
from neurokd.export.contract.layers import Layer
from neurokd.export.contract.target import Target

Severity = Literal["error", "note"]

LISTED = 5  # violations in one message


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a model from `target` (severity "error"), or that its user should know ("note").

    `layer` is the module path, empty for the model as a whole.
    """

    layer: str
    rule: str
    severity: Severity
    found: str
    allowed: str
    advice: str
    target: str

    @property
    def text(self) -> str:
        """The finding as one line: layer, what it is, what to do."""
        where = f"layer '{self.layer}'" if self.layer else "model"
        cannot = f" cannot run on {self.target}" if self.severity == "error" else ""
        return f"{where}: {self.found}{cannot}" + (f"; {self.advice}" if self.advice else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values, the line included."""
        return {**vars(self), "text": self.text}


@dataclass(frozen=True)
class Rule:
    """`look` names what is wrong with a layer, or returns None.

    `allowed` may hold "{layers}" and "{resets}" of the target. `advice_for` has other advice for some
    kinds of layers.
    """

    name: str
    look: Callable[[Layer, Target], str | None]
    allowed: str
    advice: str
    advice_for: Mapping[str, str] = field(default_factory=dict)
    severity: Severity = "error"

    def apply(self, layer: Layer, target: Target) -> Finding | None:
        """What this rule finds in `layer`."""
        found = self.look(layer, target)
        if found is None:
            return None
        path = "" if layer.role in ("output", "input") else layer.path
        allowed = self.allowed.format(layers=", ".join(target.layers), resets=", ".join(target.resets))
        advice = self.advice_for.get(layer.kind, self.advice)
        return Finding(path, self.name, self.severity, found, allowed, advice, target.name)


_ACTIVATION = "use nn.ReLU, which becomes spiking neurons"
_AVERAGE = "use average pooling or a strided convolution"
CHANNELS = "Lava runs them; Intel documents one value per population"
_FLATTEN = "use nn.Flatten()"
_MODULE = "use the layer module of torch.nn instead of the function"
_NEURONS = "change these parameters, or take smaller steps"
_NORM = "use nn.BatchNorm directly after a convolution or linear layer"
_POOL = "use nn.AdaptiveAvgPool2d(1) or nn.AvgPool2d"
_STOCK = "use neuron: {reset: hard, initial: 0}, neurokd train RUN --hard-reset, or --target loihi2-microcode"
_WINDOWS = "use equal kernel and stride that divide the map, no padding"

INSTEAD: Mapping[str, str] = (
    dict.fromkeys(("MaxPool2d", "AdaptiveMaxPool2d", "LPPool2d", "FractionalMaxPool2d", "max_pool2d"), _AVERAGE)
    | dict.fromkeys(("view", "reshape", "size", "getattr", "flatten"), _FLATTEN)
    | dict.fromkeys(("mean", "avg_pool2d", "adaptive_avg_pool2d"), _POOL)
    | dict.fromkeys(("LayerNorm", "GroupNorm", "InstanceNorm2d", "SyncBatchNorm", "layer_norm"), _NORM)
    | dict.fromkeys(("GELU", "SiLU", "Sigmoid", "Tanh", "ELU", "LeakyReLU", "PReLU", "ReLU6", "Hardswish"), _ACTIVATION)
    | dict.fromkeys(("gelu", "silu", "sigmoid", "tanh", "relu", "relu_"), _ACTIVATION)
    | {
        "ReLU": "name a neuron in the recipe, e.g. neuron: {decay: 0.5}",
        "nir.Delay": "remove it; there are no delays but the one step of every layer",
        "add": "put it into the bias of a convolution or linear layer",
    }
)
"""What to use instead of a layer or function of this kind."""

RULES: tuple[Rule, ...] = (
    Rule("layer", v.foreign_layer, "{layers}", _MODULE, INSTEAD),
    Rule("recurrent", v.recurrent, "layers without recurrence", "use a model without recurrent connections"),
    Rule("branches", v.joined_branches, "branches that are added", "add them before neurons"),
    Rule("spike addition", v.spike_addition, "additions before neurons", "add before the neurons, as a ResNet does"),
    Rule("addition place", v.addition_place, "additions before neurons", "put nn.ReLU directly after the addition"),
    Rule("unused", v.unused_output, "layers between input and output", "remove it from forward"),
    Rule("undriven", v.undriven, "layers between input and output", "feed it the output of another layer"),
    Rule("inputs", v.several_inputs, "one image", "put it into the channels of the one input"),
    Rule("outputs", v.several_outputs, "one tensor of logits", "return the logits alone"),
    Rule("padding", v.padding_mode, "zeros, a number of them on every side", "give a number, and padding_mode='zeros'"),
    Rule("flat input", v.flat_input, "a linear layer over a vector", "put nn.Flatten() before it"),
    Rule("flatten", v.partial_flatten, "all axes but the batch", _FLATTEN),
    Rule(
        "batch norm",
        v.batch_norm_place,
        "directly after a Conv2d, a Linear or an addition that feeds nothing else, or before Linear or unpadded Conv2d",
        _NORM,
    ),
    Rule("pooling windows", v.pooling_windows, "windows that tile the map", _WINDOWS),
    Rule("pooling place", v.pooling_place, "before a convolution or linear layer", "place it after the neurons"),
    Rule("scale place", v.scale_place, "before a convolution or linear layer", "put it into the weights"),
    Rule("scale values", v.scale_values, "one value for a layer", "put it into the weights"),
    Rule("neurons between", v.neurons_missing, "weights and neurons in turn", "put nn.ReLU between"),
    Rule("weights between", v.weights_missing, "weights and neurons in turn", "put nn.Conv2d or nn.Linear between"),
    Rule("read-out", v.readout, "weights at the end, a vector of logits", "let the model end in nn.Linear"),
    Rule("integrator place", v.integrator_place, "behind the last weights", "use neurons that spike"),
    Rule("reset", n.reset, "{resets}", _STOCK),
    Rule("initial membrane", n.initial_membrane, "0", _STOCK),
    Rule("custom neuron", n.custom_neuron, "{resets}", "", severity="note"),
    Rule("one population", n.differing_neurons, "one value per population", "use one value for all neurons of a layer"),
    Rule("channel thresholds", n.channel_thresholds, "one value per population", CHANNELS, severity="note"),
    Rule("neuron", n.neuron_parameters, "rest 0, decay in 0..1, threshold and gain above 0", _NEURONS),
)

WEIGHT_RULES: tuple[Rule, ...] = (
    Rule("size", w.too_large, f"{w.MAX_NEURONS} values, {w.MAX_WEIGHTS} weights", "use a smaller model"),
    Rule("shapes", w.misfit, "weights that fit the layer before", "write the file again"),
    Rule("shapes", w.misfit_of_neurons, "one value for each neuron, or one for all", "write the file again"),
    Rule("finite", w.not_finite, "finite numbers", "train again with a smaller learning rate"),
    Rule("not all zero", w.all_zero, "a weight other than zero", "remove the layer or train again"),
    Rule("filtered bias", w.filtered_bias, "no bias before a synaptic current", "train this layer with bias=False"),
    Rule("dead outputs", w.dead_outputs, "a weight other than zero for every output", "", severity="note"),
)
"""Rules about numbers: for trained weights, in the NIR graph that the export lowers a model to."""


def look_at(layers: Iterable[Layer], target: Target, rules: Iterable[Rule] = RULES) -> list[Finding]:
    """Everything that `rules` find in `layers`, layer by layer."""
    rules = tuple(rules)
    found = (rule.apply(layer, target) for layer in layers for rule in rules)
    return [finding for finding in found if finding is not None]


def require(layers: Iterable[Layer], target: Target, rules: Iterable[Rule] = RULES) -> list[str]:
    """What a user of `layers` on `target` should know; NeurokdError with the first of what keeps them from it."""
    findings = look_at(layers, target, rules)
    violations = [finding.text for finding in findings if finding.severity == "error"]
    if violations:
        more = f"; and {len(violations) - LISTED} more, see neurokd check" if len(violations) > LISTED else ""
        raise NeurokdError("; ".join(violations[:LISTED]) + more)
    return [finding.text for finding in findings]
