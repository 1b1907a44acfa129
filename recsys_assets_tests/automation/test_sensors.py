"""What the sensor remembers between two looks at the raw files."""

import hashlib
import json
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.automation.sensors import build_sensors
from recsys_assets.settings import Settings
from recsys_assets.sources import known_files, manifest
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, write


def test_what_other_code_hashed_is_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the sensor's hashes would never be a run's: two runs for each change."""
    raw = write(tmp_path / "raw" / "a.csv", NOWPLAYING_HEADER + '"u","a","t","p"\n')
    [sensor] = build_sensors(Settings(home=tmp_path / "home", raw=raw))
    with dg.DagsterInstance.ephemeral() as instance:

        def look(cursor: str | None) -> tuple[str, str]:
            answer = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
            assert isinstance(answer, dg.SensorResult)
            [request] = answer.run_requests or []
            return request.tags["recsys_assets/raw_data_version"], str(answer.cursor)

        with monkeypatch.context() as earlier:
            earlier.setattr(known_files, "code_version", lambda *_: "earlier")
            earlier.setattr(manifest, "_piece", lambda read: hashlib.md5(read.read()).digest())
            before, cursor = look(None)
        version, own = look(None)
        assert version != before
        assert look(cursor)[0] == version
        assert look(json.dumps(json.loads(cursor)["files"]))[0] == version  # as it once was
        monkeypatch.setattr(manifest, "_look_at", None)
        assert look(own) == (version, own)
