"""Multi-layer perceptron collaborative filtering (He et al., Neural collaborative filtering, WWW 2017).

A playlist's and an item's vector, side by side, go through layers with rectifiers to one logit and a
sigmoid. Everything but the network is in `collaborative.py`.
"""

import itertools
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.collaborative import (
    ITEM_VECTORS,
    PLAYLIST_VECTORS,
    Collaborative,
    CollaborativeParameters,
)
from recsys_assets.models.torch_training import Weights
from recsys_assets.playlists import Float32

INITIAL_SPREAD = 0.1
"""Standard deviation of initial vectors."""


class MlpParameters(CollaborativeParameters):
    """Hyperparameters of the multi-layer perceptron."""

    layers: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        default=[50, 50], min_length=1, max_length=8, description="Widths of the hidden layers."
    )


class Mlp(Collaborative):
    """A multi-layer perceptron over playlist and item vectors; ranks as `Collaborative` does.

    The network scores playlists that it was trained on; of new ones it knows no vector, so that
    the embedding that it gave the items is what is used.
    """

    family: ClassVar[str] = "mlp"
    parameters_type: ClassVar[type[Hyperparameters]] = MlpParameters
    parameters: MlpParameters

    def _start(self, playlists: int, items: int, rng: np.random.Generator) -> dict[str, Float32]:
        d = self.parameters.factors
        start = {
            PLAYLIST_VECTORS: rng.standard_normal((playlists, d), np.float32) * INITIAL_SPREAD,
            ITEM_VECTORS: rng.standard_normal((items, d), np.float32) * INITIAL_SPREAD,
        }
        widths = [2 * d, *self.parameters.layers, 1]
        for layer, (wide, narrow) in enumerate(itertools.pairwise(widths)):
            # He et al., Delving deep into rectifiers (ICCV 2015): keeps the signal's variance.
            spread = np.float32((2 / wide) ** 0.5)
            start[f"layer_{layer}"] = rng.standard_normal((narrow, wide), np.float32) * spread
            start[f"bias_{layer}"] = np.zeros(narrow, np.float32)
        return {name: np.asarray(value, np.float32) for name, value in start.items()}

    def _logits(self, weights: Weights, playlists: Any, items: Any) -> Any:  # noqa: ANN401
        from torch import cat  # noqa: PLC0415  (an extra, only to fit)
        from torch.nn.functional import embedding, linear, relu  # noqa: PLC0415

        values = cat(
            [
                embedding(playlists, weights[PLAYLIST_VECTORS]),
                embedding(items, weights[ITEM_VECTORS]),
            ],
            dim=1,
        )
        last = len(self.parameters.layers)
        for layer in range(last + 1):
            values = linear(values, weights[f"layer_{layer}"], weights[f"bias_{layer}"])
            values = values if layer == last else relu(values)
        return values.squeeze(1)
