"""Similarity files are delivered by the search that the settings ask for."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from recsys_assets.assets import delivery
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import check_similarity_file, read_similarity
from recsys_assets_tests.models.blocks import BLOCK_SIZE, block_catalog, block_playlists, fitted


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_search_of_the_settings(
    settings: Settings, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents settings that change nothing, and a search or recall that nobody is told of."""
    nearest: Callable[..., Any] = delivery.nearest_items
    used: list[Search] = []

    def spied(*arguments: object, search: Search, **others: object) -> object:
        used.append(search)
        return nearest(*arguments, search=search, **others)

    monkeypatch.setattr(delivery, "nearest_items", spied)
    settings = settings.model_copy(update={"similarity_search": method, "neighbours": 5})
    model = fitted("word2vec", block_playlists())
    path = delivery.tracks_file(settings)
    result = delivery._deliver(dg.build_asset_context(), model, block_catalog(), path, settings)
    assert [one == top_k_dense for one in used] == [method == "exact"]
    assert result.metadata["search"] == method
    assert settings.similarity_recall <= result.metadata["recall"] <= 1
    assert (result.metadata["vectors_looked_at"] < 1) == (method == "approximate")
    assert check_similarity_file(path, 5) == []
    inside = [
        int(key) // BLOCK_SIZE == int(one) // BLOCK_SIZE
        for key, neighbours in read_similarity(path)
        for one in neighbours
    ]
    assert sum(inside) > 0.95 * len(inside)
