"""The user's choices for ingestion, with their meaning and allowed range.

A value type only: the code that acts on a choice is in `filters.py`, `mpd.py` and `listening.py`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IngestOptions(BaseModel):
    """Choices for ingestion; unknown fields and values out of range are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_gap_minutes: float = Field(
        30, gt=0, description="A pause longer than this starts a new listening session."
    )
    truncated_json: Literal["reject_file", "keep_whole_playlists"] = Field(
        "reject_file",
        description="What becomes of a JSON slice that is cut off or invalid: rejected whole, or "
        "its whole playlists taken and the rest rejected.",
    )
    min_playlist_tracks: int | None = Field(
        None,
        ge=0,
        description="Keep playlists of more than this many tracks, counted after the artist "
        "filters.",
    )
    top_artists: int | None = Field(
        None, ge=1, description="Keep tracks of this many most mentioned artists."
    )
    min_artist_mentions: int | None = Field(
        None, ge=0, description="Keep tracks of artists with more mentions than this."
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="A larger share of defective rows stops the pipeline."
    )

    @property
    def filters(self) -> bool:
        """Whether any filter is set."""
        chosen = (self.min_playlist_tracks, self.top_artists, self.min_artist_mentions)
        return any(choice is not None for choice in chosen)
