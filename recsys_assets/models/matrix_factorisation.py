"""Matrix factorisation trained on positives and drawn negatives, as the million-playlist article does.

The logit of a playlist and an item is the dot product of their vectors plus a bias of each (Koren,
Bell & Volinsky, Computer 2009), through a sigmoid; generalised by He et al., Neural collaborative
filtering (WWW 2017). Everything else is in `collaborative.py`.
"""

from typing import Any, ClassVar

import numpy as np

from recsys_assets.models.collaborative import ITEM_VECTORS, PLAYLIST_VECTORS, Collaborative
from recsys_assets.models.torch_training import Weights
from recsys_assets.playlists import Float32

PLAYLIST_BIASES, ITEM_BIASES = "playlist_biases", "item_biases"
INITIAL_SPREAD = 0.01
"""Standard deviation of initial weights, fastai's."""


class MatrixFactorisation(Collaborative):
    """Dot product of playlist and item vectors plus biases; ranks as `Collaborative` does."""

    family: ClassVar[str] = "matrix_factorisation"

    def _start(self, playlists: int, items: int, rng: np.random.Generator) -> dict[str, Float32]:
        shapes = {
            PLAYLIST_VECTORS: (playlists, self.parameters.factors),
            ITEM_VECTORS: (items, self.parameters.factors),
            PLAYLIST_BIASES: (playlists,),
            ITEM_BIASES: (items,),
        }
        return {
            name: rng.standard_normal(shape, np.float32) * np.float32(INITIAL_SPREAD)
            for name, shape in shapes.items()
        }

    def _logits(self, weights: Weights, playlists: Any, items: Any) -> Any:  # noqa: ANN401
        from torch.nn.functional import embedding  # noqa: PLC0415  (an extra, only to fit)

        ours = embedding(playlists, weights[PLAYLIST_VECTORS])
        theirs = embedding(items, weights[ITEM_VECTORS])
        biases = weights[PLAYLIST_BIASES][playlists] + weights[ITEM_BIASES][items]
        return (ours * theirs).sum(1) + biases
