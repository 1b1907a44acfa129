"""Catalogues, sequences and splits on playlists small enough to work out by hand."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets import columns as c
from recsys_assets.preparation.catalog import (
    artist_catalog_query,
    artists_as_catalog,
    track_catalog_query,
    tracks_as_catalog,
)
from recsys_assets.preparation.queries import markdown_table
from recsys_assets.preparation.sequences import (
    PLAYLIST_TRACKS_VIEW,
    artist_playlists,
    playlist_sequences_query,
    track_playlists,
)
from recsys_assets.preparation.split import SPLIT_OF_TABLE, SplitRule, split_query
from recsys_assets_tests.conftest import write_cleaned

SALT = "salt"

PLAYLISTS = {
    "p1": [("a", "X"), ("b", "X"), ("c", "Y"), ("a", "X")],
    "p2": [("b", "X"), ("a", "X"), ("d", None)],
    "short": [("z", "Z"), ("a", "X")],
}


def prepare(
    cleaned: Path, *, salt: str = SALT, sample_percent: float = 100
) -> duckdb.DuckDBPyConnection:
    """Make all tables of the group preparation in memory."""
    connection, rule = duckdb.connect(), SplitRule(salt, sample_percent)
    for table, query in {
        c.ARTIST_CATALOG: artist_catalog_query(cleaned, rule),
        c.TRACK_CATALOG: track_catalog_query(cleaned, rule),
        c.PLAYLIST_SEQUENCES: playlist_sequences_query(cleaned, rule),
        **{table: split_query(table) for table in SPLIT_OF_TABLE},
    }.items():
        query.create(connection, table)
    return connection


def side_of(playlist: str, salt: str = SALT) -> str:
    """Ask the split expression for one playlist."""
    return duckdb.execute(
        f"SELECT {SplitRule(salt).side()} FROM (SELECT ? AS {c.PLAYLIST_ID})", [playlist]
    ).fetchall()[0][0]


def salt_that_trains(*playlists: str) -> str:
    """Find a salt that puts all the playlists into train."""
    return next(
        salt
        for salt in map(str, range(1000))
        if all(side_of(playlist, salt) == c.TRAIN for playlist in playlists)
    )


@pytest.fixture
def cleaned(tmp_path: Path) -> Path:
    """The three playlists above as a cleaned parquet file."""
    return write_cleaned(tmp_path / "cleaned.parquet", PLAYLISTS)


def test_catalog_counts_and_order(cleaned: Path) -> None:
    """Prevents wrong counts, and an index that does not fall with training playlists."""
    rows = (
        prepare(cleaned, salt=salt_that_trains("p1", "p2"))
        .execute(f"SELECT * FROM {c.TRACK_CATALOG} ORDER BY {c.TRACK_INDEX}")
        .to_arrow_table()
        .to_pylist()
    )
    found = [
        (r[c.TRACK_ID], r[c.PLAYLIST_COUNT], r[c.PLAY_COUNT], r[c.TRAIN_PLAYLIST_COUNT])
        for r in rows
    ]
    # "short" has two tracks only: it counts in all playlists, never in training ones.
    assert found == [("a", 3, 4, 2), ("b", 2, 2, 2), ("c", 1, 1, 1), ("d", 1, 1, 1), ("z", 1, 1, 0)]
    assert [r[c.TRACK_INDEX] for r in rows] == [0, 1, 2, 3, 4]
    assert [r[c.ARTIST_INDEX] for r in rows] == [0, 0, 1, -1, 2]


def test_index_tells_nothing_of_held_out_playlists(tmp_path: Path) -> None:
    """Prevents the leak of ties broken by popularity over validation and test playlists."""
    train = [f"t{i}" for i in range(300) if side_of(f"t{i}") == c.TRAIN]
    held_out = [f"t{i}" for i in range(300) if side_of(f"t{i}") != c.TRAIN]
    playlists = {p: [(f"only in {p}", "A"), ("x", "A"), ("y", "A")] for p in train}
    before = prepare(write_cleaned(tmp_path / "a.parquet", playlists))
    # Now held-out playlists make some of the rare tracks three times as popular.
    playlists |= {p: [(f"only in {train[-1]}", "A"), ("x", "A"), ("y", "A")] for p in held_out}
    after = prepare(write_cleaned(tmp_path / "b.parquet", playlists))
    order = f"SELECT list({c.TRACK_ID} ORDER BY {c.TRACK_INDEX}) FROM {c.TRACK_CATALOG}"
    assert before.execute(order).fetchall() == after.execute(order).fetchall()


def test_sequences_keep_order_and_repeats(cleaned: Path) -> None:
    """Prevents sequences that lose order, repeats or the missing artist, or keep short playlists."""
    table = prepare(cleaned, salt=salt_that_trains("p1", "p2")).table(c.PLAYLIST_SEQUENCES)
    rows = {r[c.PLAYLIST_ID]: r for r in table.to_arrow_table().to_pylist()}
    assert set(rows) == {"p1", "p2"}
    assert rows["p1"][c.TRACK_SEQUENCE] == [0, 1, 2, 0]
    assert rows["p2"][c.TRACK_SEQUENCE] == [1, 0, 3]
    assert rows["p2"][c.ARTIST_SEQUENCE] == [0, 0, -1]
    assert rows["p2"][c.TRACK_COUNT] == 3


def test_view_shows_names(cleaned: Path) -> None:
    """Prevents tables that only a program can read."""
    rows = (
        prepare(cleaned)
        .execute(
            f"SELECT {c.TRACK_NAME}, {c.ARTIST_NAME} FROM {PLAYLIST_TRACKS_VIEW} "
            f"WHERE {c.PLAYLIST_ID} = 'p2' ORDER BY {c.POSITION}"
        )
        .fetchall()
    )
    assert rows == [("title of b", "X"), ("title of a", "X"), ("title of d", None)]


def test_playlists_never_change_side(tmp_path: Path) -> None:
    """Prevents new data from moving old playlists between train, validation and test."""
    tracks = [("a", "A"), ("b", "A"), ("c", "A")]
    old = {f"old{i}": tracks for i in range(50)}
    new = old | {f"new{i}": tracks for i in range(50)}
    sides = []
    for number, playlists in enumerate((old, new)):
        connection = prepare(write_cleaned(tmp_path / f"{number}.parquet", playlists))
        rows = connection.execute(
            f"SELECT {c.PLAYLIST_ID}, {c.SPLIT} FROM {c.PLAYLIST_SEQUENCES}"
        ).fetchall()
        sides.append({name: side for name, side in rows if name.startswith("old")})
    assert sides[0] == sides[1]
    assert set(sides[0].values()) == {c.TRAIN, c.VALIDATION, c.TEST}


def test_split_shares_are_70_20_10() -> None:
    """Prevents a hash that splits unevenly."""
    rows = duckdb.execute(
        f"SELECT side, count(*) FROM (SELECT {SplitRule(SALT).side()} AS side "
        f"FROM (SELECT id::VARCHAR AS {c.PLAYLIST_ID} FROM range(100000) t(id))) GROUP BY side"
    ).fetchall()
    shares = {side: count / 100_000 for side, count in rows}
    assert shares == pytest.approx({c.TRAIN: 0.7, c.VALIDATION: 0.2, c.TEST: 0.1}, abs=0.005)


def test_split_is_the_same_on_every_machine() -> None:
    """Prevents a new DuckDB or a refactoring from moving playlists to another side."""
    assert [side_of(f"playlist {i}", "recsys_assets") for i in range(12)] == [
        side_by_hand(f"playlist {i}", "recsys_assets") for i in range(12)
    ]


def side_by_hand(playlist: str, salt: str) -> str:
    """Work out the side with hashlib: the lower 64 bits of the MD5, little-endian."""
    import hashlib

    digest = hashlib.md5(f"{salt}|{playlist}".encode()).digest()
    bucket = int.from_bytes(digest[8:], "little") % 10_000
    return c.TRAIN if bucket < 7000 else c.VALIDATION if bucket < 9000 else c.TEST


def test_sample_takes_whole_playlists_of_every_side(tmp_path: Path) -> None:
    """Prevents a development sample that is not repeatable, or that follows the split's hash."""
    tracks = [("a", "A"), ("b", "A"), ("c", "A")]
    cleaned = write_cleaned(tmp_path / "c.parquet", {f"p{i}": tracks for i in range(1000)})
    counts = []
    for _ in range(2):
        connection = prepare(cleaned, sample_percent=20)
        counts.append(
            [
                connection.execute(f"SELECT count(*) FROM {t}").fetchall()[0][0]
                for t in SPLIT_OF_TABLE
            ]
        )
    assert counts[0] == counts[1]
    assert sum(counts[0]) == pytest.approx(200, abs=50)
    assert counts[0][0] == pytest.approx(0.7 * sum(counts[0]), abs=30)


