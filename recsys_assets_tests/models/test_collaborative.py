"""Matrix factorisation and MLP: what they learn, report and keep; skipped without PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from recsys_assets.errors import DataError, ExtraError
from recsys_assets.models import extras, torch_training
from recsys_assets.models.base import ARTIST, TRACK
from recsys_assets.models.collaborative import artist_playlists
from recsys_assets.models.factors import KnownItems
from recsys_assets.models.registry import build, load_recommender
from recsys_assets.models.torch_training import one_cycle
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import (
    BLOCK_SIZE,
    BLOCKS,
    SIZE,
    block_catalog,
    block_playlists,
    fitted,
)

needs_torch = pytest.mark.skipif(
    not extras.is_installed("torch"), reason=f"needs torch: {extras.how_to_get('torch')}"
)
FAMILIES = ("matrix_factorisation", "mlp")
TRACKS = {"items": "tracks", "epochs": 40, "max_lr": 0.03}


def artists_in_blocks(*, shuffled: bool = False) -> Catalog:
    """Return a catalogue in which a block holds five artists of three tracks each."""
    whole = block_catalog()
    artists = np.arange(SIZE, dtype=np.int32) // 3
    if shuffled:
        artists = np.random.default_rng(6).permutation(artists)
    return Catalog(whole.ids, whole.names, artists)


def in_block(family: str, train: PlaylistSet, catalog: Catalog, **parameters: object) -> float:
    """Return the share of recommendations that lie in the block of a query of one artist."""
    model = fitted(family, train, catalog=catalog, **parameters)
    queries = PlaylistSet.from_lists(
        [[b * BLOCK_SIZE, b * BLOCK_SIZE + 1, b * BLOCK_SIZE + 2] for b in range(BLOCKS)]
    )
    items, _ = model.recommend(queries, 9)
    return float((items // BLOCK_SIZE == np.arange(BLOCKS)[:, None]).mean())


@needs_torch
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("items", ["artists", "tracks"])
def test_embeddings_find_the_block(family: str, items: str) -> None:
    """Prevents embeddings that learn nothing: the query's own artist has no track left here."""
    settings = {**TRACKS, "items": items}
    share = in_block(family, block_playlists(), artists_in_blocks(), **settings)
    # The network need not bring alike items' vectors together: 0.92 to 1 were seen.
    assert share == 1.0 if family == "matrix_factorisation" else share > 0.85
    catalog = artists_in_blocks(shuffled=True)
    assert in_block(family, block_playlists(shuffled=True), catalog, **settings) < 0.5


@needs_torch
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_of_every_epoch(family: str) -> None:
    """Prevents a run whose learning curve is lost, or does not fall where there is much to learn."""
    lines: list[str] = []
    model = build(family, {"epochs": 7, "min_playlists": 1, "batch_size": 128, "max_lr": 0.03})
    assert model.history() == {}
    model.fit(block_playlists(), artists_in_blocks(), seed=3, progress=lines.append)
    assert set(model.history()) == {"train_loss", "valid_loss"}
    for losses in model.history().values():
        assert len(losses) == 7
        assert losses[0] > losses[-1] > 0
    for epoch in range(7):
        assert lines[epoch].startswith(f"{family}: epoch {epoch + 1} of 7, train_loss 0.")
    best = int(np.argmin(model.history()["valid_loss"])) + 1
    assert lines[7] == f"{family}: epoch {best} kept"


