"""What is wrong with the neurons of one layer, in a noun phrase each."""

import numpy as np

from neurokd.export.contract.layers import Layer
from neurokd.export.contract.target import Target


def reset(layer: Layer, target: Target) -> str | None:
    """A reset that the target does not have at all."""
    if layer.neurons is None or layer.neurons.reset in target.resets + target.custom_resets:
        return None
    return f"{layer.neurons.reset} reset"


def initial_membrane(layer: Layer, target: Target) -> str | None:
    """A membrane that starts elsewhere than at 0."""
    if layer.neurons is None or not layer.neurons.initial or target.custom:
        return None
    return f"membrane that starts at {layer.neurons.initial:g} of the threshold"


def custom_neuron(layer: Layer, target: Target) -> str | None:
    """A neuron that runs, but not as the target is sold."""
    neurons = layer.neurons
    if neurons is None or not target.custom:
        return None
    special = [f"{neurons.reset} reset"] if neurons.reset in target.custom_resets else []
    special += [f"membrane that starts at {neurons.initial:g} of the threshold"] if neurons.initial else []
    return f"{' and '.join(special)} needs {target.custom}" if special else None


def differing_neurons(layer: Layer, target: Target) -> str | None:
    """Neurons of one population with parameters of their own."""
    if layer.neurons is None or not layer.neurons.differing:
        return None
    return f"population whose neurons differ in {', '.join(layer.neurons.differing)}"


def channel_thresholds(layer: Layer, target: Target) -> str | None:
    """Thresholds that differ from channel to channel."""
    return "thresholds that differ by channel" if layer.neurons is not None and layer.neurons.per_channel else None


def neuron_parameters(layer: Layer, target: Target) -> str | None:
    """Parameters outside the LIF neuron of the chip."""
    neurons = layer.neurons
    if neurons is None or neurons.differing:
        return None
    wrong = [f"rest potential {neurons.rest:g}"] if neurons.rest else []
    wrong += [f"decay {neurons.decay:g}"] if not 0.0 <= neurons.decay <= 1.0 else []
    wrong += [f"decay {neurons.synapse:g} of the current"] if not 0.0 <= neurons.synapse <= 1.0 else []
    wrong += [f"threshold {neurons.threshold:g}"] if not neurons.threshold > 0.0 else []
    wrong += [f"gain {neurons.gain:g}"] if not 0.0 < neurons.gain < np.inf else []
    wrong += ["a step longer than the time constant"] if min(neurons.decay, neurons.synapse) < 0.0 else []
    return "neurons with " + " and ".join(wrong) if wrong else None
