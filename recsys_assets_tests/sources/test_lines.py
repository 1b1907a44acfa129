"""Tests of records whose quoted fields hold line ends."""

import io

import duckdb
import pytest

from recsys_assets.sources.lines import BLOCK_BYTES, MAX_RECORD_LINES, RecordReader


def read(body: str, *, multiline: bool = True) -> list[tuple[int, str]]:
    """Return number and text of every record below a header of three fields."""
    stream = io.BytesIO(b"a,b,c\n" + body.encode())
    reader = RecordReader(stream, "x.csv", 0, 3, multiline=multiline)
    with duckdb.connect() as connection:
        connection.register("records", reader.arrow())
        rows = connection.execute("SELECT seq, text FROM records ORDER BY seq").fetchall()
    assert reader.records == len(rows)
    return [(number, text.rstrip("\r\n")) for number, text in rows]


def test_quoted_line_ends_join_lines():
    """A comment over three lines is one record, numbered by its first line."""
    body = '1,"x\ny,\nz",2\n3,4,5\n'
    assert read(body) == [(2, '1,"x\ny,\nz",2'), (5, "3,4,5")]
    assert len(read(body, multiline=False)) == 4


def test_stray_quotes_swallow_nothing():
    """Two stray quotes around sound lines must not turn those into one field."""
    body = '1,"x,2,3\n4,5,6\n7,8,9\n1,x",2\n5,5,5\n'
    assert [number for number, _ in read(body)] == [2, 3, 4, 5, 6]


def test_a_stray_quote_before_a_real_field():
    """A stray quote does not spoil the record over two lines that follows it."""
    body = '1,x"y,3\n4,"5\n5",6\n'
    assert read(body) == [(2, '1,x"y,3'), (3, '4,"5\n5",6')]


def test_a_field_of_too_many_lines_stays_apart():
    """A quote that stays open for a whole screen is a stray one."""
    middle = "x\n" * (MAX_RECORD_LINES - 1)
    assert len(read(f'1,"{middle}x",2\n')) == 1
    assert len(read(f'1,"{middle}x\nx",2\n')) == MAX_RECORD_LINES + 1


@pytest.mark.parametrize("shift", range(8))
def test_records_across_blocks(shift: int):
    """A record that lies across two blocks of the file is neither cut nor counted twice."""
    filler = "7,8,9\n" * ((BLOCK_BYTES - 20) // 6) + "1,2," + "x" * shift + "\n"
    rows = read(filler + '1,"x\ny",3\n' * 4 + filler)
    joined = [text for _, text in rows if "\n" in text]
    assert joined == ['1,"x\ny",3'] * 4
    assert len(rows) == 2 * filler.count("\n") + 4
    assert rows[-1][0] == 1 + 2 * filler.count("\n") + 8
