"""Writing better hyperparameters into a candidates file, everything else byte for byte as it was.

PyYAML says where in the text each value stands; only those characters are replaced, so comments,
order, quotes and line ends survive. Anchors are YAML's way to share values: an entry that took one
over from the changed entry gets its own, so that no other candidate changes. Which values are better is
decided in `tuning/search.py`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from recsys_assets.errors import GridError
from recsys_assets.files import replaced_file
from recsys_assets.grid import (
    ENTRIES,
    NAME,
    PACKAGED_GRID,
    PARAMETERS,
    SLOW_GRID,
    CandidatesLoader,
    CandidateSpec,
    load_grid,
)
from recsys_assets.tuning.space import Value

_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+[ \t]*")
_BOM = re.compile(r"\A\ufeff")
_GAP = re.compile(r" +(?=#)")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def write_entry(
    source: Path, destination: Path, name: str, values: Mapping[str, Value], *, extra: str = ""
) -> None:
    """Write a candidates file with other hyperparameters for one entry.

    Parameters
    ----------
    source
        The candidates file that holds the entry, or that `extra` completes.
    destination
        Written aside and moved into place; may be `source`.
    name
        The entry.
    values
        Its new hyperparameters by name; those left out stay.
    extra
        Text appended to the source's before the entry is looked for.

    Raises
    ------
    GridError
        If the file has no such entry, or is written in a way that cannot be edited without changing
        more than this entry; nothing is written then.
    """
    with source.open(encoding="utf-8", newline="") as file:
        before = file.read() + extra
    with replaced_file(destination) as aside:
        _write(aside, before)
        wanted = {spec.name: spec for spec in load_grid(aside)}
        if name not in wanted:
            raise GridError(f"{source}: no entry {name!r}; its entries are {', '.join(wanted)}")
        old = wanted[name]
        parameters = type(old.parameters).model_validate(
            {**old.parameters.model_dump(), **values}, strict=True
        )
        wanted[name] = CandidateSpec(name, old.family, parameters, old.search)
        changed, text = [old], before
        # Each round mends the entries that the one before changed through an anchor of theirs.
        for _ in range(len(wanted) + 1):
            for spec in changed:
                text = _edited(text, spec.name, _differences(wanted[spec.name], spec))
            _write(aside, text)
            try:
                changed = [spec for spec in load_grid(aside) if spec != wanted[spec.name]]
            except GridError as error:
                raise _by_hand(source, name, values) from error
            if not changed:
                break
        else:
            raise _by_hand(source, name, values)


def _by_hand(source: Path, name: str, values: Mapping[str, Value]) -> GridError:
    return GridError(
        f"{source}: entry {name} is written in a way that cannot be edited without changing more; "
        f"give it by hand: {json.dumps(dict(values))}"
    )


def packaged_source(grid: str) -> tuple[Path, str]:
    """Return the shipped file of a grid, and what of the second one makes it whole.

    Parameters
    ----------
    grid
        ``default`` or ``full``, as `grid.chosen_grid` takes it.
    """
    if grid == "default":
        return PACKAGED_GRID, ""
    head, key, entries = SLOW_GRID.read_text(encoding="utf-8").partition(f"\n{ENTRIES}:\n")
    if not key:
        raise ValueError(f"{SLOW_GRID}: expected a line '{ENTRIES}:', found {head[:80]!r}")
    return PACKAGED_GRID, f"\n{entries}"


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def _differences(wanted: CandidateSpec, found: CandidateSpec) -> dict[str, object]:
    old = found.parameters.model_dump(mode="json")
    new = wanted.parameters.model_dump(mode="json")
    return {key: value for key, value in new.items() if old[key] != value}


def _edited(text: str, name: str, values: Mapping[str, object]) -> str:
    """Return the text with hyperparameters of one entry set to `values`."""
    for field, value in values.items():
        written = json.dumps(value, ensure_ascii=False)
        if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
            written = value
        entry = _entry(text, name)
        if entry is None:  # its name comes from an anchor: the caller sees that nothing changed
            return text
        parameters = _own(entry, PARAMETERS)
        if parameters is not None and (alias := _alias(text, parameters)):
            text = _set(text, entry, PARAMETERS, f"{{<<: {alias[1]}, {field}: {written}}}")
        elif parameters is not None and isinstance(parameters[1], yaml.MappingNode):
            text = _set(text, parameters[1], field, written)
        else:
            text = _set(text, entry, PARAMETERS, f"{{{field}: {written}}}")
    return text


_Pair = tuple[yaml.Node, yaml.Node]


def _entry(text: str, name: str) -> yaml.MappingNode | None:
    """Return the entry of that name, with the marks of its place in the text."""
    # Libyaml does not count a byte order mark in its places; it counts a line end instead.
    top = yaml.compose(_BOM.sub("\n", text), Loader=CandidatesLoader)
    found = None if top is None else _own(top, ENTRIES)
    for node in [] if found is None else found[1].value:
        pair = _own(node, NAME)
        if pair is not None and pair[1].value == name and isinstance(node, yaml.MappingNode):
            return node
    return None


def _own(mapping: yaml.Node, key: str) -> _Pair | None:
    """Return a pair that stands in the mapping itself, not in one that it merges."""
    return next((pair for pair in mapping.value if pair[0].value == key), None)


def _alias(text: str, pair: _Pair) -> re.Match[str] | None:
    """Match a value that is `*name`: its marks are those of the anchor, before its key."""
    key, value = pair
    return (
        _ALIAS.match(text, key.end_mark.index)
        if value.start_mark.index < key.end_mark.index
        else None
    )


def _set(text: str, mapping: yaml.MappingNode, key: str, written: str) -> str:
    """Return the text with one value of a mapping replaced, or added as the last."""
    pair = _own(mapping, key)
    if pair is None:
        return _added(text, mapping, f"{key}: {written}")
    if alias := _alias(text, pair):
        start, end = alias.span(1)
    else:
        start, end = pair[1].start_mark.index, pair[1].end_mark.index
        if anchor := _ANCHOR.match(text, start, end):
            start = anchor.end()
    if text[start - 1] == ":":  # an empty value
        written = f" {written}"
    gap = _GAP.match(text, end)
    if gap is None:
        return text[:start] + written + text[end:]
    # A comment behind the value stays in its column where there is room.
    room = len(gap[0]) - (len(written) - (end - start))
    return text[:start] + written + " " * max(room, min(len(gap[0]), 2)) + text[gap.end() :]


def _added(text: str, mapping: yaml.MappingNode, pair: str) -> str:
    if mapping.flow_style:
        end = mapping.end_mark.index - 1
        comma = "" if text[:end].rstrip()[-1] in "{," else ", "
        return f"{text[:end]}{comma}{pair}{text[end:]}"
    indent = " " * mapping.value[0][0].start_mark.column  # an anchor begins elsewhere
    ends = [end for one in mapping.value if (end := _end_on_line(text, one)) is not None]
    if not ends:
        start = mapping.value[0][0].start_mark.index
        return f"{text[:start]}{pair}\n{indent}{text[start:]}"
    line = text.find("\n", ends[-1])
    line = len(text) if line < 0 else line
    newline = "\n"
    if text[line - 1] == "\r":
        line, newline = line - 1, "\r\n"
    return f"{text[:line]}{newline}{indent}{pair}{text[line:]}"


def _end_on_line(text: str, pair: _Pair) -> int | None:
    """Return where a pair ends, or None if its marks reach into the lines after it."""
    _, value = pair
    if alias := _alias(text, pair):
        return alias.end()
    if isinstance(value, yaml.ScalarNode):
        flat = value.style not in ("|", ">")
    else:
        flat = isinstance(value, yaml.CollectionNode) and bool(value.flow_style)
    return value.end_mark.index if flat else None
