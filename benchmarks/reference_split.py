"""The division of the Million Playlist slices behind the figures that this project set out to beat.

They were measured on songs named ``artist|||track``, in playlists shuffled by numpy's legacy generator
with seed 42: the first 70 % train, the next 20 % validate. This writes the slices as interactions whose
playlist ids are their places in that order, which ``RECSYS_SPLIT=temporal`` divides by. Run it by
``make reference RAW=path/to/slices``; reading of slices for the pipeline is `sources/mpd.py`'s.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 42
_SCHEMA = pa.schema(
    [
        ("playlist_id", pa.int64()),
        ("position", pa.int32()),
        *((name, pa.string()) for name in ("track_id", "playlist", "track", "artist", "album")),
    ]
)


def write_reference(raw: Path, out: Path) -> dict[str, str]:
    """Write the playlists of `raw` in the order that they were divided by.

    Parameters
    ----------
    raw
        A folder of slices, ``*.json``, taken in the order of their names.
    out
        The parquet file of interactions to write.

    Returns
    -------
    dict
        The settings, as environment variables, by which the project divides them likewise.
    """
    playlists = list(_playlists(raw))
    rows: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    # The legacy generator, because the published figures were measured with it.
    order = np.random.RandomState(SEED).permutation(len(playlists))
    for place, at in enumerate(order.tolist()):
        title, tracks = playlists[at]
        for position, (artist, name, album) in enumerate(tracks):
            values = (place, position, f"{artist}|||{name}", title, name, artist, album)
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows, _SCHEMA), out)
    until_validation, until_test = int(0.7 * len(playlists)), int(0.9 * len(playlists))
    return {
        "RECSYS_SPLIT": "temporal",
        "RECSYS_SPLIT_TIME": "playlist_id",
        "RECSYS_VALIDATION_SIZE": str(until_test - until_validation),
        "RECSYS_TEST_SIZE": str(len(playlists) - until_test),
    }


def _playlists(raw: Path) -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """Yield each playlist's title, and the artist, name and album of its tracks."""
    slices = sorted(raw.glob("*.json"))
    if not slices:
        raise SystemExit(f"{raw}: expected Million Playlist slices, found no *.json")
    for path in slices:
        try:
            found = [
                (
                    _text(playlist["name"]),
                    [
                        (
                            _text(track["artist_name"]),
                            _text(track["track_name"]),
                            track.get("album_name"),
                        )
                        for track in playlist["tracks"]
                    ],
                )
                for playlist in json.loads(path.read_bytes())["playlists"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SystemExit(
                f"{path}: expected a Million Playlist slice, JSON of playlists with names and tracks, "
                f"found {type(error).__name__}: {error}; take the file away or mend it"
            ) from error
        yield from found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r}")
    return value


def main() -> None:
    """Write the interactions, and print the settings as a shell takes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="folder of slices")
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write")
    options = parser.parse_args()
    for name, value in write_reference(options.raw, options.out).items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
