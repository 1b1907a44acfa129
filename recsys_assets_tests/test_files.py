"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from recsys_assets.errors import StorageError
from recsys_assets.files import (
    folder_bytes,
    read_json,
    replaced_file,
    replaced_folder,
    write_json,
)


def test_file_appears_only_when_whole(tmp_path: Path) -> None:
    """Prevents a reader from seeing half a file, or an error from losing the old one."""
    path = tmp_path / "deep" / "file.txt"
    with replaced_file(path) as aside:
        aside.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), replaced_file(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_folder_is_replaced_whole(tmp_path: Path) -> None:
    """Prevents files of an old model from staying among those of a new one."""
    path = tmp_path / "model"
    with replaced_folder(path) as aside:
        (aside / "old").write_text("1")
    with pytest.raises(ZeroDivisionError), replaced_folder(path) as aside:
        raise ZeroDivisionError
    assert [one.name for one in path.iterdir()] == ["old"]
    with replaced_folder(path) as aside:
        (aside / "new").write_text("22")
    assert [one.name for one in path.iterdir()] == ["new"]
    assert folder_bytes(path) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_kill_do_no_harm(tmp_path: Path) -> None:
    """Prevents a killed run's temporary folder from ending up in the next model."""
    (tmp_path / ".model.aside").mkdir()
    (tmp_path / ".model.aside" / "stale").write_text("x")
    with replaced_folder(tmp_path / "model") as aside:
        assert list(aside.iterdir()) == []


def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    """Prevents the old folder, which the new content may be made from, from being thrown away."""
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old" / "vectors").write_text("x")
    with replaced_folder(tmp_path / "model") as aside:
        assert (tmp_path / "model" / "vectors").read_text() == "x"
        (aside / "new").write_text("y")
    assert [one.name for one in (tmp_path / "model").iterdir()] == ["new"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_stop_between_two_renames_loses_nothing(
    tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents Dagster's "terminate" at that moment from leaving neither the old nor the new."""
    path, rename = tmp_path / "model", Path.rename
    with replaced_folder(path) as aside:
        (aside / "vectors").write_text("x")

    def stopped(self: Path, target: Path) -> Path:
        if self.name == ".model.aside":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(error), replaced_folder(path) as aside:
        (aside / "new").write_text("y")
    assert [one.name for one in path.iterdir()] == ["vectors"]
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trip_is_stable(tmp_path: Path) -> None:
    """Prevents the same content from giving different bytes."""
    write_json(tmp_path / "a", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_json(tmp_path / "a") == {"a": [1.5, None], "b": 1}
    with pytest.raises(StorageError, match="run a refresh first"):
        read_json(tmp_path / "none")
