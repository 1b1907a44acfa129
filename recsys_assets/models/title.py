"""Recommendations from a playlist's title alone: tracks of playlists with similar titles.

For empty playlists and those whose tracks are all unknown (RecSys Challenge 2018, where a tenth of
the queries had nothing but a title). Text belongs in `title_words.py`, kernels in
`row_kernels.py`.
"""

from collections import Counter
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import TITLE, Hyperparameters, Recommender
from recsys_assets.models.parallel import map_blocks, row_blocks
from recsys_assets.models.row_kernels import rank_by_keys
from recsys_assets.models.shared_lists import take_unheld
from recsys_assets.models.slot_kernels import slot_shift
from recsys_assets.models.title_words import Vocabulary, normalised
from recsys_assets.models.topk import check_queries, readonly
from recsys_assets.playlists import MISSING, Catalog, Float32, Float64, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress

LISTS_PER_BLOCK = 512
"""Titles that a thread ranks before it answers their queries: bounds its lists."""


class TitleParameters(Hyperparameters):
    """Hyperparameters of recommendations by title."""

    gram_weight: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Weight of the title's character 3-grams beside 1 for its words; 0: exact words.",
    )
    similar_titles: int = Field(
        default=1000, ge=1, le=10_000, description="Most similar distinct titles that are used."
    )
    similarity_power: float = Field(
        default=1.0, ge=0, le=10, description="Power of the cosine between two titles."
    )
    max_tracks: int = Field(
        default=500,
        ge=1,
        le=1_000_000,
        description="Tracks kept for each distinct title, best first.",
    )
    length_power: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="A playlist's tracks are divided by its length to this power.",
    )
    recency_exponent: float = Field(
        default=0.2,
        ge=0,
        le=4,
        description="The n-th latest track of a playlist weighs n ** -exponent.",
    )


