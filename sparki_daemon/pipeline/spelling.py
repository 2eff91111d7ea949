"""Guess what a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_MOST_TRIED = 1000


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to `word` ignoring case, or an empty string. Of very many words 1,000 are tried."""
    return _nearest(word, tuple(known))


@lru_cache(maxsize=256)  # a file says the same wrong word again and again
def _nearest(word: str, known: tuple[str, ...]) -> str:
    import difflib  # noqa: PLC0415  only errors pay for it

    by_lower = {name.lower(): name for name in sorted(known)[:_MOST_TRIED]}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[near[0]]}'?" if near else ""


def listed(words: Iterable[str], *, last: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    *front, end = words
    return f"{', '.join(front)} {last} {end}" if front else end
