"""Ids as words of a line: exact both ways, and only what must be encoded is."""

import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.similarity.encoding import decode_id, encode_id, encode_ids


@given(st.text())
def test_ids_survive_encoding(id_: str) -> None:
    """Prevents an id with white space from splitting its line, or changing on the way back."""
    encoded = encode_id(id_)
    assert len(f"x {encoded} y".split()) == (3 if id_ else 2)
    assert len(f"x{encoded}y".splitlines()) == 1
    assert decode_id(encoded) == id_


@given(st.lists(st.text("a %\t\x85\u3000\0é")))
def test_a_column_is_encoded_as_each_id_is(ids: list[str]) -> None:
    """Prevents the fast way from writing other keys than the reader decodes."""
    assert encode_ids(pa.array(ids, pa.string())).to_pylist() == [encode_id(one) for one in ids]


def test_exactly_white_space_control_characters_and_percent_are_encoded() -> None:
    """Prevents a character of Unicode's from being forgotten, or readable ids from being mangled."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    expected = {
        one
        for one in characters
        if one.isspace() or unicodedata.category(one) == "Cc" or one == "%"
    }
    assert {one for one in characters if encode_id(one) != one} == expected
    column = encode_ids(pa.array(sorted(expected))).to_pylist()
    assert column == [encode_id(one) for one in sorted(expected)]


@pytest.mark.parametrize(
    ("id_", "encoded"),
    [("a b", "a%20b"), ("100%", "100%25"), ("%20", "%2520"), ("\u3000", "%E3%80%80"), ("ü", "ü")],
)
def test_by_hand(id_: str, encoded: str) -> None:
    """Prevents another encoding than serving stacks decode."""
    assert encode_id(id_) == encoded


def test_broken_bytes_are_not_replaced() -> None:
    """Prevents a damaged file from being read as other ids."""
    with pytest.raises(UnicodeDecodeError):
        decode_id("%FF")
