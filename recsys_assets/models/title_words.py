"""Words and character 3-grams of playlist titles, as weighted vectors over a stored vocabulary.

Turns text into sparse rows and nothing else: what a title's neighbours recommend is `title.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from recsys_assets.playlists import Float64, Int32, Int64

GRAM = 3
SEPARATOR = "\n"
"""Between stored tokens: words are split at white space, so that none contains it."""


def normalised(title: str | None) -> str:
    """Return a title in lower case, punctuation left out unless it is all there is."""
    text = (title or "").lower()
    words = re.sub(r"[^\w\s]|_", " ", text).split() or text.split()
    return " ".join(words)


def tokens(title: str) -> list[str]:
    """Return the distinct tokens of a normalised title, sorted: words, and 3-grams after a space.

    >>> tokens("ab")
    ['  ab', ' ab ', 'ab']
    """
    words = title.split()
    padded = f" {' '.join(words)} "
    grams = [" " + padded[at : at + GRAM] for at in range(len(padded) - GRAM + 1)] if words else []
    return sorted({*words, *grams})


class Vocabulary:
    """Tokens with their weights: inverse frequency, 3-grams times `gram_weight`.

    Parameters
    ----------
    words
        Distinct tokens, sorted.
    weights : float64[len(words)]
    """

    def __init__(self, words: Sequence[str], weights: Float64) -> None:
        self.words, self.weights = list(words), weights
        self._index = {word: at for at, word in enumerate(self.words)}

    @classmethod
    def of(cls, titles: Iterable[tuple[str, int]], gram_weight: float) -> "Vocabulary":
        """Count the tokens of distinct normalised titles, each with its number of playlists."""
        frequency: Counter[str] = Counter()
        total = 0
        for title, playlists in titles:
            total += playlists
            for token in tokens(title):
                frequency[token] += playlists
        words = sorted(frequency)
        counts = np.array([frequency[word] for word in words], np.float64)
        kinds = np.array([gram_weight if word[0] == " " else 1.0 for word in words])
        # 1 + total: a token of every playlist still weighs something.
        return cls(words, kinds * np.log((1 + total) / counts))

    def rows(self, titles: Iterable[str]) -> tuple[Int64, Int32, Float64]:
        """Return normalised titles as sparse rows of length 1, tokens not known left out.

        Returns
        -------
        offsets : int64[n + 1]
        tokens : int32[total]
        weights : float64[total]
        """
        found = [
            [self._index[token] for token in tokens(title) if token in self._index]
            for title in titles
        ]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in found], dtype=np.int64)])
        flat = np.array([token for row in found for token in row], np.int32)
        weights = self.weights[flat]
        owner = np.repeat(np.arange(len(found)), np.diff(offsets))
        norms = np.sqrt(np.bincount(owner, weights=weights**2, minlength=len(found)))
        norms[norms == 0.0] = 1.0  # nothing but 3-grams, and those weigh nothing
        return offsets.astype(np.int64), flat, weights / norms[owner]

    def to_bytes(self) -> np.ndarray:
        """Return the tokens as uint8[...]: numpy's text arrays would pad all to the longest."""
        return np.frombuffer(SEPARATOR.join(self.words).encode(), np.uint8)

    @staticmethod
    def words_of(stored: np.ndarray) -> list[str]:
        """Return the tokens that `to_bytes` wrote."""
        text = stored.tobytes().decode()
        return text.split(SEPARATOR) if text else []
