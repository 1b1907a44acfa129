"""A recommender whose answers the test decides."""

import numpy as np

from recsys_assets.playlists import MISSING, PlaylistSet


class Scripted:
    """Answers the same list to every query, without the query's own items."""

    def __init__(self, ranking: list[int], size: int, known: list[int] | None = None) -> None:
        self.ranking, self.size = ranking, size
        self.known = ranking if known is None else known
        self.asked: list[list[int]] = []

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the scripted ranking for every query."""
        items = np.full((len(queries), k), MISSING, np.int32)
        for row in range(len(queries)):
            query = queries.items[queries.offsets[row] : queries.offsets[row + 1]].tolist()
            self.asked.append(query)
            answer = [item for item in self.ranking if item not in query][:k]
            items[row, : len(answer)] = answer
        scores = np.where(items == MISSING, -np.inf, -np.arange(k)).astype(np.float32)
        return items, scores

    def known_items(self) -> np.ndarray:
        """Return the mask of known items."""
        mask = np.zeros(self.size, bool)
        mask[self.known] = True
        return mask


class TellingTiers(Scripted):
    """The same, telling a tier: track for a known last track, artist for track 5, else popularity."""

    def answer(self, queries: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scripted ranking, and the tier of each query's last track."""
        items, scores = self.recommend(queries, k)
        last = queries.items[queries.offsets[1:] - 1]
        tiers = np.where(self.known_items()[last], 0, np.where(last == 5, 1, 3))
        return items, scores, tiers.astype(np.int8)
