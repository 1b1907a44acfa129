"""Popular tracks of the query's artists, by hand."""

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import fitted

IDS = pa.array([str(i) for i in range(7)], pa.string())
CATALOG = Catalog(IDS, IDS, np.array([0, 0, 0, 1, 1, MISSING, 1], np.int32))
# Plays: 0 once, 1 four times, 2 twice, 3 once, 4 three times, 5 once; 6 never.
TRAIN = PlaylistSet.from_lists([[0, 1, 1, 2, 4], [1, 4, 5], [1, 2, 3, 4]])


def ranked(query: list[int], **parameters: object) -> tuple[list[int], list[float]]:
    """Return what the family itself says, without completion."""
    plain = {"recency_exponent": 1, "plays_power": 1, "share_power": 0, **parameters}
    model = fitted("artist_tracks", TRAIN, 7, catalog=CATALOG, **plain)
    items, scores = model._rank(PlaylistSet.from_lists([query]), 4)
    known = items[0] != MISSING
    return items[0][known].tolist(), scores[0][known].tolist()


@pytest.mark.parametrize(
    ("query", "parameters", "items", "scores"),
    [
        ([0], {}, [1, 2], [4, 2]),
        ([0], {"plays_power": 2}, [1, 2], [16, 4]),
        # Track 6 of this artist was never played.
        ([3], {"plays_power": 0}, [4], [1]),
        # Artist 0 has 7 plays.
        ([0], {"share_power": 1}, [1, 2], [4 / 7, 2 / 7]),
        # Artist 1 is the latest (weight 1), artist 0 the one before (1/2).
        ([0, 3], {}, [4, 1, 2], [3, 2, 1]),
        ([0, 3], {"recency_exponent": 0}, [1, 4, 2], [4, 3, 2]),
        # Two tracks of artist 0, at places 2 and 3: 1/2 + 1/3.
        ([0, 2, 3], {}, [1, 4], [10 / 3, 3]),
        # A track without an artist, one that training never saw, and an unknown one.
        ([5], {}, [], []),
        ([6], {}, [4, 3], [3, 1]),
        ([0, MISSING], {}, [1, 2], [2, 1]),
    ],
)
def test_formula(
    query: list[int], parameters: dict[str, object], items: list[int], scores: list[float]
) -> None:
    """Prevents tracks of other artists, of no plays, or a weight that does nothing."""
    found, found_scores = ranked(query, **parameters)
    assert found == items
    assert found_scores == pytest.approx(scores)
