"""How messages about a candidates file name what was found and what is allowed.

Words only: values, kinds of values, lists of choices with the nearest one, and the range of a field's
JSON schema. What is wrong is judged in `grid.py` and `tuning/space.py`.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def allowed_range(schema: Mapping[str, Any]) -> str:
    """Return the values that a field's JSON schema allows, in words."""
    if "enum" in schema:
        return " or ".join(shown(value) for value in schema["enum"])
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    text = words.get(schema["type"], schema["type"])
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "greater than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    bounds = [f"{limits[key]} {schema[key]:g}" for key in limits if key in schema]
    return f"{text} {' and '.join(bounds)}" if bounds else text


def choices(found: str, allowed: Iterable[str]) -> str:
    """Return what is allowed, and which of it `found` was perhaps meant to be."""
    names = list(allowed)
    close = difflib.get_close_matches(found, names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"allowed are {', '.join(names)}{hint}"


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    return "nothing" if value is None else repr(value)


def kind_of(value: object) -> str:
    """Return what kind of value a part of a YAML file is, in words."""
    names = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}
    return names.get(type(value), f"{value!r}")
