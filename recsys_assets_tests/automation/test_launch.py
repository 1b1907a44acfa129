"""What decides whether anything is made again."""

import pytest

from recsys_assets.automation.launch import _prepared_state
from recsys_assets.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("similarity_search", "exact", True),
        ("similarity_recall", 0.9, True),
        ("neighbours", 3, True),
        ("warm_start", True, True),
        ("incremental", False, True),
        ("top_artists", 3, False),
        ("split_salt", "another", False),
    ],
)
def test_settings_that_change_the_splits(
    settings: Settings, name: str, value: object, *, same: bool
) -> None:
    """Prevents `make tune` from reading everything again for a setting of the delivery, or from not."""
    changed = settings.model_copy(update={name: value})
    assert (_prepared_state(changed) == _prepared_state(settings)) == same
