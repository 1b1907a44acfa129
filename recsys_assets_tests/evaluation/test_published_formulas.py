"""Metrics against the formulas that RecTools documents, worked out by pandas joins on random input.

RecTools ranks recommendations in a long table (user, item, rank) and joins it with the targets; nothing
is shared with our array code. `ranx` 0.3.21 gave the same six accuracy figures on such input (400
queries of 100 items, equal to the last digit); its nine packages and 27 s of compiling stay out.
"""

import numpy as np
import pandas as pd
import pytest

from recsys_assets.evaluation import metrics as m
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet

SIZE, QUERIES, DEPTH = 250, 120, 100


@pytest.fixture(scope="module", params=range(3))
def drawn(request: pytest.FixtureRequest) -> tuple:
    """Random lists of falling density, targets half of which are in them, queries, artists, plays."""
    rng = np.random.default_rng(request.param)
    items = np.array([rng.permutation(SIZE)[:DEPTH] for _ in range(QUERIES)], np.int32)
    items[np.arange(QUERIES) % 7 == 0, 13:] = MISSING
    items[np.arange(QUERIES) % 31 == 0] = MISSING
    placed = items[np.arange(QUERIES), (rng.random(QUERIES) ** 2 * DEPTH).astype(int)]
    random = rng.integers(MISSING, SIZE, QUERIES).astype(np.int32)
    targets = np.where(rng.random(QUERIES) < 0.5, placed, random)
    lists = [rng.integers(0, SIZE, rng.integers(0, 9)).tolist() for _ in range(QUERIES)]
    artists = rng.integers(MISSING, 30, SIZE).astype(np.int32)
    plays = rng.integers(0, 9, SIZE)
    return items, targets, PlaylistSet.from_lists(lists), artists, plays


def long_table(items: np.ndarray) -> pd.DataFrame:
    """Return recommendations as rows of user, item and rank from 1."""
    table = pd.DataFrame(
        {
            "user": np.repeat(np.arange(len(items)), items.shape[1]),
            "item": items.ravel(),
            "rank": np.tile(np.arange(1, items.shape[1] + 1), len(items)),
        }
    )
    return table[table["item"] != MISSING]


def per_user(values: pd.Series) -> np.ndarray:
    """Return a value for every user, 0 for those without any row."""
    return values.reindex(range(QUERIES), fill_value=0).to_numpy(float)


def ours(drawn: tuple) -> dict[str, np.ndarray]:
    """Return this project's values for every query."""
    items, targets, queries, artists, plays = drawn
    names = Catalog.anonymous(SIZE)
    catalog = Catalog(names.ids, names.names, artists)
    return m.per_playlist(items, m.target_ranks(items, targets), targets, queries, catalog, plays)


def test_accuracy(drawn: tuple) -> None:
    """Prevents a hit rate, reciprocal rank or gain that other people's code would not give."""
    items, targets, *_ = drawn
    wanted = pd.DataFrame({"user": np.arange(QUERIES), "item": targets})
    found = ours(drawn)
    merged = long_table(items).merge(wanted, on=["user", "item"])
    assert 20 < len(merged) < QUERIES
    for k in m.CUTOFFS:
        hits = merged[merged["rank"] <= k].groupby("user").size().clip(upper=1)
        assert found[f"hit_rate_{k}"] == pytest.approx(per_user(hits))
    near = merged[merged["rank"] <= 20].set_index("user")["rank"]
    assert found[m.MRR_20] == pytest.approx(per_user(1 / near))
    # RecTools divides by the gain of 20 relevant items; of a single one the ideal gain is 1.
    of_twenty = (1 / np.log2(np.arange(2, 22))).sum()
    rectools = per_user((1 / np.log2(near + 1)) / of_twenty)
    assert found[m.NDCG_20] == pytest.approx(rectools * of_twenty)


def test_novelty_diversity_and_own_artists(drawn: tuple) -> None:
    """Prevents list metrics that differ from mean self-information and mean pairwise distance."""
    items, _, queries, artists, plays = drawn
    found = ours(drawn)
    shown = long_table(items).query("rank <= 20").copy()
    shown["bits"] = -np.log2(pd.Series(plays).replace(0, 1)[shown["item"]].to_numpy() / plays.sum())
    assert found[m.NOVELTY_20] == pytest.approx(per_user(shown.groupby("user")["bits"].mean()))

    shown["artist"] = artists[shown["item"]]
    pairs = shown.merge(shown, on="user", suffixes=("", "_2")).query("rank < rank_2")
    apart = (pairs["artist"] != pairs["artist_2"]) | (pairs["artist"] == MISSING)
    assert found[m.DIVERSITY_20] == pytest.approx(per_user(apart.groupby(pairs["user"]).mean()))

    asked = pd.DataFrame(
        {"user": np.repeat(np.arange(QUERIES), queries.lengths), "artist": artists[queries.items]}
    ).drop_duplicates()
    own = shown.merge(asked[asked["artist"] != MISSING], on=["user", "artist"]).groupby("user")
    share = (own.size() / shown.groupby("user").size()).fillna(0)
    assert found[m.OWN_ARTIST_SHARE_20] == pytest.approx(per_user(share))
