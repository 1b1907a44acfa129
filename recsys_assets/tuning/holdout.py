"""The inner hold-out: a part of the training playlists on which settings are compared.

A search that looked at validation would choose for it, and its figures there would flatter. So trials
learn from one part of train and are measured on the last tracks of the other. Nothing here knows of
validation or test.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.models.folds import FoldNumbers
from recsys_assets.playlists import Catalog, PlaylistSet

HELD_OUT_SHARE = 0.2
MOST_HELD_OUT = 10_000
"""Enough for a standard error below half a point; more would only make each trial slower."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """The two parts of train: `learn` is fitted on, `judge` is measured on."""

    learn: PlaylistSet
    judge: PlaylistSet


def hold_out(train: PlaylistSet, *, seed: int, newest: bool = False) -> Holdout:
    """Split the training playlists, each part in train's order.

    A fifth, at most 10,000, of the playlists with two or more tracks are held out.

    Parameters
    ----------
    train
        n training playlists.
    seed
        Decides which are held out, the same for every trial of a search.
    newest
        Hold out the last ones instead, as a temporal split does: `train` is in order of time.

    Raises
    ------
    DataError
        If either part would be empty.
    """
    usable = np.flatnonzero(train.lengths >= 2)
    count = min(int(len(usable) * HELD_OUT_SHARE), MOST_HELD_OUT)
    if count == 0:
        raise DataError(
            f"a search needs at least {round(1 / HELD_OUT_SHARE)} training playlists of two or more "
            f"tracks, to hold a fifth of them out, found {len(usable)}; use more data or a larger "
            "sample_percent"
        )
    order = usable if newest else np.random.default_rng(seed).permutation(usable)
    held = np.zeros(len(train), bool)
    held[order[-count:]] = True
    return Holdout(train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held)))


def renumbered(holdout: Holdout, catalog: Catalog, *, seed: int) -> tuple[Holdout, Catalog]:
    """Number items as if the judged playlists did not exist (see `FoldNumbers`).

    Train's own numbers tell which items of a tie the judged playlists hold too.
    """
    numbers = FoldNumbers.of(holdout.learn, len(catalog), np.random.default_rng(seed))
    parts = Holdout(numbers.playlists(holdout.learn), numbers.playlists(holdout.judge))
    return parts, numbers.catalog(catalog)
