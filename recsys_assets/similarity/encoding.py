"""Percent-encoding of ids, so that an id is one word of a line whatever it holds.

White space and control characters of Unicode and `%` itself are encoded as their UTF-8 bytes
(RFC 3986, section 2.1), everything else stays as it is. The lines are made in `files.py`.
"""

import re
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

_CONTROL_AND_SPACE = "\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space and control characters (category Cc) of Unicode 15, as a regular expression's class."""
UNSAFE = re.compile(f"[%{_CONTROL_AND_SPACE}]")


def encode_id(id_: str) -> str:
    """Percent-encode white space, control characters and `%`; everything else stays."""
    return UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), id_)


def decode_id(text: str) -> str:
    """Take back what `encode_id` did.

    Raises
    ------
    UnicodeDecodeError
        If the encoded bytes are not UTF-8.
    """
    return unquote(text, errors="strict")


def encode_ids(ids: pa.StringArray) -> pa.StringArray:
    """Return `encode_id` of every id, without a Python string for any but the rarest."""
    # `%` and the space first: that is all most ids need, and takes 0.4 s for 700,000 ids of four
    # spaces each where `encode_id` takes 3.
    encoded = pc.replace_substring(pc.replace_substring(ids, "%", "%25"), " ", "%20")
    rare = pc.match_substring_regex(encoded, f"[{_CONTROL_AND_SPACE}]")
    if pc.any(rare, min_count=0).as_py():
        exact = [encode_id(id_) for id_ in ids.filter(rare).to_pylist()]
        encoded = pc.replace_with_mask(encoded, rare, pa.array(exact, pa.string()))
    return encoded
