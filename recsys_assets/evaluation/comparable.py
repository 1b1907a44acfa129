"""On which test playlists may a new version be compared with the champion?

Only on those that neither has trained on. A hash split keeps old playlists on their side; the cut of
a temporal split moves as data arrives, and a user may change the split between two refreshes. So every
version keeps what it was trained on (`TrainedOn`). Comparing is in `promotion.py`.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from recsys_assets.playlists import Int64
from recsys_assets.preparation.split import SplitRule

FEWEST = 30
"""A temporal comparison on fewer playlists would be decided by two or three of them."""


@dataclass(frozen=True)
class TrainedOn:
    """Which playlists a registered version was trained on (train + validation of its split).

    Attributes
    ----------
    kind, time, salt, test_size
        Of the split's rule.
    until
        Temporal: the latest time of them, microseconds since 1970 or a playlist id; else None.
    """

    kind: str
    time: str
    salt: str
    test_size: float
    until: int | None

    @classmethod
    def by(cls, rule: SplitRule, times: Int64 | None) -> "TrainedOn":
        """Describe a training on the playlists of these times (needed by a temporal rule only)."""
        until = None if times is None else int(times.max())
        return cls(rule.kind, rule.time, rule.salt, rule.test_size, until)

    def to_json(self) -> str:
        """Return the text that is kept with the registered version."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "TrainedOn":
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    @property
    def said(self) -> str:
        """A few words for people."""
        if self.kind == "hash":
            return f"a hash split with salt {self.salt!r} and test size {self.test_size:g}"
        if self.until is None or self.time != "started_at":
            return f"a temporal split by {self.time} up to {self.until}"
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.until)
        return f"a temporal split by {self.time} up to {moment:%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True, eq=False)
class Comparable:
    """The test playlists for the comparison: their rows, or why there is none.

    Attributes
    ----------
    rows
        int64[m]: rows of the test playlists that neither version has trained on.
    why_not
        A sentence where no comparison can be made, else None.
    """

    rows: Int64
    why_not: str | None = None


def comparable(
    new: TrainedOn, champion: TrainedOn | None, count: int, times: Int64 | None
) -> Comparable:
    """Return the test playlists that the champion cannot have trained on.

    Parameters
    ----------
    new
        What the new version was trained on; the test playlists are of the same split.
    champion
        The same of the champion; None where its version does not say.
    count
        Number of test playlists.
    times
        int64[count]: their times, where the split is temporal.
    """
    nothing = np.empty(0, np.int64)
    why_not = _why_not(new, champion)
    if champion is None or why_not is not None:
        return Comparable(nothing, why_not)
    if times is None or champion.until is None:  # by hash, which keeps test playlists apart
        return Comparable(np.arange(count))
    rows = np.flatnonzero(times > champion.until)
    if len(rows) < FEWEST:
        return Comparable(
            nothing,
            f"only {len(rows):,} of {count:,} test playlists are later than the champion's training "
            f"on {champion.said}, and a comparison takes {FEWEST}",
        )
    return Comparable(rows)


def _why_not(new: TrainedOn, champion: TrainedOn | None) -> str | None:
    if champion is None:
        return "the champion's version does not say what it was trained on"
    apart = new.kind == champion.kind and (
        (new.salt == champion.salt and new.test_size <= champion.test_size)
        if new.kind == "hash"
        else new.time == champion.time
    )
    if apart:
        return None
    return (
        f"the champion was trained on {champion.said}, so it may have seen these test playlists, of "
        f"{new.said}"
    )
