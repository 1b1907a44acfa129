"""What of a candidate depends on its whole pool: by hand, and before negatives are drawn."""

import numpy as np
import pytest

from recsys_assets.models.pools import Pool
from recsys_assets.models.two_stage import TwoStage, TwoStageParameters
from recsys_assets.models.two_stage_context import CONTEXT, context
from recsys_assets.models.two_stage_features import FeatureIndex
from recsys_assets.models.two_stage_proposals import TOGETHER
from recsys_assets.playlists import MISSING, Catalog, Float32, PlaylistSet
from recsys_assets_tests.models.blocks import PARAMETERS, SIZE, block_playlists

ARTISTS = np.array([0, 0, 1, MISSING], np.int32)


def test_context_by_hand() -> None:
    """Prevents places counted over another query's or artist's candidates, and ties told apart."""
    # Artists: 0 of items 0 and 1, 1 of item 2, none of item 3. The second query has no candidate.
    ranks = np.array([[2, 0], [0, 4], [4, 0], [1, 1], [1, 0], [9, 9]], np.int32)
    items = np.array([3, 0, 1, 2, 0, 2], np.int32)
    said, best = np.ones((6, 2), np.float32), np.ones((3, 2), np.float32)
    pool = Pool(np.array([0, 4, 4, 6]), items, said, ranks, best)
    columns = dict(zip(CONTEXT, context(pool, ARTISTS).T, strict=True))
    fused = np.array([1 / 62, 1 / 64, 1 / 64, 2 / 61, 1 / 61, 2 / 69])
    sharp = np.array([1 / 12, 1 / 14, 1 / 14, 2 / 11, 1 / 11, 2 / 19])
    assert columns["fusion"] == pytest.approx(fused)
    assert columns["sharp_fusion"] == pytest.approx(sharp)
    of_best = fused / fused[[3, 3, 3, 3, 5, 5]]
    assert columns["fusion_of_best"] == pytest.approx(of_best)
    assert columns["fusion_place"] == pytest.approx(np.log2([2, 3, 3, 1, 2, 1]))
    assert columns["sharp_place"] == pytest.approx(np.log2([2, 3, 3, 1, 2, 1]))
    assert columns["pool_size"] == pytest.approx(np.log([4, 4, 4, 4, 2, 2]))
    mass, second = sharp[:4].sum(), sharp[4:].sum()
    assert columns["artist_mass"] == pytest.approx(
        [0, 2 / 14 / mass, 2 / 14 / mass, sharp[3] / mass, sharp[4] / second, sharp[5] / second]
    )
    assert columns["artist_best"] == pytest.approx([0, *of_best[1:]])
    assert columns["artist_place"].tolist() == [0, 0, 0, 0, 0, 0]  # 0 and 1 are tied
    assert columns["artist_candidates"] == pytest.approx([0, *np.log([3, 3, 2, 2, 2])])
    ranks[1] = 3
    again = context(pool, ARTISTS)
    assert again[:, CONTEXT.index("artist_place")].tolist() == [0, 0, 1, 0, 0, 0]
    nothing = Pool(np.zeros(2, np.int64), items[:0], said[:0], ranks[:0], best[:1])
    assert context(nothing, ARTISTS).shape == (0, len(CONTEXT))


def test_context_is_of_the_whole_pool() -> None:
    """Prevents a candidate's place among the few drawn negatives from being learned as its place."""
    sizes: list[float] = []

    class Spy(TwoStage):
        def _features(self, index: FeatureIndex, queries: PlaylistSet, pool: Pool, among: Float32):
            rows = super()._features(index, queries, pool, among)
            place = len(self.parameters.members) * 3 + len(TOGETHER) + CONTEXT.index("pool_size")
            sizes.extend(np.exp(rows[:, place]).tolist())
            assert len(rows) == 0 or np.diff(pool.offsets).max() <= 3
            return rows

    parameters = {**PARAMETERS["two_stage"], "negatives": 2}
    Spy(TwoStageParameters.model_validate(parameters)).fit(
        block_playlists(), Catalog.anonymous(SIZE), seed=1
    )
    assert min(sizes) > 3