def test_artist_playlists_collapse_runs(cleaned: Path) -> None:
    """Prevents an album played through from counting as an artist following itself."""
    connection = prepare(cleaned, salt=salt_that_trains("p1", "p2"))
    sequences = connection.execute(
        f"SELECT * FROM {c.PLAYLIST_SEQUENCES} ORDER BY {c.PLAYLIST_ID}"
    ).to_arrow_table()
    found = artist_playlists(sequences)
    assert found.items.tolist() == [0, 1, 0, 0]  # p1: X X Y X -> X Y X; p2: X X - -> X
    assert found.offsets.tolist() == [0, 3, 4]


def test_tables_become_the_models_types(cleaned: Path) -> None:
    """Prevents catalogues and playlists whose indices do not belong together."""
    connection = prepare(cleaned, salt=salt_that_trains("p1", "p2"))
    tracks = tracks_as_catalog(connection.table(c.TRACK_CATALOG).to_arrow_table())
    artists = artists_as_catalog(connection.table(c.ARTIST_CATALOG).to_arrow_table())
    playlists = track_playlists(
        connection.execute(f"FROM {c.PLAYLIST_SEQUENCES} ORDER BY {c.PLAYLIST_ID}").to_arrow_table()
    )
    assert [tracks.ids[i].as_py() for i in playlists.items] == ["a", "b", "c", "a", "b", "a", "d"]
    assert playlists.titles is not None
    assert playlists.titles.to_pylist() == ["name of p1", "name of p2"]
    assert artists.ids.to_pylist() == ["X", "Y", "Z"]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
def test_markdown_table_has_one_line_per_row(values: list[str]) -> None:
    """Prevents cells with pipes or line breaks from breaking the preview."""
    text = markdown_table(pa.table({"x": values}))
    assert all(line.count("|") - line.count("\\|") == 2 for line in text.split("\n"))
    assert len(text.split("\n")) == len(values) + 2