class Title(Recommender):
    """Tracks of the training playlists whose titles are most like the query's.

    Titles are idf-weighted words and character 3-grams, compared by cosine. Playlists of one title
    are added up. A query without a title, or with one that shares nothing with any other, gets
    popular items; so does `similar`, because an item has no title. The query's tracks only leave
    themselves out.
    """

    family: ClassVar[str] = "title"
    signal: ClassVar[int] = TITLE
    parameters_type: ClassVar[type[Hyperparameters]] = TitleParameters
    parameters: TitleParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        titles = _titles(train)
        counts = Counter(title for title in titles if title)
        distinct = sorted(counts)
        self._vocabulary = Vocabulary.of(counts.items(), p.gram_weight)
        offsets, tokens, weights = self._vocabulary.rows(distinct)
        owner = np.repeat(np.arange(len(distinct)), np.diff(offsets))
        order = np.argsort(tokens, kind="stable")
        per_token = np.bincount(tokens, minlength=len(self._vocabulary.words))
        self._token_offsets = np.concatenate([[0], np.cumsum(per_token)])
        self._token_titles = owner[order].astype(np.int32)
        self._token_weights = weights[order].astype(np.float32)

        index = {title: at for at, title in enumerate(distinct)}
        title_of = np.array([index.get(title, MISSING) for title in titles], np.int64)
        from_end = np.repeat(train.offsets[1:], train.lengths) - np.arange(len(train.items))
        scale = np.maximum(train.lengths, 1).astype(np.float64) ** -p.length_power
        values = from_end.astype(np.float64) ** -p.recency_exponent * np.repeat(
            scale, train.lengths
        )
        pairs = np.repeat(title_of, train.lengths) * self.size + train.items
        titled = np.repeat(title_of, train.lengths) != MISSING
        order = np.argsort(pairs[titled], kind="stable")
        pairs, values = pairs[titled][order], values[titled][order]
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        sums = np.add.reduceat(values, first) if len(first) else values
        owner, tracks = pairs[first] // self.size, (pairs[first] % self.size).astype(np.int32)
        kept = _best_of_each(owner, sums, p.max_tracks, len(distinct))
        per_title = np.bincount(owner[kept], minlength=len(distinct))
        self._row_offsets = np.concatenate([[0], np.cumsum(per_title)])
        self._row_items = tracks[kept]
        self._row_weights = sums[kept].astype(np.float32)

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        plays = len(train.items)
        return 80 * plays  # 0.9 GiB more for 9.0 M plays, measured

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        if len(queries) == 0:
            return items, scores
        # Many playlists have the same title: a list is made once for each, long enough for all.
        distinct, title_of = np.unique(_titles(queries), return_inverse=True)
        near, cosines = self._similar_titles(distinct.tolist())
        weights = np.where(near == MISSING, 0.0, cosines).astype(np.float64)
        weights **= self.parameters.similarity_power
        rows = np.argsort(title_of, kind="stable")
        starts = np.searchsorted(title_of[rows], np.arange(len(distinct) + 1))
        longest = np.maximum.reduceat(queries.lengths[rows], starts[:-1])
        by_length = np.argsort(longest, kind="stable")  # a block's lists are as long as its longest

        def rank(block: tuple[int, int]) -> None:
            titles = by_length[block[0] : block[1]]
            count, width = len(titles), k + int(longest[titles[-1]])
            list_items = np.empty((count, width), np.int32)
            list_scores = np.empty((count, width), np.float32)
            rank_by_keys(
                0, count, readonly(np.zeros(count + 1, np.int64)),
                readonly(np.empty(0, np.int32)),
                readonly(np.arange(count + 1, dtype=np.int64) * near.shape[1]),
                readonly(near[titles].ravel()), weights[titles].ravel(),
                readonly(self._row_offsets), readonly(self._row_items),
                readonly(self._row_weights), slot_shift(width, self.size), np.zeros(self.size),
                np.empty(self.size, np.int32),
                np.empty(self.size, np.float32), list_items, list_scores,
            )  # fmt: skip
            take_unheld(
                np.concatenate([rows[starts[one] : starts[one + 1]] for one in titles]),
                np.repeat(np.arange(count), starts[titles + 1] - starts[titles]),
                list_items, list_scores, readonly(queries.offsets), readonly(queries.items),
                np.zeros(self.size, np.bool_), items, scores,
            )  # fmt: skip

        map_blocks(rank, _title_blocks(len(distinct)))
        return items, scores

    def _similar_titles(self, titles: list[str]) -> tuple[Int32, Float32]:
        """Return the most similar training titles, int32[n, s], and their cosines, float32[n, s]."""
        offsets, tokens, weights = self._vocabulary.rows(titles)
        title_count = len(self._row_offsets) - 1
        width = min(self.parameters.similar_titles, max(title_count, 1))
        near = np.empty((len(titles), width), np.int32)
        cosines = np.empty((len(titles), width), np.float32)
        nothing = np.zeros(len(titles) + 1, np.int64)

        def rank(block: tuple[int, int]) -> None:
            rank_by_keys(
                *block, readonly(nothing), readonly(np.empty(0, np.int32)), readonly(offsets),
                readonly(tokens), weights, readonly(self._token_offsets),
                readonly(self._token_titles), readonly(self._token_weights),
                slot_shift(width, title_count), np.zeros(title_count), np.empty(title_count, np.int32),
                np.empty(title_count, np.float32), near, cosines,
            )  # fmt: skip

        map_blocks(rank, row_blocks(len(titles)))
        return near, cosines

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "words": self._vocabulary.to_bytes(),
            "word_weights": self._vocabulary.weights,
            "token_offsets": self._token_offsets,
            "token_titles": self._token_titles,
            "token_weights": self._token_weights,
            "row_offsets": self._row_offsets,
            "row_items": self._row_items,
            "row_weights": self._row_weights,
        }

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._vocabulary = Vocabulary(Vocabulary.words_of(arrays["words"]), arrays["word_weights"])
        self._token_offsets = arrays["token_offsets"]
        self._token_titles = arrays["token_titles"]
        self._token_weights = arrays["token_weights"]
        self._row_offsets = arrays["row_offsets"]
        self._row_items = arrays["row_items"]
        self._row_weights = arrays["row_weights"]


def _title_blocks(titles: int) -> list[tuple[int, int]]:
    """Cut titles into blocks: few, since each takes 17 bytes an item; none with too many lists."""
    return row_blocks(titles, per_thread=-(-titles // LISTS_PER_BLOCK), smallest=1)


def _best_of_each(owners: Int64, values: Float64, most: int, count: int) -> Int64:
    """Return, ascending, where the `most` largest values of each owner are, ties by place.

    Parameters
    ----------
    owners : int64[n]
        Ascending, below `count`.
    values : float64[n]
    """
    totals = np.bincount(owners, minlength=count)
    large = np.flatnonzero(totals[owners] > most)
    order = large[np.lexsort((-values[large], owners[large]))]
    place = np.arange(len(large)) - np.searchsorted(owners[large], owners[large])
    kept = np.ones(len(owners), bool)
    kept[order[place >= most]] = False
    return np.flatnonzero(kept)


def _titles(playlists: PlaylistSet) -> list[str]:
    """Return normalised titles, empty where a playlist has none."""
    if playlists.titles is None:
        return [""] * len(playlists)
    return [normalised(title) for title in playlists.titles.to_pylist()]
