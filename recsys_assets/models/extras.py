"""Extras: optional libraries that some families need to fit, never to rank.

Which family needs which is its class's `extra`. Whether an entry of the grid can be trained is asked
in `grid.py`; nothing here imports such a library.
"""

import importlib.util

from recsys_assets.errors import ExtraError


def is_installed(extra: str) -> bool:
    """Return whether the library that an extra is named after is installed."""
    return importlib.util.find_spec(extra) is not None


def how_to_get(extra: str) -> str:
    """Return what to type to install an extra."""
    return f"pip install 'recsys_assets[{extra}]', or here: make setup EXTRAS={extra}"


def require(family: str, extra: str) -> None:
    """Raise ExtraError, which says how to install it, unless an extra is installed."""
    if not is_installed(extra):
        raise ExtraError(
            f"{family}: training needs {extra}, which is not installed: {how_to_get(extra)}"
        )
