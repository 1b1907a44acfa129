"""The temporal split: by time, complete, exact in size, repeatable, and refused without times."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets import columns as c
from recsys_assets.errors import DataError
from recsys_assets.preparation.catalog import artist_catalog_query, track_catalog_query
from recsys_assets.preparation.sequences import playlist_sequences_query
from recsys_assets.preparation.split import SplitRule
from recsys_assets.preparation.temporal import playlist_times, require_order
from recsys_assets_tests.conftest import write_cleaned

FIRST = datetime(2020, 1, 1)
ORDER = {c.TRAIN: 0, c.VALIDATION: 1, c.TEST: 2}


def sides_of(
    times: dict[str, int], rule: SplitRule, *, shuffled: bool = False
) -> dict[str, tuple[int, str]]:
    """Divide playlists given by id and hour; return hour and side of each."""
    rows = sorted(times.items(), reverse=shuffled)
    relation = pa.table(
        {
            c.PLAYLIST_ID: [name for name, _ in rows],
            c.STARTED_AT: [FIRST + timedelta(hours=hour) for _, hour in rows],
        }
    )
    with duckdb.connect() as connection:
        connection.register("playlists", relation)
        found = connection.execute(
            f"SELECT {c.PLAYLIST_ID}, {rule.side()} FROM playlists"
        ).fetchall()
    return {name: (times[name], side) for name, side in found}


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=4), st.integers(0, 20), min_size=1, max_size=60
    ),
    st.sampled_from([0.05, 0.2, 0.4, 1, 3]),
    st.sampled_from([0.1, 0.3, 1, 2]),
)
def test_train_is_before_validation_is_before_test(
    times: dict[str, int], validation: float, test: float
) -> None:
    """Prevents later playlists in train, sides of other sizes, and sides that hang on row order."""
    rule = SplitRule("salt", kind="temporal", validation_size=validation, test_size=test)
    found = sides_of(times, rule)
    assert set(found) == set(times)
    in_order = sorted(found.values(), key=lambda one: (ORDER[one[1]], one[0]))
    assert [hour for hour, _ in in_order] == sorted(times.values())
    counts = {side: sum(one == side for _, one in found.values()) for side in ORDER}
    wanted_test = min(test if test >= 1 else round(test * len(times)), len(times))
    assert abs(counts[c.TEST] - wanted_test) <= (0 if test >= 1 else 1)
    if validation >= 1 and validation + counts[c.TEST] <= len(times):
        assert counts[c.VALIDATION] == validation
    assert sides_of(times, rule, shuffled=True) == found


def test_ties_are_broken_by_the_salted_hash() -> None:
    """Prevents playlists of one moment from being divided by their names."""
    times = {f"p{i:03}": 0 for i in range(300)}
    one, other = (
        {name for name, (_, side) in sides_of(times, rule).items() if side == c.TEST}
        for rule in (SplitRule("a", kind="temporal"), SplitRule("b", kind="temporal"))
    )
    assert len(one) == len(other) == 30
    assert one != other
    assert len(one & set(sorted(times)[-30:])) < 15


def test_ids_as_order_are_numbers() -> None:
    """Prevents '10' from being taken for earlier than '9'."""
    times = {str(number): 0 for number in range(20)}
    rule = SplitRule("a", kind="temporal", time="playlist_id")
    found = sides_of(times, rule)
    assert {name for name, (_, side) in found.items() if side == c.TEST} == {"18", "19"}
    assert {name for name, (_, side) in found.items() if side == c.VALIDATION} == {
        "14", "15", "16", "17",
    }  # fmt: skip


def timed_cleaned(path: Path, hours: dict[str, int | None], tracks: int = 3) -> Path:
    """Write cleaned playlists that begin at these hours; each has a track of its own."""
    return write_cleaned(
        path,
        {
            name: [(f"only {name}", "A"), *((f"t{i}", "B") for i in range(tracks - 1))]
            for name in hours
        },
        {
            name: None if hour is None else FIRST + timedelta(hours=hour)
            for name, hour in hours.items()
        },
    )


@pytest.mark.parametrize("sample_percent", [100, 50])
def test_catalogue_and_sequences_agree(tmp_path: Path, sample_percent: float) -> None:
    """Prevents an index that is ordered by other training playlists than those of the split."""
    cleaned = timed_cleaned(tmp_path / "c.parquet", {f"p{i}": 7 * i % 50 for i in range(50)})
    rule = SplitRule("salt", sample_percent, kind="temporal")
    with duckdb.connect() as connection:
        for table, query in {
            c.ARTIST_CATALOG: artist_catalog_query(cleaned, rule),
            c.TRACK_CATALOG: track_catalog_query(cleaned, rule),
            c.PLAYLIST_SEQUENCES: playlist_sequences_query(cleaned, rule),
        }.items():
            query.create(connection, table)
        rows = connection.execute(
            f"SELECT {c.PLAYLIST_ID}, {c.STARTED_AT}, {c.SPLIT} FROM {c.PLAYLIST_SEQUENCES}"
        ).fetchall()
        counted = dict(
            connection.execute(
                f"SELECT {c.TRACK_ID}, {c.TRAIN_PLAYLIST_COUNT} FROM {c.TRACK_CATALOG}"
            ).fetchall()
        )
    train = {name for name, _, side in rows if side == c.TRAIN}
    assert len(train) == len(rows) - round(0.2 * len(rows)) - round(0.1 * len(rows))
    assert {name for name in counted if name.startswith("only") and counted[name]} == {
        f"only {name}" for name in train
    }
    assert counted["t0"] == len(train)
    assert max(at for name, at, side in rows if side == c.TRAIN) <= min(
        at for name, at, side in rows if side != c.TRAIN
    )


def test_missing_times_are_named(tmp_path: Path) -> None:
    """Prevents playlists without a time from landing in test in silence."""
    cleaned = timed_cleaned(tmp_path / "c.parquet", {"a": 1, "b": None, "d": None, "e": 2})
    rule = SplitRule("salt", kind="temporal")
    with pytest.raises(DataError, match=r"source: .*2 of 4 have none, for example 'b'"):
        require_order(cleaned, rule, source="source")
    require_order(cleaned, SplitRule("salt"), source="source")
    with pytest.raises(DataError, match="4 of 4 are not, for example 'a'"):
        require_order(cleaned, SplitRule("s", kind="temporal", time="playlist_id"), source="source")


def test_short_playlists_need_no_time(tmp_path: Path) -> None:
    """Prevents playlists that are not used from stopping the run."""
    cleaned = timed_cleaned(tmp_path / "c.parquet", {"a": None, "b": None}, tracks=2)
    with pytest.raises(DataError, match="0 playlists leave none"):
        require_order(cleaned, SplitRule("salt", kind="temporal"), source="source")


def test_nothing_left_to_train_on(tmp_path: Path) -> None:
    """Prevents a split whose train is empty from failing later, and unclearly."""
    cleaned = timed_cleaned(tmp_path / "c.parquet", {str(i): i for i in range(10)})
    rule = SplitRule("salt", kind="temporal", validation_size=8, test_size=2)
    with pytest.raises(DataError, match="10 playlists leave none to train on beside 8"):
        require_order(cleaned, rule, source="source")
    require_order(cleaned, SplitRule("s", kind="temporal", validation_size=8), source="source")


def test_times_as_numbers() -> None:
    """Prevents a unit of time that hangs on how DuckDB hands the column over."""
    table = pa.table(
        {
            c.PLAYLIST_ID: ["7", "12"],
            c.STARTED_AT: pa.array([FIRST, FIRST + timedelta(seconds=1)], pa.timestamp("ms")),
        }
    )
    by_time = playlist_times(table, SplitRule("s", kind="temporal"))
    assert (by_time[1] - by_time[0], by_time[0]) == (1_000_000, 1_577_836_800_000_000)
    assert playlist_times(table, SplitRule("s", kind="temporal", time="playlist_id")).tolist() == [
        7,
        12,
    ]
