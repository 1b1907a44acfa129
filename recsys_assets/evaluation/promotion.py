"""Does a new version become champion? A paired comparison on the same test playlists.

Which playlists those are, so that neither version has trained on them, is decided in `comparable.py`.
Pure functions; the registry's aliases are moved by `resources/tracking.py`.
"""

from dataclasses import dataclass
from typing import Literal

from recsys_assets.evaluation.intervals import paired_difference
from recsys_assets.playlists import Float64

Policy = Literal["default", "strict"]


@dataclass(frozen=True)
class Decision:
    """The outcome of comparing a new version with the champion.

    Attributes
    ----------
    promote
        Whether the new version becomes champion.
    reason
        One sentence for people.
    difference, low, high
        New minus champion in hit rate @100 with its 95 % interval; None without a champion.
    """

    promote: bool
    reason: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def decide(
    new_hits: Float64, champion_hits: Float64 | None, *, policy: Policy, seed: int
) -> Decision:
    """Compare per-playlist hits of both versions on the same test playlists.

    Parameters
    ----------
    new_hits, champion_hits
        float64[n] of 0 and 1, one per test playlist; no champion yet: None.
    policy
        ``default`` promotes unless significantly worse (a fresher model knows newer tracks);
        ``strict`` promotes only what is significantly better.
    """
    if champion_hits is None:
        return Decision(True, "there is no champion yet")
    difference, low, high = paired_difference(new_hits, champion_hits, seed=seed)
    figures = (
        f"hit rate @100 on test differs from the champion's by {100 * difference:+.2f} points "
        f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f})"
    )
    if policy == "strict":
        promote, need = low > 0, "policy strict asks for significantly better"
    else:
        promote, need = high >= 0, "the default policy refuses only what is significantly worse"
    verdict = "promoted" if promote else "not promoted"
    return Decision(promote, f"{verdict}: {figures}; {need}", difference, low, high)


def decide_uncompared(why_not: str, *, policy: Policy) -> Decision:
    """Decide where there is a champion that the new version cannot be compared with.

    Parameters
    ----------
    why_not
        A sentence of `comparable.Comparable`.
    """
    if policy == "strict":
        return Decision(
            False, f"not promoted: {why_not}; policy strict asks for significantly better"
        )
    return Decision(
        True,
        f"promoted without a comparison: {why_not}; the default policy refuses only what is "
        "significantly worse",
    )
