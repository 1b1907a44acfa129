"""A JSON slice that is cut off or otherwise invalid: where it breaks, and its whole playlists.

Parses with Python's own decoder, which gives line, column and character; used only for the slices
that DuckDB refused. Rejecting rows is the business of `mpd.py`.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

_EXCERPT = 160
_SPACE = re.compile(r"[ \t\r\n]*")
_LIST_START = re.compile(r'"playlists"[ \t\r\n]*:[ \t\r\n]*\[')


@dataclass(frozen=True)
class Damage:
    """What is wrong with a slice and what can be saved of it.

    Attributes
    ----------
    reason
        One line with the position of failure.
    json_path
        The first playlist that is not whole, or ``$``.
    excerpt
        The text around the failure.
    whole
        A JSON document of the whole playlists (of none, if the file is rejected whole).
    rejected_bytes
        Size of what is rejected.
    """

    reason: str
    json_path: str
    excerpt: str
    whole: str
    rejected_bytes: int


def find_damage(path: Path, problem: str, *, keep_playlists: bool) -> Damage:
    """Find where a slice breaks.

    Parameters
    ----------
    path
        The slice, unpacked.
    problem
        What DuckDB said of it; used where Python's decoder finds the text valid.
    keep_playlists
        Whether to save the playlists before the failure.
    """
    content = path.read_bytes()
    text, where = _decode(content)
    if where is None:
        where = _json_failure(text)
    failure, at = where or (problem, 0)
    position = (
        f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}, "
        f"byte {len(text[:at].encode())} of {len(content)}"
    )
    excerpt = text[max(0, at - _EXCERPT // 2) : at + _EXCERPT // 2]
    whole, saved, end = _whole_playlists(text, at) if keep_playlists and where else ([], 0, 0)
    document = '{"playlists":[' + ",".join(whole) + "]}"
    if not whole:
        reason = f"file rejected whole: {failure}: {position}"
        return Damage(reason, "$", excerpt, document, len(content))
    reason = f"rest of the file rejected after {saved} whole playlists: {failure}: {position}"
    rejected = len(content) - len(text[:end].encode())
    return Damage(reason, f"$.playlists[{saved}]", excerpt, document, rejected)


def _decode(content: bytes) -> tuple[str, tuple[str, int] | None]:
    """Return the text up to the first byte that is not UTF-8, and that failure if there is one."""
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as problem:
        text = content[: problem.start].decode("utf-8-sig")
        return text, (f"not UTF-8 (byte 0x{content[problem.start]:02x})", len(text))


def _json_failure(text: str) -> tuple[str, int] | None:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        return problem.msg, problem.pos
    if not isinstance(document, dict) or not isinstance(document.get("playlists"), list):
        return 'valid JSON without a list "playlists"', 0
    return None


def _whole_playlists(text: str, failure: int) -> tuple[list[str], int, int]:
    """Return the texts of the playlists that end before `failure`, their number and their end."""
    start = _LIST_START.search(text, 0, failure)
    whole: list[str] = []
    if start is None:
        return whole, 0, 0
    decoder = json.JSONDecoder()
    at = end = start.end()
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches anything
        try:
            _, stop = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return whole, len(whole), end
        whole.append(text[at:stop])
        end = stop
        at = _SPACE.match(text, stop).end()  # type: ignore[union-attr]
        if text[at : at + 1] != ",":
            return whole, len(whole), end
        at += 1
