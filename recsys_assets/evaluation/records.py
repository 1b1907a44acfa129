"""What is kept of a candidate's training and measurement: one JSON file and its per-playlist ranks.

The leaderboard, the checks and the summary read these records; they never need the model. Measuring
belongs in `evaluation/protocol.py`, comparing in `evaluation/leaderboard.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_assets.errors import StorageError
from recsys_assets.files import write_json
from recsys_assets.playlists import Int32

RECORD_FILE = "record.json"
RANKS_FILE = "ranks.npy"

FROM_SCRATCH = "from scratch"
"""How training begins, unless it goes on from an earlier model (`warm_start.py`)."""


@dataclass(frozen=True)
class Measurement:
    """One number of a candidate: a metric on a slice, with its 95 % interval where it has one."""

    metric: str
    slice: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class CandidateRecord:
    """A candidate as it was trained and measured.

    Attributes
    ----------
    data_version
        Hash of the playlists and the catalogue that were used for both.
    fingerprint
        Hash of everything that decides the result: data, family, parameters, seed and code.
    ranks
        int32[n]: place of each playlist's target among the recommendations, 0 where it is not.
    training
        From scratch, or from which earlier model it went on.
    """

    candidate: str
    family: str
    parameters: Mapping[str, Any]
    seed: int
    data_version: str
    fingerprint: str
    mlflow_run: str
    fit_seconds: float
    evaluate_seconds: float
    model_bytes: int
    measurements: tuple[Measurement, ...]
    ranks: Int32
    training: str = FROM_SCRATCH

    def value(self, metric: str, slice_: str = "all") -> Measurement:
        """Return the measurement of one metric."""
        for one in self.measurements:
            if one.metric == metric and one.slice == slice_:
                return one
        raise KeyError(f"{self.candidate} has no measurement {metric!r} on slice {slice_!r}")

    def save(self, folder: Path) -> None:
        """Write the record into `folder`."""
        np.save(folder / RANKS_FILE, self.ranks, allow_pickle=False)
        content = {key: value for key, value in asdict(self).items() if key != "ranks"}
        write_json(folder / RECORD_FILE, content)

    @classmethod
    def load(cls, folder: Path) -> "CandidateRecord":
        """Read what `save` wrote.

        Raises
        ------
        StorageError
            If the folder holds no record.
        """
        path = folder / RECORD_FILE
        if not path.exists():
            raise StorageError(f"{path}: not there; materialise candidate {folder.name} first")
        content = json.loads(path.read_text())
        content["measurements"] = tuple(Measurement(**one) for one in content["measurements"])
        return cls(**content, ranks=np.load(folder / RANKS_FILE, allow_pickle=False))
