"""What a keeper refuses, as it is told over its socket."""

from __future__ import annotations


class KeeperError(Exception):
    """A request that was not done. `code` is stable."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint
