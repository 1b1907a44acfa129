"""SQL fragments that every format shares: splitting a CSV record, trimming, joining ids.

Pure functions from expressions to expressions (DuckDB dialect), so that each rule of reading is
written once. No connection, no table names, no format.
"""

from collections.abc import Sequence
from typing import Final

SEPARATOR: Final = "|||"
"""Between the parts of a joined id; `|` and the backslash inside the parts are escaped."""

_FIELD: Final = r' *"(?:[^"]|"")*" *|[^",]*'
_SPACE: Final = r"[\s\x0B\x{FEFF}\p{Z}]"


def literal(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def split_record(text: str, parts: str, width: int) -> str:
    """Return an expression of type VARCHAR[] for the fields of a CSV record (RFC 4180).

    NULL where the quoting is broken. Blanks around quotes are allowed, as the #nowplaying header
    has them. Two shapes are split without a regular expression: every field quoted and no quote
    inside, and no quote at all.

    Parameters
    ----------
    text
        The record without its line end; evaluated only where the quick look at `parts` fails.
    parts
        ``string_split(record, '"')`` of the record with its line end.
    width
        Number of fields in the header.
    """
    closed = " AND ".join(
        [
            f"{parts}[1] = ''",
            *(f"{parts}[{2 * at + 1}] = ','" for at in range(1, width)),
            f"{parts}[{2 * width + 1}] IN ('', chr(10), chr(13) || chr(10))",
        ]
    )
    quoted = ", ".join(f"{parts}[{2 * at + 2}]" for at in range(width))
    record = literal(f"(?:{_FIELD})(?:,(?:{_FIELD}))*")
    return f"""CASE
        WHEN len({parts}) = {2 * width + 1} AND {closed} THEN [{quoted}]
        WHEN len({parts}) = 1 THEN string_split({text}, ',')
        WHEN regexp_full_match({text}, {record}) THEN list_transform(
            regexp_extract_all(',' || {text}, {literal(f",({_FIELD})")}, 1),
            lambda one: CASE WHEN contains(one, '"')
                THEN replace(trim(one, ' ')[2:-2], '""', '"') ELSE one END)
        END"""


def field_defect(fields: str, width: int) -> str:
    """Return an expression for what is wrong with the number of fields, NULL if nothing is."""
    return f"""CASE
        WHEN {fields} IS NULL THEN 'broken quoting'
        WHEN len({fields}) > {width}
            THEN concat('extra fields: ', len({fields}), ' where the header has {width}')
        WHEN len({fields}) < {width}
            THEN concat('missing fields: ', len({fields}), ' where the header has {width}')
        END"""


def first_empty(named: Sequence[tuple[str, str]]) -> str:
    """Return an expression for the first of (name, expression) that is NULL or empty, or NULL."""
    cases = " ".join(f"WHEN coalesce({one}, '') = '' THEN 'empty {name}'" for name, one in named)
    return f"CASE {cases} END"


def trimmed(text: str) -> str:
    """Return an expression without surrounding white space, Unicode's included; '' becomes NULL."""
    # The test costs a third of what trim() with a list of characters does.
    edge = literal(f"^{_SPACE}|{_SPACE}$")
    spaces = literal(f"^{_SPACE}+|{_SPACE}+$")
    return (
        f"nullif(CASE WHEN regexp_matches({text}, {edge}) "
        f"THEN regexp_replace({text}, {spaces}, '', 'g') ELSE {text} END, '')"
    )


def joined(*parts: str) -> str:
    """Return an expression that joins parts so that no two tuples of the same length collide."""
    return f" || '{SEPARATOR}' || ".join(_escaped(part) for part in parts)


def scoped_id(artist: str, name: str, playlist: str) -> str:
    """Return an id for a named thing of an artist: `artist|||name`.

    Without an artist, `|||name|||playlist`: two songs of one title in two playlists need not be
    one. NULL without a name.
    """
    alone = joined("''", name, playlist)
    return f"CASE WHEN {artist} IS NULL THEN {alone} ELSE {joined(artist, name)} END"


def _escaped(text: str) -> str:
    return (
        f"CASE WHEN contains({text}, '|') OR contains({text}, '\\') "
        f"THEN replace(replace({text}, '\\', '\\\\'), '|', '\\|') ELSE {text} END"
    )
