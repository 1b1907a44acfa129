"""Memory that was freed goes back to the system."""

from pathlib import Path

import numpy as np
import pytest

from recsys_assets import heap

STATM = Path("/proc/self/statm")


@pytest.mark.skipif(
    heap._TRIM is None or not STATM.exists(), reason="needs glibc's malloc_trim and /proc"
)
def test_freed_memory_goes_back() -> None:
    """Freed blocks below one in use would count towards the next step's peak."""
    blocks = [np.ones(8_000) for _ in range(2_000)]  # 64 KB: from the heap, not mapped each
    last = np.ones(8_000)
    blocks.clear()
    before = int(STATM.read_text().split()[1])
    heap.give_back_freed()
    pages = before - int(STATM.read_text().split()[1])
    assert pages * 4096 > 64_000_000
    assert last.sum() == 8_000
