"""The memory budget."""

from pathlib import Path

import numpy as np
import pytest

from recsys_assets import memory
from recsys_assets.errors import DataError, SettingsError
from recsys_assets.memory import check_fits, machine_memory, memory_budget, parse_bytes
from recsys_assets.models.registry import build
from recsys_assets.playlists import PlaylistSet
from recsys_assets.settings import Settings


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("1.5GiB", 3 * 2**29), ("800 MiB", 800 * 2**20), ("100", 100)],
)
def test_sizes_mean_what_duckdb_means_by_them(text: str, size: int) -> None:
    """Prevents DuckDB and the models from reading one setting as two sizes."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["much", "", "0GB", "-1GB", "4 apples"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    """Prevents a typo from ending in DuckDB's parser, or in no limit at all."""
    with pytest.raises(ValueError, match="expected a size"):
        parse_bytes(text)
    if text:
        with pytest.raises(SettingsError, match=r"RECSYS_MEMORY_LIMIT.*expected a size"):
            Settings.from_environment({"RECSYS_MEMORY_LIMIT": text})


def test_a_container_has_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a container from being killed for using 60 % of its host's memory."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (limit, tmp_path / "absent"))
    whole = machine_memory()
    limit.write_text("max\n")
    assert machine_memory() == whole
    limit.write_text("104857600\n")
    assert machine_memory() == 104_857_600
    assert memory_budget(None) == 62_914_560
    assert memory_budget("1GB") == 10**9


def test_what_does_not_fit_is_refused_with_the_settings_that_help() -> None:
    """Prevents hours of work that end when the memory does."""
    check_fits("als", 2**30, 2**30)
    with pytest.raises(DataError, match=r"als: needs about 2\.0 GiB.*is 1\.0 GiB.*RECSYS_MEMORY"):
        check_fits("als", 2 * 2**30, 2**30)


@pytest.mark.parametrize(
    "family",
    [
        "cooccurrence", "pair_counts", "als", "word2vec", "title", "ppmi_svd", "session_knn",
        "artist_knn", "blend", "two_stage", "matrix_factorisation", "mlp",
    ],
)  # fmt: skip
def test_estimates_grow_with_the_data(family: str) -> None:
    """Prevents a family whose estimate ignores the data, so that nothing is ever refused."""
    model = build(family, {})
    needed = []
    for playlists in (1_000, 10_000):
        offsets = np.arange(playlists + 1, dtype=np.int64) * 20
        train = PlaylistSet(offsets, np.zeros(20 * playlists, np.int32))
        needed.append(model._own_bytes(train, 5 * playlists))
    assert 0 < needed[0] < needed[1]


def test_an_ensemble_needs_what_its_members_need() -> None:
    """Prevents an ensemble of large models from being taken for a small one."""
    train = PlaylistSet(np.arange(1001, dtype=np.int64) * 20, np.zeros(20_000, np.int32))
    for family in ("blend", "two_stage"):
        ensemble = build(family, {})
        members = ensemble.parameters.model_dump()["members"]
        assert ensemble._own_bytes(train, 5000) > sum(
            build(one["family"], one["parameters"])._own_bytes(train, 5000) for one in members
        )
