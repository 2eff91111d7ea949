"""Count words: the library behind the `tally` command."""

from .counting import count, top

__all__ = ["count", "top"]
__version__ = "1.0.0"
