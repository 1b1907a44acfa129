"""The memory budget: what the machine has, what the setting allows, and refusing what cannot fit.

How much a model needs is its family's own estimate (`Recommender.memory_needed`); DuckDB is given the
same budget as a limit of its own. The environment is read in `settings.py` alone.
"""

import os
import re
from pathlib import Path

from recsys_assets.errors import DataError

DEFAULT_SHARE = 0.6
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's limit is, in versions 2 and 1; a machine without one has neither or no number."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Return the bytes of a size as DuckDB writes it: '4GB' is 4 * 10**9, '4GiB' is 4 * 2**30.

    Raises
    ------
    ValueError
        If it is not a size above 0.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a size such as '4GB' or '800MiB'")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** ("KMGT".index(match[2].upper()) + 1 if match[2] else 0))


def machine_memory() -> int:
    """Return the bytes that this process may have at most: the machine's or the container's."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CGROUP_LIMITS:
        if file.exists():
            text = file.read_text().strip()
            if text.isdigit():  # "max" where there is no limit
                sizes.append(int(text))
    return min(sizes)


def memory_budget(limit: str | None) -> int:
    """Return the budget in bytes: the setting's, or 60 % of what the machine has."""
    return int(machine_memory() * DEFAULT_SHARE) if limit is None else parse_bytes(limit)


def check_fits(name: str, needed: int, budget: int) -> None:
    """Refuse work that needs more memory than the budget.

    Raises
    ------
    DataError
        Naming what would be needed and the settings that help.
    """
    if needed > budget:
        raise DataError(
            f"{name}: needs about {needed / 2**30:.1f} GiB of memory for this data, and the budget "
            f"is {budget / 2**30:.1f} GiB. Raise RECSYS_MEMORY_LIMIT where the machine has more, "
            "lower the entry's memory_mb, max_items, max_neighbours or factors or raise its "
            "min_count or min_playlists in the candidates file, or take a part of the playlists "
            "with RECSYS_SAMPLE_PERCENT"
        )
