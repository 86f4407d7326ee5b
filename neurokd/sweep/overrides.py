"""Changes to a recipe that is still plain mappings: dotted keys and nested sections."""

from collections.abc import Mapping
from typing import Any

from neurokd.errors import NeurokdError


def override(values: Mapping[str, Any], changes: Mapping[str, Any], subject: str = "override") -> dict[str, Any]:
    """`values` with `changes`, whose keys may be dotted; both stay as they are.

    Sections merge deeply, except where the keys of the old one could not be meant: `method` is
    replaced whole, and so is a `model` of another name. A bare method name stands for its defaults.
    Raises NeurokdError where a dotted key goes through a value.

    >>> base = {"method": {"name": "tser", "kd_weight": 0.7}, "training": {"epochs": 5, "lr": 0.1}}
    >>> override(base, {"method": "ce", "training.epochs": 1})
    {'method': {'name': 'ce'}, 'training': {'epochs': 1, 'lr': 0.1}}
    >>> override(base, {"method.temperature": 2.0})["method"]
    {'name': 'tser', 'kd_weight': 0.7, 'temperature': 2.0}
    """
    result = dict(values)
    for key, value in changes.items():
        if key == "method":
            result[key] = {"name": value} if isinstance(value, str) else value
        else:
            result = _set(result, key.split("."), value, f"{subject}: {key}")
    return result


def _set(values: dict[str, Any], parts: list[str], value: Any, subject: str) -> dict[str, Any]:
    first, *rest = parts
    old = values.get(first)
    if not rest:
        return {**values, first: _merged(first, old, value)}
    if old is not None and not isinstance(old, dict):
        raise NeurokdError(f"{subject}: '{first}' is a value, not a section")
    return {**values, first: _set(old or {}, rest, value, subject)}


def _merged(key: str, old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    if key == "model" and new.get("name", old.get("name")) != old.get("name"):
        return new
    return {**old, **{name: _merged(name, old.get(name), value) for name, value in new.items()}}
