"""Which subnets are evaluated: drawn at random, or proposed by Optuna from those before."""

from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.search.space import Space, Subnet
from neurokd.search.trials import Trial

Sampler = Callable[[Sequence[Trial]], Subnet]  # from the sampled trials so far to the next subnet


def random_sampler(space: Space, seed: int) -> Sampler:
    """Every subnet is equally likely and comes at most once.

    >>> sampler = random_sampler(Space(channels=[[4, 8]], depths=[[1, 2]]), seed=0)
    >>> sampler([]).name
    'c8_d1'
    """
    order = np.random.RandomState(seed).permutation(space.count)
    return lambda trials: space.subnet(int(order[len(trials)]))


def tpe_sampler(space: Space, seed: int) -> Sampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), maximising validation accuracy.

    Every trial has a seed of its own, so that a search that is continued proposes what an uninterrupted one would.
    A subnet can come again. Raises NeurokdError where Optuna is not installed.
    """
    optuna = _optuna()
    choices = {
        name: optuna.distributions.CategoricalDistribution(axis)
        for name, axis in zip(space.names, space.axes, strict=True)
    }

    def next_subnet(trials: Sequence[Trial]) -> Subnet:
        own = int(np.random.SeedSequence([seed, len(trials)]).generate_state(1)[0])
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own))
        for trial in trials:
            values = dict(zip(space.names, (*trial.subnet.channels, *trial.subnet.depths), strict=True))
            study.add_trial(optuna.trial.create_trial(params=values, distributions=choices, value=trial.accuracy))
        asked = study.ask(dict(choices))
        return space.of([asked.params[name] for name in space.names])

    return next_subnet


SAMPLERS: dict[str, Callable[[Space, int], Sampler]] = {"random": random_sampler, "tpe": tpe_sampler}


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise NeurokdError(
            "search: sampler 'tpe' needs Optuna, which is not installed; "
            "install it with: pip install 'neurokd[search]', or use sampler: random"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
