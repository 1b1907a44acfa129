"""The grid of candidates: reading and validating `candidates.yaml`.

One entry is one candidate: a name, a family and its hyperparameters. Every mistake becomes a
`GridError` that names file, entry, field, the value found and what is allowed. What the families
and their fields are is known to `models/registry.py`; making assets of them belongs in `assets/`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recsys_assets.errors import GridError
from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.extras import how_to_get, is_installed
from recsys_assets.models.registry import FAMILIES
from recsys_assets.tuning.space import SEARCH, Range, search_ranges
from recsys_assets.wording import allowed_range, choices, kind_of, shown

PACKAGED_GRID = Path(__file__).with_name("candidates.yaml")
SLOW_GRID = Path(__file__).with_name("candidates_full.yaml")
ENTRIES = "candidates"
NAME, FAMILY, PARAMETERS = "name", "family", "parameters"
NAME_PATTERN = re.compile(r"[A-Za-z0-9_]+")
"""What Dagster allows as the last part of an asset key."""


@dataclass(frozen=True)
class CandidateSpec:
    """One entry of the grid.

    Attributes
    ----------
    name
        Unique within the grid, and the last part of the candidate's asset key.
    family
        A key of `models.registry.FAMILIES`.
    parameters
        The family's hyperparameters, validated, defaults filled in.
    search
        Ranges of hyperparameters for `tune`; training and fingerprints take no notice of them.
    """

    name: str
    family: str
    parameters: Hyperparameters
    search: Mapping[str, Range] = field(default_factory=dict)


def chosen_grid(candidates: Path | None, grid: str) -> tuple[CandidateSpec, ...]:
    """Return the entries that the settings ask for and that can be trained with what is installed.

    Parameters
    ----------
    candidates
        The user's own file, or None.
    grid
        Without a file of the user's: ``default``, or ``full`` for the default entries and the slow
        ones.

    Raises
    ------
    GridError
        If the file cannot be used, or none of its entries can be trained.
    """
    asked = asked_grid(candidates, grid)
    found = tuple(spec for spec in asked if missing_extra(spec) is None)
    if not found:
        raise GridError(
            f"{candidates}: no entry can be trained with what is installed; "
            + "; ".join(left_out(asked))
        )
    return found


def left_out(asked: Sequence[CandidateSpec]) -> tuple[str, ...]:
    """Return a line for each extra that entries need and that is not installed."""
    entries: dict[str, list[str]] = {}
    for spec in asked:
        extra = missing_extra(spec)
        if extra is not None:
            entries.setdefault(extra, []).append(spec.name)
    return tuple(
        f"left out, as {extra} is not installed: {', '.join(names)} ({how_to_get(extra)})"
        for extra, names in entries.items()
    )


def missing_extra(spec: CandidateSpec) -> str | None:
    """Return an extra that training the entry, or a member of it, needs and that is not installed."""
    extra = FAMILIES[spec.family].extra
    if extra is not None and not is_installed(extra):
        return extra
    for member in getattr(spec.parameters, "members", ()):
        kind = FAMILIES[member.family].parameters_type
        parameters = kind.model_validate(member.parameters)
        missing = missing_extra(CandidateSpec(spec.name, member.family, parameters))
        if missing is not None:
            return missing
    return None


def asked_grid(candidates: Path | None, grid: str) -> tuple[CandidateSpec, ...]:
    """Return all entries that the settings ask for; parameters as of `chosen_grid`."""
    if candidates is not None or grid == "default":
        return load_grid(candidates)
    return load_grid() + load_grid(SLOW_GRID)


def load_grid(path: Path | None = None) -> tuple[CandidateSpec, ...]:
    """Read a grid of candidates.

    Parameters
    ----------
    path
        A YAML file; None for the grid that the package ships.

    Returns
    -------
    tuple of CandidateSpec
        At least one, in the order of the file.

    Raises
    ------
    GridError
        If the file cannot be read or an entry cannot be used; all faulty entries are named at once.
    """
    file = PACKAGED_GRID if path is None else path
    content = _read(file)
    if not isinstance(content, dict) or list(content) != [ENTRIES]:
        found = (
            f"keys {', '.join(map(str, content))}"
            if isinstance(content, dict)
            else kind_of(content)
        )
        raise GridError(f"{file}: expected one key '{ENTRIES}' at the top, found {found}")
    entries = content[ENTRIES]
    if not isinstance(entries, list) or not entries:
        found = "an empty list" if entries == [] else kind_of(entries)
        raise GridError(f"{file}: expected a list of entries under '{ENTRIES}', found {found}")
    problems: list[str] = []
    specs: dict[str, CandidateSpec] = {}
    for number, entry in enumerate(entries, 1):
        found_here, spec = _candidate(entry, number)
        problems += found_here
        if spec is not None and spec.name in specs:
            problems.append(
                f"entry {number} ({spec.name}), field {NAME}: {spec.name!r} is taken by an earlier "
                "entry; names must be unique"
            )
        elif spec is not None:
            specs[spec.name] = spec
    if problems:
        raise GridError(f"{file}:\n  " + "\n  ".join(problems))
    return tuple(specs.values())


def _candidate(entry: object, number: int) -> tuple[list[str], CandidateSpec | None]:
    """Return what is wrong with an entry, or the candidate that it describes."""
    where = f"entry {number}"
    if not isinstance(entry, dict):
        return [
            f"{where}: expected {NAME}, {FAMILY} and {PARAMETERS}, found {kind_of(entry)}"
        ], None
    name, family = entry.get(NAME), entry.get(FAMILY)
    where += f" ({name})" if isinstance(name, str) else ""
    problems = [
        f"{where}, field {key}: not a field of an entry; {choices(str(key), _ENTRY_FIELDS)}"
        for key in entry
        if key not in _ENTRY_FIELDS
    ]
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        problems.append(
            f"{where}, field {NAME}: found {shown(name)}; allowed are letters, digits and "
            "underscores (it becomes the name of an asset)"
        )
    if not isinstance(family, str) or family not in FAMILIES:
        problems.append(
            f"{where}, field {FAMILY}: found {shown(family)}; {choices(str(family), FAMILIES)}"
        )
        return problems, None
    values = entry.get(PARAMETERS)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        problems.append(
            f"{where}, field {PARAMETERS}: expected hyperparameters by name, found {kind_of(values)}"
        )
        return problems, None
    kind = FAMILIES[family].parameters_type
    try:
        parameters = kind.model_validate(values, strict=True)
    except ValidationError as error:
        return problems + [f"{where}, {text}" for text in _explain(error, kind, family)], None
    ranges: Mapping[str, Range] = {}
    if entry.get(SEARCH) is not None:
        found, ranges = search_ranges(entry[SEARCH], parameters, family)
        problems += [f"{where}, {text}" for text in found]
    if problems:
        return problems, None
    return [], CandidateSpec(str(name), family, parameters, ranges)


_ENTRY_FIELDS = (NAME, FAMILY, PARAMETERS, SEARCH)


def _explain(error: ValidationError, kind: type[Hyperparameters], family: str) -> list[str]:
    lines = []
    properties = kind.model_json_schema().get("properties", {})
    for problem in error.errors():
        field = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            allowed = choices(field, properties) if properties else "it has none"
            lines.append(f"field {field}: not a hyperparameter of family {family}; {allowed}")
        elif problem["type"] == "value_error":  # a validator's own text says what is allowed
            where = " ".join(
                f"entry {part + 1}" if isinstance(part, int) else str(part)
                for part in problem["loc"]
            )
            lines.append(f"field {where}: {problem['ctx']['error']}")
        else:
            schema = properties[field]
            lines.append(
                f"field {field}: found {shown(problem['input'])}; allowed is {allowed_range(schema)}. "
                f"({schema['description']})"
            )
    return lines


# --- YAML -----------------------------------------------------------------------------------------
# By libyaml where PyYAML was built with it: 0.02 s instead of 0.17 at every start.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CandidatesLoader(_SafeLoader):  # type: ignore[misc]
    """Safe YAML that refuses a key given twice and reads 1e-5 as a number (PyYAML: as a text)."""

    def get_single_node(self) -> yaml.Node | None:
        """Refuse a key given twice, which YAML forbids and PyYAML lets pass."""
        node: yaml.Node | None = super().get_single_node()
        for mapping in _mappings(node):
            seen = set()
            for key, _ in mapping.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # no name of anything: refused later
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return node


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """Yield every mapping in the order of the file, what aliases stand for once."""
    seen: set[int] = set()
    queue = [] if node is None else [node]
    while queue:
        one = queue.pop()
        if id(one) in seen or not isinstance(one, yaml.CollectionNode):
            continue
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            yield one
            queue.extend(value for _, value in reversed(one.value))
        else:
            queue.extend(reversed(one.value))


CandidatesLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _read(file: Path) -> object:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GridError(
            f"{file}: the candidates file cannot be read ({error}); RECSYS_CANDIDATES names it, "
            "unset it to use the grid that the package ships"
        ) from None
    try:
        return yaml.load(text, Loader=CandidatesLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise GridError(f"{file}{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise GridError(f"{file}: not valid YAML: {error}") from None
