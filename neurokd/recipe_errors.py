"""What is wrong with a recipe, in its own words instead of pydantic's."""

import difflib
from typing import Any

_SECTION = "expected a section of keys"
_MESSAGES = {  # where pydantic speaks of Python instead of recipes
    "model_type": _SECTION,
    "model_attributes_type": f"{_SECTION}, e.g. {{{{name: kd}}}}",
    "union_tag_invalid": "unknown name '{tag}'; allowed are {expected_tags}",
    "union_tag_not_found": "expected a 'name' among the keys",
}


def explain(error: Any, schema: dict[str, Any]) -> str:
    """One sentence for one of pydantic's `errors()`; `schema` is the recipe's JSON schema, for the nearest key."""
    path = [str(part) for part in error["loc"]]
    where = ".".join(part for part in path if "[" not in part)  # pydantic adds its types, e.g. tuple[str, ...]
    if error["type"] == "extra_forbidden":
        allowed = _keys_at(path[:-1], schema)
        nearest = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f", did you mean '{nearest[0]}'?" if nearest else f"; allowed are {', '.join(allowed)}"
        return f"unknown key '{where}'{hint}"
    message = _MESSAGES.get(error["type"], "{msg}").format(**{"msg": error["msg"], **error.get("ctx", {})})
    message = message.removeprefix("Value error, ")
    got = "" if error["type"] in ("missing", "value_error", "union_tag_invalid") else f", got {error['input']!r}"
    return f"{where}: {message}{got}" if where else f"{message}{got}"


def _keys_at(path: list[str], schema: dict[str, Any]) -> list[str]:
    """The keys that `schema` allows under `path`; method names are part of a path."""
    node: dict[str, Any] = schema
    for part in path:
        branches = _branches(schema, node.get("properties", {}).get(part, {}))
        if not branches:  # the tag of a union, e.g. method.tser
            branches = [
                b for b in _branches(schema, node) if b.get("properties", {}).get("name", {}).get("const") == part
            ]
            node = branches[0] if branches else {}
            continue
        node = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return list(node.get("properties", {}))


def _branches(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return [schema["$defs"][node["$ref"].rpartition("/")[2]]]
    options = [b for option in node.get("anyOf", node.get("oneOf", [])) for b in _branches(schema, option)]
    return [b for b in options if b] or ([node] if "properties" in node else [])
