"""Features of a candidate by what the members say of it: shares, scores and ranks, and all together.

Its place among the other candidates of its query is `two_stage_context.py`'s; which members there are,
and the pools of what they propose, `members.py` and `pools.py`. The kernel is in
`two_stage_pool_kernels.py`.
"""

import numpy as np

from recsys_assets.models.pools import Pool
from recsys_assets.models.topk import readonly
from recsys_assets.models.two_stage_pool_kernels import fill_proposals
from recsys_assets.playlists import Float32

OF_MEMBER = ("relative", "score", "rank")
"""Once for each member: score over its best, score, log2 of the rank."""
TOGETHER = (
    "proposing_members",
    "best_rank",
    "mean_rank",
    "mean_relative",
    "most_relative",
)
"""Of all members together."""


def width(members: int) -> int:
    """Return the number of these features."""
    return len(OF_MEMBER) * members + len(TOGETHER)


def add_proposals(rows: Float32, pool: Pool, *, proposed: int, depth: int) -> None:
    """Fill the first columns of ``float32[rows, features]``.

    Parameters
    ----------
    proposed
        Ranks up to this one are proposals.
    depth
        Length of the members' lists; what is beyond counts as rank ``2 * depth``.
    """
    logarithms = np.log2(np.concatenate([[2 * depth], np.arange(1, depth + 1)])).astype(np.float32)
    fill_proposals(
        readonly(pool.offsets), readonly(pool.relative), readonly(pool.ranks), readonly(pool.best),
        proposed, logarithms, rows,
    )  # fmt: skip
