"""Says a line once, however often it comes in a row."""

from __future__ import annotations

from collections.abc import Callable


class Repeats:
    """`tell` gets each line that differs from the one before, and how often that had come again."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._last = ""
        self._again = 0

    def __call__(self, line: str) -> None:
        if line == self._last:
            self._again += 1
            return
        self.close()
        self._last = line
        self._tell(line)

    def close(self) -> None:
        """Nothing comes any more."""
        if self._again:
            self._tell(f"… and {self._again:,} more time{'' if self._again == 1 else 's'}")
        self._again = 0
