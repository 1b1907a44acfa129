"""The yardstick: the tutorials' way of doing the same work, each step a process of its own.

An own implementation of what the published pandas and gensim walk-throughs do: read_csv with bad
lines skipped, string sequences through a pandas groupby, word2vec on strings, one brute-force query
a row. Run a step: ``python -m benchmarks.tutorial clean file.csv folder``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 42
SETS = {f"min_count_{count}": count for count in (3, 5, 10)}
_SIDES = (("train", 0.7), ("validation", 0.9), ("test", 1.0))


def clean(raw: Path, folder: Path) -> None:
    """CSV to parquet: bad lines skipped, rows with a missing field dropped, ids put together."""
    frame = pd.read_csv(raw, on_bad_lines="skip", skipinitialspace=True)
    frame.columns = pd.Index(["user_id", "artist", "track", "playlist"])
    frame = frame.dropna()
    frame["track_id"] = frame["artist"] + "|||" + frame["track"]
    frame["playlist_id"] = frame["user_id"] + "-" + frame["playlist"]
    frame.to_parquet(folder / "cleaned.parquet")
    print(f"{len(frame):,} rows kept")


def sequences(folder: Path) -> None:
    """One list of strings per playlist of three or more tracks."""
    frame = pd.read_parquet(folder / "cleaned.parquet")
    grouped = frame.groupby("playlist_id").agg({"track_id": list, "artist": list})
    grouped = grouped[grouped["track_id"].map(len) >= 3].reset_index()
    grouped.to_parquet(folder / "sequences.parquet")
    print(f"{len(grouped):,} playlists")


def split(folder: Path) -> None:
    """70 / 20 / 10 at random."""
    frame = pd.read_parquet(folder / "sequences.parquet")
    order = np.random.default_rng(SEED).permutation(len(frame))
    begin = 0
    for name, share in _SIDES:
        end = round(share * len(frame))
        frame.iloc[order[begin:end]].to_parquet(folder / f"{name}.parquet")
        begin = end


def train(folder: Path, name: str) -> None:
    """Train one set of gensim's word2vec on the training playlists' strings, and save it."""
    from gensim.models import Word2Vec

    playlists = [list(one) for one in pd.read_parquet(folder / "train.parquet")["track_id"]]
    model = Word2Vec(
        playlists,
        vector_size=48,
        window=10,
        min_count=SETS[name],
        epochs=30,
        ns_exponent=0.75,
        seed=SEED,
        workers=2,
    )
    model.save(str(folder / f"{name}.model"))
    print(f"{len(model.wv):,} tracks in the vocabulary")


def evaluate(folder: Path, name: str, queries: int | None = None) -> None:
    """Hit rate @100 on validation: the last track but one asks, row by row, for the last one.

    A query that the model does not know is answered by a random bet, as the tutorial has it.

    Parameters
    ----------
    queries
        Evaluate only the first so many playlists.
    """
    from gensim.models import Word2Vec

    model = Word2Vec.load(str(folder / f"{name}.model"))
    playlists = pd.read_parquet(folder / "validation.parquet")["track_id"].iloc[:queries]
    rng = np.random.default_rng(SEED)
    hits = 0
    for playlist in playlists:
        query, target = playlist[-2], playlist[-1]
        if query in model.wv:
            answers = {key for key, _ in model.wv.most_similar(query, topn=100)}
        else:
            bet = rng.choice(len(model.wv), min(100, len(model.wv)), replace=False)
            answers = {model.wv.index_to_key[one] for one in bet}
        hits += target in answers
    print(f"hit rate @100: {hits / len(playlists):.4f} of {len(playlists):,}")


def main() -> None:
    """Run one step, or all up to the splits, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("clean", "sequences", "split", "train", "evaluate"))
    parser.add_argument("raw", type=Path, nargs="?", help="the CSV; only for clean")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=list(SETS), default="min_count_3", dest="name")
    parser.add_argument("--queries", type=int)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    if chosen.step == "clean":
        clean(chosen.raw, chosen.folder)
    elif chosen.step == "sequences":
        sequences(chosen.folder)
    elif chosen.step == "split":
        split(chosen.folder)
    elif chosen.step == "train":
        train(chosen.folder, chosen.name)
    else:
        evaluate(chosen.folder, chosen.name, chosen.queries)
    print(f"{chosen.step}: {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
