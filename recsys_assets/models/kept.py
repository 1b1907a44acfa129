"""What fits of one family on the same data have in common, made once for all of them.

A search fits a family many times, and many a hyperparameter leaves the costly part as it is: however
the trees of `two_stage` learn, its members are the same. Which parts those are, and what decides
them, the families say; who keeps them from fit to fit is `tuning/search.py`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Part = TypeVar("Part")


class Kept:
    """Parts of the last fits on the same data: of each name one, with what decided it.

    A part is handed out again, not copied: who takes it must not change it. Each name's part stays
    until it is made anew, beside the others: with `blend`, two sets of members.
    """

    def __init__(self) -> None:
        self._parts: dict[str, tuple[object, Any]] = {}

    def part(self, name: str, key: object, make: Callable[[], Part]) -> Part:
        """Return the part of that name if `key` is what it was made for, else make it anew.

        Parameters
        ----------
        key
            All that decides the part beside the data; compared by ``==``.
        """
        if name in self._parts:
            if self._parts[name][0] == key:
                kept: Part = self._parts[name][1]
                return kept
            del self._parts[name]  # else two of them are in memory while the next is made
        made = make()
        self._parts[name] = key, made
        return made


class KeptNothing(Kept):
    """Makes every part anew and keeps none: a single fit needs its memory."""

    def part(self, name: str, key: object, make: Callable[[], Part]) -> Part:
        """Return a new part."""
        del name, key
        return make()
