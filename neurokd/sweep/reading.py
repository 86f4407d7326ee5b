"""Read what a user wrote: YAML files without names given twice, `key=a,b` of the command line; say what is wrong."""

import difflib
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

from neurokd.errors import NeurokdError


class _Strict(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would keep the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping; a ConstructorError names the repeated key and its line."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"'{key.value}' is given twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file; NeurokdError naming `what` and the file otherwise."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Strict)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NeurokdError(f"{what} '{path}': no such file") from error
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise NeurokdError(f"{what} '{path}': line {line}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise NeurokdError(f"{what} '{path}': not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise NeurokdError(f"{what} '{path}': expected a mapping of keys, got {type(values).__name__}")
    return values


def explain(error: Any, allowed: Iterable[str]) -> str:
    """One error of pydantic as a user reads it; for an unknown key the nearest of those that are `allowed` there."""
    path = [str(part) for part in error["loc"] if part != "[key]"]
    where = ".".join(path)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}'{nearest(path[-1], allowed)}"
    message = error["msg"].removeprefix("Value error, ")
    got = "" if error["type"] in ("missing", "value_error") else f", got {error['input']!r}"
    return f"{where}: {message}{got}" if where else f"{message}{got}"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of a message about an unknown name: the one that was meant, or all there are.

    >>> nearest("seds", ["seeds", "grid"])
    ", did you mean 'seeds'?"
    """
    names = list(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    return f", did you mean '{close[0]}'?" if close else f"; allowed are {', '.join(names)}"


def values_of(text: str) -> tuple[str, list[Any]]:
    """The key and the values of one `--grid key=a,b,c`; values are YAML.

    >>> values_of("method.temperature=1,2.5")
    ('method.temperature', [1, 2.5])
    >>> values_of("neuron={decay: 0.5},null")
    ('neuron', [{'decay': 0.5}, None])
    """
    key, equals, given = text.partition("=")
    if not equals or not key:
        raise NeurokdError(f"--grid {text}: expected key=value,value, e.g. method.temperature=1,2,5")
    try:
        values = yaml.load(f"[{given}]", _Strict)
    except yaml.YAMLError as error:
        raise NeurokdError(f"--grid {text}: '{given}' is not a list of YAML values") from error
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if not values:
        raise NeurokdError(f"--grid {text}: is empty; give one value or more")
    return key, values
