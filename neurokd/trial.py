"""One pass of a model before anything is trained: what is wrong with its logits, said by the model's name."""

from collections.abc import Callable

import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.spiking import SpikingNetwork
from neurokd.taps import evaluating


def check_logits(model: nn.Module, name: str, images: torch.Tensor, classes: int) -> None:
    """Pass `images` `[B, C, H, W]`, or frames `[T, B, C, H, W]`, through `model`, which is left as it is.

    Raises NeurokdError where its `forward` fails, or returns anything but finite logits: `[B, classes]`
    of an ANN, `[T, B, classes]` of a spiking network.

    >>> check_logits(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), "two", torch.zeros(1, 1, 2, 2), 2)
    """
    shown = images[0] if images.ndim == 5 and not isinstance(model, SpikingNetwork) else images
    batch = shown.shape[-4]
    subject, allowed = f"model '{name}'", f"a model gives one tensor of logits [B, {classes}], one for each class"
    try:
        with evaluating(model), torch.no_grad():
            logits: object = model(shown)
    except NeurokdError:
        raise
    except Exception as error:  # a user's code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise NeurokdError(f"{subject}: fails on images {list(shown.shape)} ({reason}); {allowed}") from error
    if not isinstance(logits, torch.Tensor):
        raise NeurokdError(f"{subject}: returns a {type(logits).__name__}; {allowed}")
    if logits.ndim not in (2, 3) or logits.shape[-2:] != (batch, classes):
        raise NeurokdError(f"{subject}: returns {list(logits.shape)} for {batch} images; {allowed}")
    if not logits.isfinite().all():
        raise NeurokdError(
            f"{subject}: untrained, it returns logits that are not finite; correct its weights or forward"
        )


def check_weights_given(build: Callable[[], nn.Module], name: str) -> None:
    """Raise NeurokdError unless a model that is not trained comes with all of its weights: builds it from two seeds.

    >>> check_weights_given(lambda: nn.Linear(1, 1), "line")
    Traceback (most recent call last):
    ...
    neurokd.errors.NeurokdError: model 'line': epochs is 0, and 2 tensors start at random, first 'weight'; train it, ...
    """
    states = []
    with torch.random.fork_rng(devices=[]):
        for seed in (0, 1):
            torch.manual_seed(seed)
            states.append(build().state_dict())
    drawn = [key for key, tensor in states[0].items() if not torch.equal(tensor, states[1][key])]
    if drawn:
        raise NeurokdError(
            f"model '{name}': epochs is 0, and {len(drawn)} tensors start at random, first '{drawn[0]}'; train it, "
            "or name a model that comes with weights for these classes"
        )
