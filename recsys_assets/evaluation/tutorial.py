"""One metric under the exact rules of the tutorial that this project replaces.

The query is the last track only; if the model does not know it, a random known track is used in its
place; the nearest 100 of that single track are the answer and nothing else is filtered. Only for
comparison with the tutorial's own figures: everything else uses `protocol.py`'s rules.
"""

import numpy as np

from recsys_assets.evaluation.ranking import Ranker, evaluate_ranking
from recsys_assets.playlists import MISSING, Float64, Int32, PlaylistSet
from recsys_assets.progress import Progress, silent


def tutorial_hits(
    model: Ranker,
    queries: PlaylistSet,
    targets: Int32,
    *,
    seed: int,
    progress: Progress = silent,
) -> Float64:
    """Return float64[n] of 0 and 1: is the target among the nearest 100 of the last track?"""
    last = np.full(len(queries), MISSING, np.int32)
    has_items = queries.lengths > 0
    last[has_items] = queries.items[queries.offsets[1:][has_items] - 1]
    known = model.known_items()
    cold = (last == MISSING) | ~known[last]
    bets = np.flatnonzero(known).astype(np.int32)
    last[cold] = np.random.default_rng(seed).choice(bets, size=int(cold.sum()))
    singles = PlaylistSet(np.arange(len(queries) + 1, dtype=np.int64), last)
    ranked = evaluate_ranking(model, singles, targets, progress=progress)
    return (ranked.target_ranks > 0).astype(np.float64)
