"""Parts kept from fit to fit: handed out for what they were made for, and for nothing else."""

import gc
import weakref

import numpy as np
import pytest

from recsys_assets.models.base import Recommender
from recsys_assets.models.blend import Blend
from recsys_assets.models.kept import Kept, KeptNothing
from recsys_assets.models.registry import build
from recsys_assets.models.two_stage import OF_TREES, TwoStage, TwoStageParameters
from recsys_assets_tests.models.blocks import block_catalog, block_playlists

SMALL = {
    "members": [{"family": "cooccurrence"}, {"family": "artist_tracks"}],
    "per_member": 12,
    "scored_per_member": 20,
    "rounds": 6,
    "leaf_rows": 5,
    "targets_per_playlist": 2,
}
OTHERS = {
    "objective": "binary",
    "rounds": 3,
    "learning_rate": 0.3,
    "leaves": 4,
    "leaf_rows": 30,
    "feature_share": 0.9,
    "row_share": 0.4,
    "l2": 60.0,
    "truncation": 1,
    "members": [{"family": "cooccurrence"}, {"family": "popularity"}],
    "per_member": 9,
    "scored_per_member": 13,
    "folds": 3,
    "training_playlists": 20,
    "targets_per_playlist": 3,
    "examples": 30,
    "negatives": 4,
}


class Part:
    """Something that memory is needed for."""


def test_a_part_is_made_once_for_its_key() -> None:
    """Prevents a part of another setting, a part made twice, and one name's part under another."""
    kept, made = Kept(), []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [kept.part("one", key, make) for key in ("a", "a", "b", "b", "a")] == [0, 0, 1, 1, 2]
    assert kept.part("two", "a", make) == 3
    assert kept.part("one", "a", make) == 2
    assert [KeptNothing().part("one", "a", make) for _ in range(2)] == [4, 5]


def test_the_last_part_is_let_go_before_the_next_is_made() -> None:
    """Prevents a search from holding two settings' members at once."""
    kept = Kept()
    first = weakref.ref(kept.part("one", 1, Part))

    def gone() -> bool:
        gc.collect()
        return first() is None

    assert kept.part("one", 2, gone)


def fitted(values: dict[str, object], kept: Kept | None = None, *, seed: int = 3) -> Recommender:
    """Fit a small two-stage model, or a blend where `values` are a blend's."""
    model = build("blend" if "combine" in values else "two_stage", values)
    if kept is not None:
        model.kept = kept
    return model.fit(block_playlists(), block_catalog(), seed=seed)


def same(one: Recommender, other: Recommender) -> bool:
    """Whether two models learned the same, to the bit."""
    ours, theirs = one._arrays(), other._arrays()
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


def test_every_hyperparameter_is_tried_here() -> None:
    """Prevents a hyperparameter of which nobody said whether it decides what is kept."""
    assert set(OTHERS) == set(TwoStageParameters.model_fields)
    assert set(OTHERS) >= OF_TREES


@pytest.mark.parametrize("field", OTHERS)
def test_two_stage_takes_over_only_what_would_be_made(field: str) -> None:
    """Prevents members or examples of another setting, and members fitted again for other trees."""
    kept = Kept()
    first = fitted(SMALL, kept)
    examples = kept._parts["examples"][1]
    changed = {**SMALL, field: OTHERS[field]}
    second = fitted(changed, kept)
    assert isinstance(first, TwoStage)
    assert isinstance(second, TwoStage)
    assert same(second, fitted(changed))
    assert (kept._parts["examples"][1] is examples) == (field in OF_TREES)
    assert (second._members is first._members) == (field != "members")


def test_trees_need_no_new_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a search of the trees that pays for the examples in every trial."""
    kept = Kept()
    fitted(SMALL, kept)
    monkeypatch.delattr(TwoStage, "_examples")
    for field in OF_TREES:
        fitted({**SMALL, field: OTHERS[field]}, kept)
    with pytest.raises(AttributeError, match="_examples"):
        fitted({**SMALL, "negatives": 4}, kept)
    with pytest.raises(AttributeError, match="_examples"):
        fitted(SMALL, kept, seed=4)


@pytest.mark.parametrize(
    ("field", "value", "members_again"),
    [
        ("combine", "rank", False),
        ("rank_constant", 1.0, False),
        ("per_member", 5, False),
        ("fit_playlists", 7, False),
        ("passes", 1, False),
        ("weights", [1.0, 0.2], False),
        ("held_out", 0.4, False),
        ("members", [{"family": "cooccurrence"}, {"family": "popularity"}], True),
    ],
)
def test_blend_takes_over_only_what_would_be_made(
    field: str, value: object, members_again: bool
) -> None:
    """Prevents weights fitted with members of another part of train."""
    plain = {"combine": "score", "members": SMALL["members"]}
    kept = Kept()
    first, changed = fitted(plain, kept), {**plain, field: value}
    second = fitted(changed, kept)
    assert isinstance(first, Blend)
    assert isinstance(second, Blend)
    assert same(second, fitted(changed))
    assert (second._members is first._members) != members_again
