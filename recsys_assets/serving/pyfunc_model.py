"""The registered model: what `mlflow.pyfunc.load_model` gives its consumers.

MLflow stores this file as it is ("models from code", no pickle) beside the parts of the package that
it imports, and runs it where the model is loaded. Input: a table with a column `playlist` (lists of
track ids). Output: `track_ids` and `scores`, exactly `k` of each, and `tier`, what the answer is
made of. Nothing here may need Dagster, DuckDB or gensim.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from recsys_assets.errors import DataError
from recsys_assets.serving.bundle import Bundle

ARTIFACT = "bundle"
PLAYLIST_COLUMN = "playlist"
TITLE_COLUMN = "title"
DEFAULT_K = 20


class PlaylistContinuation(PythonModel):
    """Continue playlists: MLflow's wrapper around a `Bundle`."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401  (MLflow exports no public type)
        """Read the bundle once, when the model is loaded."""
        self._bundle = Bundle.load(Path(context.artifacts[ARTIFACT]))

    def predict(
        self,
        context: Any,  # noqa: ANN401
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answer `k` track ids and scores for each row's playlist.

        Parameters
        ----------
        context
            MLflow's context (not used).
        model_input
            Column `playlist`: lists of track ids; unknown ids and empty lists are fine. Optional
            column `title`: the playlists' names, for models that use them.
        params
            ``{"k": 20}``: how many tracks for each playlist.
        """
        del context
        k = int((params or {}).get("k", DEFAULT_K))
        if k < 1:
            raise DataError(f"parameter k must be at least 1, got {k}")
        playlists = [list(playlist) for playlist in model_input[PLAYLIST_COLUMN]]
        titles = None
        if TITLE_COLUMN in model_input:
            titles = [one if isinstance(one, str) else None for one in model_input[TITLE_COLUMN]]
        ids, scores, tiers = self._bundle.recommend_ids(playlists, k, titles)
        return pd.DataFrame(
            {"track_ids": ids, "scores": scores.astype(float).tolist(), "tier": tiers}
        )


mlflow.models.set_model(PlaylistContinuation())
