"""Members: recommenders inside a recommender, for families that combine others.

The hyperparameter that lists them, fitting them, ranking with all of them at once, and their arrays
under prefixed names. Playlists held out inside training are `folds.py`; how the members' candidates
are combined belongs to the families `blend` and `two_stage`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recsys_assets.models.base import Hyperparameters, Recommender
from recsys_assets.models.parallel import map_blocks, query_blocks
from recsys_assets.models.pools import Pool, best_rows, merge
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.playlists import Catalog, Float32, Int32, PlaylistSet
from recsys_assets.progress import Progress

QUERY_BLOCK = 2048
"""Queries ranked by all members at a time: bounds the lists held in memory."""


class Member(BaseModel):
    """One recommender: its family and that family's hyperparameters, defaults filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = Field(description="A family of this package.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Hyperparameters of the family."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        # Late: the registry imports the families that have members.
        from recsys_assets.models.registry import FAMILIES  # noqa: PLC0415

        family = str(values.get("family"))
        if family not in FAMILIES:
            raise ValueError(f"no family {family!r}; allowed are {', '.join(FAMILIES)}")
        kind = FAMILIES[family].parameters_type
        try:
            filled = kind.model_validate(values.get("parameters") or {})
        except ValidationError as error:
            raise ValueError(
                "; ".join(
                    f"{family}, {'.'.join(map(str, one['loc']))}: found {one['input']!r}; {one['msg']}"
                    for one in error.errors()
                )
                + f"; {family} has {', '.join(kind.model_fields)}"
            ) from None
        return {**values, "parameters": filled.model_dump(mode="json")}


def default_members() -> list[Member]:
    """Return members of four kinds, which propose different candidates."""
    families = ("cooccurrence", "session_knn", "artist_tracks", "artist_knn")
    return [Member(family=family) for family in families]


class EnsembleParameters(Hyperparameters):
    """Hyperparameters of every family that combines others."""

    members: list[Member] = Field(
        min_length=1,
        max_length=30,
        description="The recommenders that propose candidates: a list of family and parameters.",
    )
    per_member: int = Field(
        default=300, ge=1, le=10_000, description="Candidates that each member proposes."
    )


class Ensemble(Recommender):
    """A recommender that combines members, all fitted on the same playlists."""

    parameters: EnsembleParameters
    _members: list[Recommender]

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Nearest items by the first member alone.

        Combining helps continuations; for single items it costs 25 (blend) to 100 times as much (48 s
        against 2 s for the 120,000 tracks of a 464,000-row sample).

        Returns
        -------
        neighbours : int32[len(items), k]
        scores : float32[len(items), k]
        """
        return self._members[0].similar(items, k, search)

    def neighbour_model(self) -> tuple[str, Hyperparameters]:
        """Return the first member's family and hyperparameters."""
        first = self._unfitted()[0]
        return first.family, first.parameters

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        """Return what all members take together, and a fold's playlists beside train."""
        members = sum(one._own_bytes(train, items) + 4 * items for one in self._unfitted())
        return members + 64 * len(train.items)

    def _fit_members(
        self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress
    ) -> list[Recommender]:
        """Return the members fitted on `train`."""
        return [
            member.fit(train, catalog, seed=seed, progress=progress) for member in self._unfitted()
        ]

    def _fitted_members(
        self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress
    ) -> list[Recommender]:
        """Return the members fitted on all of train, kept from an earlier fit where they are equal."""
        return self.kept.part(
            "members",
            (seed, self.parameters.members),
            lambda: self._fit_members(train, catalog, seed=seed, progress=progress),
        )

    def _unfitted(self) -> list[Recommender]:
        from recsys_assets.models.registry import build  # noqa: PLC0415  (see `Member`)

        return [build(one.family, one.parameters) for one in self.parameters.members]

    def _pool(
        self, members: list[Recommender], queries: PlaylistSet, proposed: int, scored: int = 0
    ) -> Pool:
        """Return the union of the members' `proposed` best for each query.

        Scores and ranks of a candidate are looked up in the `scored` best of every member, where
        that is more.
        """
        lists = _lists(members, queries, max(proposed, scored))
        return merge(*lists, self.size, proposed)

    def _best_of_pools(
        self,
        queries: PlaylistSet,
        k: int,
        proposed: int,
        scored: int,
        values: Callable[[PlaylistSet, Pool], Float32],
    ) -> tuple[Int32, Float32]:
        """Rank each query's pool by `values`, by threads for a few queries each.

        Parameters
        ----------
        values
            Given queries and their pool, the scores of its rows; those of one query do not depend
            on the others.
        """
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        for start in range(0, len(queries), QUERY_BLOCK):
            block = queries.slice(start, start + QUERY_BLOCK)
            lists = _lists(self._members, block, max(proposed, scored))

            def rank(
                part: tuple[int, int],
                start: int = start,
                block: PlaylistSet = block,
                lists: tuple[Int32, Float32] = lists,
            ) -> None:
                low, high = part
                pool = merge(*lists, self.size, proposed, low=low, high=high)
                rows = slice(start + low, start + high)
                items[rows], scores[rows] = best_rows(pool, values(block.slice(*part), pool), k)

            map_blocks(rank, query_blocks(len(block)))
        return items, scores

    def _member_arrays(self) -> dict[str, np.ndarray]:
        return {
            f"member{number}/{name}": array
            for number, member in enumerate(self._members)
            for name, array in member._arrays().items()
        }

    def _restore_members(self, arrays: dict[str, np.ndarray]) -> None:
        self._members = self._unfitted()
        for number, member in enumerate(self._members):
            prefix = f"member{number}/"
            member.size, member.popular = self.size, self.popular
            member._restore(
                {
                    name.removeprefix(prefix): array
                    for name, array in arrays.items()
                    if name.startswith(prefix)
                }
            )


def _lists(members: list[Recommender], queries: PlaylistSet, depth: int) -> tuple[Int32, Float32]:
    """Return the members' rankings, int32 and float32 [members, queries, depth]."""
    ranked = [member._rank(queries, depth) for member in members]
    return np.stack([items for items, _ in ranked]), np.stack([scores for _, scores in ranked])
