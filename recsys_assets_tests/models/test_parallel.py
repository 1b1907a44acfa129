"""Blocks of work for threads, and what they share."""

import numpy as np

from recsys_assets.models.parallel import Scratch


def test_scratch_is_handed_on_and_never_shared() -> None:
    """Prevents an array for each block, and two blocks that write into the same one."""
    scratch = Scratch(lambda: np.zeros(3))
    with scratch.lent() as first, scratch.lent() as second:
        assert first is not second
    with scratch.lent() as third, scratch.lent() as fourth:
        assert {id(third), id(fourth)} == {id(first), id(second)}
