"""Read a run folder and check it: what is missing is None, what is malformed is an error that names the file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import ValidationError

from neurokd.errors import NeurokdError
from neurokd.report.curves import Curve, read_curves
from neurokd.report.schema import Manifest, Part, Result
from neurokd.runs import Run

PartType = TypeVar("PartType", bound=Part)


@dataclass(frozen=True)
class RunData:
    """Everything that a report is made of; `artefact_sha256` is None where the network file is missing."""

    folder: Path
    result: Result
    manifest: Manifest | None
    artefact_sha256: str | None
    recipe: str | None
    seed: int | None
    environment: dict[str, str]
    curves: tuple[Curve, ...]


def load(folder: Path) -> RunData:
    """Read the run in `folder`. Raises NeurokdError that names the file which is missing or malformed."""
    if not folder.is_dir():
        raise NeurokdError(f"run '{folder}': no such folder; name a folder made by 'neurokd train'")
    if not (folder / "result.json").is_file():
        raise NeurokdError(
            f"{folder / 'result.json'}: not found; training has not finished; continue it with: neurokd train --resume"
        )
    manifest_path = folder / "export" / "manifest.json"
    manifest = _read_part(manifest_path, Manifest) if manifest_path.is_file() else None
    Run(folder).check_export()
    recipe, seed = _read_recipe(folder / "recipe.yaml")
    return RunData(
        folder=folder,
        result=_read_part(folder / "result.json", Result),
        manifest=manifest,
        artefact_sha256=_sha256(manifest_path, manifest) if manifest else None,
        recipe=recipe,
        seed=seed,
        environment=_read_environment(folder / "environment.json"),
        curves=read_curves(folder / "metrics.csv"),
    )


def _read_part(path: Path, kind: type[PartType]) -> PartType:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(key) for key in first["loc"])
        got = "" if first["type"] in ("json_invalid", "missing", "value_error") else f", got {_short(first['input'])}"
        raise NeurokdError(f"{path}: {where + ': ' if where else ''}{first['msg']}{got}") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _sha256(manifest_path: Path, manifest: Manifest) -> str | None:
    if Path(manifest.network).name != manifest.network:
        raise NeurokdError(
            f"{manifest_path}: network: expected a file name beside the manifest, got {manifest.network!r}"
        )
    path = manifest_path.parent / manifest.network
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NeurokdError(f"{path}: not UTF-8 text at byte {error.start}") from error


def _read_recipe(path: Path) -> tuple[str | None, int | None]:
    if not path.is_file():
        return None, None
    text = _read_text(path)
    try:
        recipe = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NeurokdError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise NeurokdError(f"{path}: expected a mapping of fields, got {type(recipe).__name__}")
    seed = recipe.get("seed")
    return text, seed if isinstance(seed, int) else None


def _read_environment(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number")

    try:
        value = json.loads(_read_text(path), parse_constant=refuse)
        if not isinstance(value, dict):
            raise NeurokdError(f"{path}: expected an object, got {type(value).__name__}")
        return dict(_flatten(value))
    except (ValueError, RecursionError) as error:  # from Python 3.13 on, json reads deeper than we may recurse
        raise NeurokdError(f"{path}: not valid JSON: {error}") from error


def _flatten(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            rows += _flatten(item, f"{name}.")
        elif item is not None:
            rows.append((name, item if isinstance(item, str) else json.dumps(item)))
    return rows
