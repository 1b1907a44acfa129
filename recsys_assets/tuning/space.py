"""The search space of a grid entry: what its `search` mapping says, validated.

A hyperparameter has a range of numbers or a list of choices. Every mistake becomes a line that names
the field, what was found and what is allowed; `grid.py` puts the entry before it. What is done with a
space belongs in `tuning/search.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from recsys_assets.models.base import Hyperparameters
from recsys_assets.wording import allowed_range, choices, kind_of, shown

SEARCH = "search"
LOW, HIGH, LOG = "low", "high", "log"
_EXPECTED = "expected {low: …, high: …}, with log: true if wanted, or a list of choices"
_NUMERIC = ("integer", "number")
_SCALAR = (*_NUMERIC, "boolean", "string")

Value = bool | int | float | str


@dataclass(frozen=True)
class Span:
    """All numbers from `low` to `high`, both included.

    Attributes
    ----------
    whole
        Whole numbers only.
    log
        Every order of magnitude is as likely as every other.
    """

    low: float
    high: float
    whole: bool
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choices:
    """Two or more values, none nearer to another than the rest."""

    values: tuple[Value, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return " or ".join(shown(value) for value in self.values)


Range = Span | Choices


def search_ranges(
    search: object, parameters: Hyperparameters, family: str
) -> tuple[list[str], dict[str, Range]]:
    """Read the `search` mapping of an entry.

    Parameters
    ----------
    search
        What the candidates file holds there: a mapping from hyperparameter to
        ``{low: 5, high: 100}``, optionally with ``log: true``, or to a list of choices.
    parameters
        The entry's own hyperparameters, valid; a search starts from them, so they must lie inside.
    family
        For the messages.

    Returns
    -------
    problems : list of str
        What is wrong, each beginning with the field; empty if nothing is.
    ranges : dict of str to Range
        The sound ones, in the order of the file.
    """
    if not isinstance(search, dict):
        return [f"field {SEARCH}: expected ranges by hyperparameter, found {kind_of(search)}"], {}
    if not search:
        return [f"field {SEARCH}: expected at least one hyperparameter with its range"], {}
    properties = type(parameters).model_json_schema().get("properties", {})
    scalars = [name for name, schema in properties.items() if _is_scalar(schema)]
    problems: list[str] = []
    ranges: dict[str, Range] = {}
    for name, given in search.items():
        if name not in properties:
            allowed = choices(str(name), scalars) if scalars else "it has none"
            found = [f"not a hyperparameter of family {family}; {allowed}"]
        elif name not in scalars:
            found = [f"a list is not searched; {choices('', scalars)}"]
        elif isinstance(given, dict):
            found = _span_problems(given, name, parameters, properties[name])
            if not found:
                whole = properties[name]["type"] == "integer"
                kind = int if whole else float
                low, high = kind(given[LOW]), kind(given[HIGH])
                ranges[name] = Span(low, high, whole, given.get(LOG, False))
        elif isinstance(given, list):
            found = _choice_problems(given, name, parameters, properties[name])
            if not found:
                # As the model has it: a whole number given for a fraction is one.
                ranges[name] = Choices(tuple(_with(parameters, name, value) for value in given))
        else:
            found = [f"found {shown(given)}; {_EXPECTED}"]
        present = getattr(parameters, str(name), None)
        if name in ranges and present not in ranges[name]:
            found = [
                f"the entry's own value {shown(present)} is not in {ranges[name]}; the search "
                "starts from it"
            ]
        problems += [f"field {SEARCH} {name}: {text}" for text in found]
    return problems, ranges


def _is_scalar(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in _SCALAR


def _span_problems(
    given: Mapping[Any, Any], name: str, parameters: Hyperparameters, schema: Mapping[str, Any]
) -> list[str]:
    if schema["type"] not in _NUMERIC or "enum" in schema:
        return [f"expected a list of choices out of {allowed_range(schema)}, found a range"]
    problems = [
        f"{key} is not part of a range; {choices(str(key), (LOW, HIGH, LOG))}"
        for key in given
        if key not in (LOW, HIGH, LOG)
    ]
    problems += [f"{key} is missing; {_EXPECTED}" for key in (LOW, HIGH) if key not in given]
    for key in (LOW, HIGH):
        if key in given:
            problems += _value_problems(given[key], f"{key}: ", name, parameters, schema)
    log = given.get(LOG, False)
    if not isinstance(log, bool):
        problems.append(f"{LOG}: found {shown(log)}; allowed is true or false")
    if problems:
        return problems
    if given[LOW] >= given[HIGH]:
        return [f"low {given[LOW]:g} is not below high {given[HIGH]:g}"]
    if log and given[LOW] <= 0:
        return [f"log: true needs a low greater than 0, found {given[LOW]:g}"]
    return []


def _choice_problems(
    given: list[Any], name: str, parameters: Hyperparameters, schema: Mapping[str, Any]
) -> list[str]:
    problems = [
        text for value in given for text in _value_problems(value, "", name, parameters, schema)
    ]
    if not problems and len(set(given)) < max(2, len(given)):
        return [f"expected two or more different choices, found {shown(given)}"]
    return problems


def _value_problems(
    value: object, label: str, name: str, parameters: Hyperparameters, schema: Mapping[str, Any]
) -> list[str]:
    """Return what is wrong with one value of a field."""
    try:
        _with(parameters, name, value)
    except ValidationError as error:
        if any(problem["loc"][:1] == (name,) for problem in error.errors()):
            return [
                f"{label}found {shown(value)}; allowed is {allowed_range(schema)}. "
                f"({schema['description']})"
            ]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{label}found {shown(value)}; a search needs finite numbers"]
    return []


def _with(parameters: Hyperparameters, name: str, value: object) -> Value:
    """Return the value that the field holds when it is set to `value`."""
    values = {**parameters.model_dump(), name: value}
    found: Value = getattr(type(parameters).model_validate(values, strict=True), name)
    return found