@needs_torch
@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_epoch_is_kept(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents overfitted weights of the last epoch where an earlier one was better."""
    settings = {**TRACKS, "batch_size": 64, "max_lr": 0.1, "weight_decay": 0.0, "negatives": 1}
    # A constant rate: whatever the number of epochs, the first ones are then the same.
    monkeypatch.setattr(torch_training, "one_cycle", lambda step, total, top: (top, 0.9))
    train = block_playlists(shuffled=True)
    whole = fitted(family, train, **settings)
    losses = whole.history()["valid_loss"]
    best = int(np.argmin(losses)) + 1
    assert best < 40, "the case must overfit"
    short = fitted(family, train, **{**settings, "epochs": best})
    assert short.history()["valid_loss"] == losses[:best]
    assert whole._arrays()["vectors"].tobytes() == short._arrays()["vectors"].tobytes()


@needs_torch
def test_one_interaction() -> None:
    """Prevents an error where nothing can be held out, or no negative exists."""
    model = fitted("mlp", PlaylistSet.from_lists([[0]]), 1)
    assert set(model.history()) == {"train_loss"}
    assert model.recommend(PlaylistSet.from_lists([[0], []]), 1)[0].tolist() == [[MISSING], [0]]


@needs_torch
def test_without_artists_there_is_no_opinion() -> None:
    """Prevents tracks of unknown artists from being taken for one artist's."""
    model = fitted("matrix_factorisation", block_playlists(), catalog=Catalog.anonymous(SIZE))
    items, _ = model._rank(PlaylistSet.from_lists([[0, 1]]), 3)
    assert (items == MISSING).all()
    assert not model.known_items().any()


def test_artist_playlists() -> None:
    """Prevents tracks of no known artist from shifting the others into wrong playlists."""
    train = PlaylistSet.from_lists([[0, 1, 2], [1], [2, 0]])
    found = artist_playlists(train, np.array([5, MISSING, 3], np.int32))
    assert found.offsets.tolist() == [0, 2, 2, 4]
    assert found.items.tolist() == [5, 3, 3, 5]


@needs_torch
def test_query_vector_by_hand() -> None:
    """Prevents the first item of a query from weighing most, and vectors that are not of length 1."""
    model = fitted("matrix_factorisation", block_playlists(), items="tracks", recency_exponent=2.0)
    units = model._arrays()["vectors"].astype(np.float64)
    assert np.linalg.norm(units, axis=1) == pytest.approx(np.ones(SIZE))
    known = KnownItems.of(np.array([0, 2, 2]), np.array([7, 30], np.int32))
    found = model._query_vectors(known)
    expected = units[7] / 4 + units[30]
    assert found[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert found[1].tolist() == [0] * 8


@needs_torch
def test_mlp_network_by_hand() -> None:
    """Prevents a network without its rectifiers, biases or the playlist's half."""
    import torch

    model = build("mlp", {"factors": 1, "layers": [2]})
    weights = {
        "playlist_vectors": torch.tensor([[1.0], [-2.0]]),
        "item_vectors": torch.tensor([[3.0], [0.5]]),
        "layer_0": torch.tensor([[1.0, 1.0], [-1.0, 2.0]]),
        "bias_0": torch.tensor([0.0, 0.5]),
        "layer_1": torch.tensor([[1.0, 10.0]]),
        "bias_1": torch.tensor([0.25]),
    }
    found = model._logits(weights, torch.tensor([0, 1]), torch.tensor([0, 1]))
    # 1, 3: relu(4), relu(5.5); -2, 0.5: relu(-1.5), relu(3.5)
    assert found.tolist() == [4 + 55 + 0.25, 0 + 35 + 0.25]


@needs_torch
def test_matrix_factorisation_by_hand() -> None:
    """Prevents a prediction without its biases."""
    import torch

    model = build("matrix_factorisation", {"factors": 2})
    weights = {
        "playlist_vectors": torch.tensor([[1.0, 2.0], [9.0, 9.0]]),
        "item_vectors": torch.tensor([[0.0, 0.0], [3.0, -1.0]]),
        "playlist_biases": torch.tensor([0.5, 9.0]),
        "item_biases": torch.tensor([9.0, 0.25]),
    }
    assert model._logits(weights, torch.tensor([0]), torch.tensor([1])).tolist() == [1.75]


def test_one_cycle() -> None:
    """Prevents a schedule that is not fastai's: up for a quarter, down to next to nothing."""
    cycle = [one_cycle(step, 101, 0.005) for step in range(101)]
    rates, momenta = zip(*cycle, strict=True)
    assert cycle[0] == pytest.approx((0.005 / 25, 0.95))
    assert cycle[25] == pytest.approx((0.005, 0.85))
    assert cycle[100] == pytest.approx((0.005 / 1e5, 0.95))
    assert list(rates[:26]) == sorted(rates[:26])
    assert list(rates[25:]) == sorted(rates[25:], reverse=True)
    assert min(momenta) == momenta[25]
    assert rates[100 - 75 // 2 - 1] > 0.0025 > rates[100 - 75 // 2]
    assert all(np.isfinite(one_cycle(step, 4, 0.1)).all() for step in range(4))


@needs_torch
@pytest.mark.parametrize("family", FAMILIES)
def test_torch_threads_change_nothing(family: str) -> None:
    """Prevents weights that depend on torch's threads or random state, and changes of either."""
    import torch

    train = PlaylistSet.from_lists(
        [np.random.default_rng(p).choice(300, 40, replace=False).tolist() for p in range(60)]
    )
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(threads)
            state = torch.get_rng_state()
            model = fitted(
                family, train, 300, items="tracks", factors=64, batch_size=2048, epochs=2
            )
            found.append([*model._arrays().values(), *model.recommend(train.slice(0, 20), 10)])
            assert torch.get_num_threads() == threads
            assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert one.tobytes() == two.tobytes()
    assert (
        fitted(family, train, 300, seed=2, items="tracks", factors=64, batch_size=2048, epochs=2)
        ._arrays()["vectors"]
        .tobytes()
        != found[0][1].tobytes()
    )


@needs_torch
@pytest.mark.parametrize("items", ["artists", "tracks"])
def test_ranks_without_torch(items: str, tmp_path: Path) -> None:
    """Prevents a registered model that cannot be loaded where torch is not installed."""
    model = fitted("mlp", block_playlists(), catalog=artists_in_blocks(), items=items)
    assert model.signal == {"artists": ARTIST, "tracks": TRACK}[items]
    model.save(tmp_path)
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from recsys_assets.models.registry import load_recommender\n"
        "from recsys_assets.playlists import PlaylistSet\n"
        "model = load_recommender(Path(sys.argv[1]))\n"
        "print(model.recommend(PlaylistSet.from_lists([[1, 2]]), 5)[0].tolist())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=dict(os.environ), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    queries = PlaylistSet.from_lists([[1, 2]])
    assert answer.strip() == str(model.recommend(queries, 5)[0].tolist())
    again = load_recommender(tmp_path)
    for one, two in zip(model.recommend(queries, 30), again.recommend(queries, 30), strict=True):
        assert one.tobytes() == two.tobytes()


def test_training_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents an ImportError where the remedy is to install an extra."""
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtraError, match=r"mlp: training needs torch.*recsys_assets\[torch\]"):
        fitted("mlp", block_playlists())


@needs_torch
def test_a_loss_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a model of nan from being stored, and says what to change."""
    monkeypatch.setattr(torch_training, "one_cycle", lambda step, total, top: (1e30, 0.9))
    with pytest.raises(DataError, match=r"the loss is (nan|inf) in epoch \d+; lower max_lr"):
        fitted("matrix_factorisation", block_playlists())


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        ("matrix_factorisation", "items", "albums"),
        ("matrix_factorisation", "factors", 0),
        ("matrix_factorisation", "max_lr", 0.0),
        ("matrix_factorisation", "negatives", 0),
        ("matrix_factorisation", "validation_share", 1.0),
        ("matrix_factorisation", "layers", [50]),
        ("mlp", "epochs", 0),
        ("mlp", "layers", []),
        ("mlp", "layers", [0]),
    ],
)
def test_bad_hyperparameters(family: str, name: str, value: object) -> None:
    """Prevents a training that fails late, or does nothing, on a setting out of range."""
    with pytest.raises(ValidationError, match=name):
        build(family, {name: value})


@needs_torch
def test_too_few_playlists_per_item() -> None:
    """Prevents an empty vocabulary from passing for a trained model."""
    with pytest.raises(DataError, match="min_playlists"):
        fitted("matrix_factorisation", block_playlists(), min_playlists=10_000)
