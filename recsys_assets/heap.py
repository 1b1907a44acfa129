"""Giving freed memory back to the system between the steps of one process.

What is freed stays with the allocator that handed it out, and the next step's peak comes on top of it.
How much memory there may be at all is said in `memory.py`.
"""

import ctypes
import sys
from typing import Final

import pyarrow as pa

# Of glibc alone; other systems' allocators give back by themselves.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back_freed() -> None:
    """Return freed memory of Arrow's pool and of the C library's heap to the system; takes 1 ms."""
    pa.default_memory_pool().release_unused()
    if _TRIM is not None:
        _TRIM(0)
