"""The blend's sum, its weights, and the members that it is given."""

import numpy as np
import pytest
from pydantic import ValidationError

from recsys_assets.models.blend import Blend, BlendParameters, _target_ranks
from recsys_assets.models.pools import merge
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import SIZE, block_playlists, fitted

NEXT = {
    "window": 1,
    "backward": 0.0,
    "query_items": 1,
    "length_exponent": 0.0,
    "query_discount": 0.0,
    "popularity_discount": 0.0,
}
AFTER, BEFORE = (
    {"family": "cooccurrence", "parameters": NEXT},
    {"family": "cooccurrence", "parameters": {**NEXT, "window": 2, "distance_exponent": 0.0}},
)
TRAIN = PlaylistSet.from_lists([[0, 1, 2], [0, 1, 3], [0, 2, 3]])


def test_sum_by_hand() -> None:
    """Prevents scores that are not over the member's best, and weights in the wrong order."""
    # After 0 stand 1 (twice) and 2 (once); within two 2 three times less: 1: 2, 2: 2, 3: 2.
    model = fitted("blend", TRAIN, 4, members=[AFTER, BEFORE], weights=[1.0, 0.5])
    items, scores = model.recommend(PlaylistSet.from_lists([[0]]), 3)
    assert items.tolist() == [[1, 2, 3]]
    assert scores.tolist() == [[1.5, 1.0, 0.5]]


def test_reciprocal_ranks_by_hand() -> None:
    """Prevents ranks counted from 0."""
    model = fitted(
        "blend", TRAIN, 4, members=[AFTER, BEFORE], weights=[1, 1], combine="rank", rank_constant=1
    )
    _, scores = model.recommend(PlaylistSet.from_lists([[0]]), 3)
    assert scores[0] == pytest.approx([1 / 2 + 1 / 2, 1 / 3 + 1 / 3, 1 / 4])


def test_fitted_weights_leave_out_noise() -> None:
    """Prevents a search that keeps a member whose proposals are never right."""
    train = block_playlists()
    model = Blend(
        BlendParameters.model_validate(
            {"members": [{"family": "cooccurrence"}, {"family": "word2vec"}], "per_member": 10}
        )
    )
    size = 10 * SIZE
    noise, useful = np.random.default_rng(0), fitted("cooccurrence", train, size)

    class Noise:
        def _rank(self, queries: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray]:
            items = np.stack([noise.permutation(size)[:k] for _ in range(len(queries))])
            return items.astype(np.int32), np.ones((len(queries), k), np.float32)

    model.size = size
    model._fit_members = lambda *_, **__: [Noise(), useful]  # type: ignore[method-assign]
    weights = model._fitted_weights(train, Catalog.anonymous(size), seed=1, progress=print)
    assert weights[1] == 1.0
    assert weights[0] < 0.5


def test_weights_are_fitted_on_so_many_playlists() -> None:
    """Prevents a fit that ranks a fifth of train with every member, however large train is."""
    train, size = block_playlists(), SIZE
    parameters = {"members": [{"family": "cooccurrence"}] * 2, "fit_playlists": 7}
    model = Blend(BlendParameters.model_validate(parameters))
    one, ranked = fitted("cooccurrence", train, size), []

    class Counted:
        def _rank(self, queries: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray]:
            ranked.append(len(queries))
            return one._rank(queries, k)

    model.size = size
    model._fit_members = lambda *_, **__: [Counted(), Counted()]  # type: ignore[method-assign]
    model._fitted_weights(train, Catalog.anonymous(size), seed=1, progress=print)
    assert ranked == [7, 7]


def test_target_ranks_by_hand() -> None:
    """Prevents a search on places that the served order does not have."""
    items = np.array([[[5, 3, 8], [1, 2, MISSING]]], np.int32)
    pool = merge(items, np.ones((1, 2, 3), np.float32), 10, 3)
    hit = np.array([True, False, False, False, True])
    values = np.array([1, 1, 2, 7, 6], np.float32)
    assert _target_ranks(pool, values, hit).tolist() == [3, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"members": [{"family": "coocurrence"}]}, "no family 'coocurrence'; allowed are"),
        (
            {"members": [{"family": "cooccurrence", "parameters": {"window": 0}}]},
            "cooccurrence, window: found 0",
        ),
        ({"weights": [1.0]}, "expected 4 numbers"),
        ({"weights": [0.0, 0.0]}, "not all 0"),
    ],
)
def test_wrong_members_are_refused(parameters: dict[str, object], message: str) -> None:
    """Prevents a typing error from surfacing hours later, in the fit."""
    with pytest.raises(ValidationError, match=message):
        BlendParameters.model_validate(parameters)
