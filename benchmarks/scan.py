"""The floor: one bare DuckDB scan of the CSV, every field hashed, nothing kept.

The second form writes the four columns as zstd parquet. Neither rejects, numbers or checks
anything. Run it: ``python -m benchmarks.scan file.csv [out.parquet]``.
"""

import sys

import duckdb

_FIELDS = ("user_id", "artistname", "trackname", "playlistname")


def scan(raw: str, parquet: str | None) -> None:
    """Scan, and print the count and the hashes, or write parquet."""
    names = ", ".join(f"'{name}': 'VARCHAR'" for name in _FIELDS)
    source = (
        f"read_csv('{raw}', header = false, skip = 1, auto_detect = false, strict_mode = false, "
        f"ignore_errors = true, delim = ',', quote = '\"', escape = '\"', columns = {{{names}}})"
    )
    if parquet is None:
        hashes = ", ".join(f"bit_xor(hash({name}))" for name in _FIELDS)
        print(duckdb.execute(f"SELECT count(*), {hashes} FROM {source}").fetchall())
    else:
        duckdb.execute(f"COPY (FROM {source}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    scan(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
