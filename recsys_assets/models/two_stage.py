"""Two stages: members propose candidates, boosted trees re-rank them.

Cross-fitted examples inside the training playlists, the ranker's fit, and ranking. Members stand in
`members.py`, folds in `folds.py`, pools in `pools.py`, features in `two_stage_proposals.py`,
`two_stage_context.py`, `two_stage_features.py` and `two_stage_latest.py`, trees in
`two_stage_ranker.py`.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from recsys_assets.errors import OtherVersionError
from recsys_assets.models.folds import FoldNumbers, folds_of, truncated
from recsys_assets.models.members import (
    QUERY_BLOCK,
    Ensemble,
    EnsembleParameters,
    Member,
    default_members,
)
from recsys_assets.models.parallel import map_blocks, query_blocks
from recsys_assets.models.pools import Pool
from recsys_assets.models.topk import check_queries
from recsys_assets.models.two_stage_context import CONTEXT, RANK_CONSTANT, context, fusion
from recsys_assets.models.two_stage_features import FIXED, FeatureIndex
from recsys_assets.models.two_stage_kernels import MOST_WINDOWS
from recsys_assets.models.two_stage_latest import ALL_FEATURES, LatestIndex
from recsys_assets.models.two_stage_proposals import (
    OF_MEMBER,
    TOGETHER,
    add_proposals,
    width,
)
from recsys_assets.models.two_stage_ranker import Trees, fit_trees
from recsys_assets.models.two_stage_songs import song_numbers
from recsys_assets.playlists import Bool, Catalog, Float32, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress

COLUMNS = (*OF_MEMBER, *TOGETHER, *CONTEXT, *ALL_FEATURES, f"{MOST_WINDOWS} windows")
"""What a row holds, in order, the first three once for each member; at last, counted in how many."""
OF_TREES = frozenset(
    (
        "objective",
        "rounds",
        "learning_rate",
        "leaves",
        "leaf_rows",
        "feature_share",
        "row_share",
        "l2",
        "truncation",
    )
)
"""Hyperparameters of the trees: members and examples are the same whatever they are."""
SHORTEST_SHARE = 3
"""An earlier target stands in the last two thirds of its playlist, where queries have some length."""


class TwoStageParameters(EnsembleParameters):
    """Hyperparameters of candidate generation and re-ranking."""

    members: list[Member] = Field(
        default_factory=default_members,
        min_length=1,
        max_length=30,
        description="The recommenders that propose candidates: a list of family and parameters.",
    )
    scored_per_member: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="Depth in each member's list at which a candidate's score and rank are looked up.",
    )
    folds: int = Field(
        default=5, ge=2, le=50, description="Folds of train; each is proposed for by the others."
    )
    training_playlists: int = Field(
        default=20_000, ge=1, le=1_000_000, description="Most playlists that give examples."
    )
    targets_per_playlist: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Examples of a playlist: its last track, and earlier ones.",
    )
    examples: int = Field(
        default=40_000,
        ge=1,
        le=10_000_000,
        description="Most examples of all playlists together, drawn at random: the bound of time.",
    )
    negatives: int = Field(
        default=150, ge=1, le=10_000, description="Other candidates kept of each example."
    )
    objective: Literal["lambdarank", "binary", "both"] = Field(
        default="lambdarank",
        description="What the trees learn: LambdaRank, the logistic loss, or the sum of two forests.",
    )
    rounds: int = Field(default=200, ge=1, le=10_000, description="Trees.")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Weight of each tree.")
    leaves: int = Field(default=31, ge=2, le=1024, description="Leaves of a tree at most.")
    leaf_rows: int = Field(default=100, ge=1, le=100_000, description="Rows of a leaf at least.")
    feature_share: float = Field(
        default=0.4, gt=0, le=1, description="Share of the features that each tree may use."
    )
    row_share: float = Field(
        default=0.7, gt=0, le=1, description="Share of the rows that each tree sees."
    )
    l2: float = Field(default=5.0, ge=0, le=1000, description="Penalty on leaf values.")
    truncation: int = Field(
        default=150, ge=1, le=10_000, description="Places that LambdaRank tries to get right."
    )


class TwoStage(Ensemble):
    """Members propose candidates; trees learned on cross-fitted examples of train re-rank them.

    Covington, Adams & Sargin, Deep neural networks for YouTube recommendations (RecSys 2016), with
    boosted trees as in the two-stage models of the RecSys Challenge 2018 (Volkovs et al., Two-stage
    model for automatic playlist continuation at scale). Members fitted on all folds but one propose
    for that one's playlists, cut short before their last track and before random earlier ones; what
    the trees see is so as honest as what they will serve. Members are then refitted on all of train.
    Where no example has its target among the candidates, candidates keep the order of reciprocal
    rank fusion, and the log says so.
    """

    family: ClassVar[str] = "two_stage"
    parameters_type: ClassVar[type[EnsembleParameters]] = TwoStageParameters
    parameters: TwoStageParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        self._artists, self._albums = catalog.artist_index, catalog.album_index
        self._songs = song_numbers(catalog)
        others = self.parameters.model_dump(exclude=set(OF_TREES))
        rows, labels, sizes = self.kept.part(
            "examples",
            (seed, others),
            lambda: self._examples(train, catalog, seed=seed, progress=progress),
        )
        if len(sizes):
            progress(f"ranker: {len(sizes):,} examples, {len(rows):,} candidates")
            self._trees = self._fitted_trees(rows, labels, sizes, seed=seed)
        else:
            progress("ranker: no example has its target among the candidates: fusion of ranks")
            self._trees = Trees.none()
        del rows
        self._members = self._fitted_members(train, catalog, seed=seed, progress=progress)
        self._index = self.kept.part(
            "index", None, lambda: self._indexed(train, np.arange(self.size))
        )

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        p, members = self.parameters, len(self.parameters.members)
        columns = width(members) + len(CONTEXT) + len(ALL_FEATURES)
        cuts = min(p.training_playlists, len(train)) * p.targets_per_playlist
        examples = min(cuts, p.examples)
        # Rows twice while they are put together, and LightGBM's bins.
        learned = examples * (1 + p.negatives) * 9 * columns
        # A thread has a quarter of its share of the block's rows at a time (`query_blocks`).
        rows = p.per_member * (8 * members + 2 * columns)
        ranked = QUERY_BLOCK * members * (16 * self._depth() + rows)
        # 30 bytes of each play stay; while the index is made it takes 80.
        index = 80 * len(train.items) + (4 * len(FIXED) + 16) * items
        return super()._own_bytes(train, items) + index + max(learned, ranked)

    def _fitted_trees(self, rows: Float32, labels: Int32, sizes: Int64, *, seed: int) -> Trees:
        p = self.parameters
        parameters: dict[str, Any] = {
            "lambdarank_truncation_level": p.truncation,
            "learning_rate": p.learning_rate,
            "num_leaves": p.leaves,
            "min_data_in_leaf": p.leaf_rows,
            "feature_fraction": p.feature_share,
            "bagging_fraction": p.row_share,
            "bagging_freq": 1,
            "lambda_l2": p.l2,
            "max_bin": 127,
            "seed": seed,
        }
        trees = Trees.none()
        for objective in ("lambdarank", "binary"):
            if p.objective in (objective, "both"):
                parameters["objective"] = objective
                trees = trees.joined(fit_trees(rows, labels, sizes, parameters, rounds=p.rounds))
        return trees

    def _examples(
        self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress
    ) -> tuple[Float32, Int32, Int64]:
        """Return the rows, labels and group sizes of cross-fitted examples."""
        rng = np.random.default_rng(seed)
        fold = folds_of(len(train), self.parameters.folds, rng)
        chosen = np.zeros(len(train), bool)
        chosen[rng.permutation(len(train))[: self.parameters.training_playlists]] = True
        rows: list[Float32] = []
        labels: list[Int32] = []
        sizes: list[Int64] = []
        folds = int(fold.max()) + 1
        left = self.parameters.examples
        for number in range(folds):
            if left == 0:  # of large data one fold is enough, and members are not fitted for others
                break
            rest = train.take(np.flatnonzero(fold != number))
            own = np.flatnonzero((fold == number) & chosen & (train.lengths > 1))
            if len(rest.items) == 0 or len(own) == 0:
                continue
            progress(f"examples: fold {number + 1} of {folds}")
            queries, targets = self._cut(train, own, rng)
            numbers = FoldNumbers.of(rest, self.size, rng)
            rest, queries = numbers.playlists(rest), numbers.playlists(queries)
            targets = numbers.numbers[targets]
            # A target that the rest does not hold is in no pool: its query need not be ranked.
            held = np.flatnonzero(np.bincount(rest.items, minlength=self.size)[targets])
            if len(held) > left:
                held = np.sort(rng.choice(held, left, replace=False))
            if len(held) == 0:
                continue
            left -= len(held)
            queries, targets = queries.take(held), targets[held]
            members = self._fit_members(
                rest, numbers.catalog(catalog), seed=seed, progress=progress
            )
            index = self._indexed(rest, numbers.order)
            for low in range(0, len(queries), QUERY_BLOCK):
                block = queries.slice(low, low + QUERY_BLOCK)
                pool = self._pool(members, block, self.parameters.per_member, self._depth())
                hit = pool.items == targets[low : low + QUERY_BLOCK][pool.owners]
                keep = _sampled(pool, hit, self.parameters.negatives, rng)
                rows.append(self._example_rows(index, block, pool, keep))
                labels.append(hit[keep].astype(np.int32))
                groups = np.bincount(pool.owners[keep], minlength=len(block))
                sizes.append(groups[groups > 0])
            del members, index  # else they are there while the next fold's are fitted
        if not sizes:
            return np.empty((0, 0), np.float32), np.empty(0, np.int32), np.empty(0, np.int64)
        return np.concatenate(rows), np.concatenate(labels), np.concatenate(sizes)

    def _cut(
        self, train: PlaylistSet, own: Int64, rng: np.random.Generator
    ) -> tuple[PlaylistSet, Int32]:
        """Return queries and targets of playlists `own`: the last track, and random earlier ones."""
        last = train.lengths[own] - 1
        cuts = [own * 2**32 + last]
        for _ in range(self.parameters.targets_per_playlist - 1):
            earlier = rng.integers(
                np.minimum(-(-last // SHORTEST_SHARE), last), last, endpoint=True
            )
            cuts.append(own * 2**32 + np.maximum(earlier, 1))
        distinct = np.unique(np.concatenate(cuts))
        return truncated(train, distinct >> 32, distinct & (2**32 - 1))

    def _indexed(self, train: PlaylistSet, order: Int32 | Int64) -> FeatureIndex:
        """Index playlists whose item `i` is the catalogue's item ``order[i]``."""
        return LatestIndex.build(
            train, self._artists[order], self._albums[order], self._songs[order]
        )

    def _depth(self) -> int:
        return max(self.parameters.scored_per_member, self.parameters.per_member)

    def _example_rows(
        self, index: FeatureIndex, queries: PlaylistSet, pool: Pool, keep: Bool
    ) -> Float32:
        """Return the features of the rows that `keep` marks, computed by threads."""

        def rows(block: tuple[int, int]) -> Float32:
            part = pool.part(*block)
            kept = keep[pool.offsets[block[0]] : pool.offsets[block[1]]]
            among = context(part, index.artists)[kept]
            return self._features(index, queries.slice(*block), part.where(kept), among)

        return np.concatenate(map_blocks(rows, query_blocks(len(queries))))

    def _features(
        self, index: FeatureIndex, queries: PlaylistSet, pool: Pool, among: Float32
    ) -> Float32:
        """Return float32[rows, features] of a pool.

        `among` is the rows' `context` in the whole pool, of which `pool` may be a sample.
        """
        own = width(pool.ranks.shape[1])
        before = own + len(CONTEXT)
        rows = index.features(queries, pool.offsets, pool.items, before=before)
        per_member, depth = self.parameters.per_member, self._depth()
        add_proposals(rows, pool, proposed=per_member, depth=depth)
        rows[:, own:before] = among
        return rows

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        proposed = max(self.parameters.per_member, k)
        return self._best_of_pools(queries, k, proposed, self._depth(), self._values)

    def _values(self, queries: PlaylistSet, whole: Pool) -> Float32:
        """Return the scores of all that was proposed, float32[rows]."""
        per_member = self.parameters.per_member
        within: Bool = np.any((whole.ranks > 0) & (whole.ranks <= per_member), axis=1)
        values: Float32 = fusion(whole, RANK_CONSTANT).astype(np.float32)
        if len(self._trees.roots):
            pool = whole.where(within)
            late = pool.ranks > self._depth()
            pool.ranks[late], pool.relative[late] = 0, 0.0
            among = context(pool, self._artists)
            rows = self._features(self._index, queries, pool, among)
            values[within] = self._trees.score(rows)
        if not within.all():  # in stage-one order, below all of the query's own pool
            lowest = np.zeros(len(queries), np.float32)
            np.minimum.at(lowest, whole.owners[within], values[within])
            values[~within] += (lowest - 1 - len(self._members))[whole.owners[~within]]
        return values

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "columns": np.array(COLUMNS),
            "train_offsets": self._index.offsets,
            "train_items": self._index.items,
            "artists": self._artists,
            "albums": self._albums,
            "songs": self._songs,
            **{f"trees/{name}": array for name, array in self._trees.arrays().items()},
            **self._member_arrays(),
        }

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        # Trees know features by their place alone: of another order, they would rank at random.
        if tuple(arrays.get("columns", ())) != COLUMNS:
            raise OtherVersionError(
                "two_stage: the files are of a version of recsys_assets whose trees look at other "
                "features; train the model again with this version"
            )
        self._artists, self._albums = arrays["artists"], arrays["albums"]
        self._songs = arrays["songs"]
        self._trees = Trees(
            **{
                name.removeprefix("trees/"): array
                for name, array in arrays.items()
                if name.startswith("trees/")
            }
        )
        train = PlaylistSet(arrays["train_offsets"], arrays["train_items"])
        self._index = self._indexed(train, np.arange(self.size))
        self._restore_members(arrays)


def _sampled(pool: Pool, hit: Bool, negatives: int, rng: np.random.Generator) -> Bool:
    """Mark, of each query whose target was proposed, the target and `negatives` random others."""
    owners = pool.owners
    keys = rng.random(len(hit))
    keys[hit] = -1.0
    order = np.lexsort((keys, owners))
    place = np.arange(len(order)) - pool.offsets[owners]
    keep = np.zeros(len(hit), bool)
    keep[order[place <= negatives]] = True
    held = np.zeros(len(pool.offsets) - 1, bool)
    held[owners[hit]] = True
    return keep & held[owners]
