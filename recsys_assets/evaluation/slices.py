"""Slices: for which playlists a model is good, by target popularity, query length and answer tier.

Gives names and masks; measuring is in `protocol.py`.
"""

from collections.abc import Iterator

import numpy as np

from recsys_assets.models.tiers import TIERS
from recsys_assets.playlists import MISSING, Bool, Int8, Int32, Int64, PlaylistSet

TARGET_PLAYS = ((1, 4), (5, 19), (20, 99), (100, None))
QUERY_LENGTHS = ((1, 4), (5, 9), (10, 24), (25, 49), (50, 99), (100, None))
UNSEEN = "target_plays_unseen"


def slices(
    queries: PlaylistSet, targets: Int32, training_counts: Int64, tiers: Int8 | None = None
) -> Iterator[tuple[str, Bool]]:
    """Yield the name and the bool[n] mask of every slice that holds at least one playlist.

    The slices by target plays in training hold every playlist once, and so do those by query length
    (queries are not empty) and those by tier.

    Parameters
    ----------
    queries, targets
        n playlists and int32[n].
    training_counts
        int64[catalogue]: plays of every item in training.
    tiers
        int8[n]: what each query was answered from, where the model tells it.
    """
    plays = np.where(targets == MISSING, 0, training_counts[targets])
    if (plays == 0).any():
        yield UNSEEN, plays == 0
    for prefix, values, bounds in (
        ("target_plays", plays, TARGET_PLAYS),
        ("query_length", queries.lengths, QUERY_LENGTHS),
    ):
        for low, high in bounds:
            mask = (values >= low) & (values <= (np.inf if high is None else high))
            if mask.any():
                yield f"{prefix}_{low}_{'or_more' if high is None else f'to_{high}'}", mask
    for tier, name in enumerate(TIERS):
        if tiers is not None and (tiers == tier).any():
            yield f"tier_{name}", tiers == tier
