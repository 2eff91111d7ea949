"""What a dead runner leaves: the rest of its spool, and how it died."""

from __future__ import annotations

import os


def rest_of(path: str, offset: int) -> bytes:
    """The whole lines of a spool from `offset` on; none where it is gone. A torn last line was never written whole: it didn't happen."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def how_it_died(status: int) -> str:
    """The reason that a `lost` job bears. `status` is waitpid's."""
    if os.WIFSIGNALED(status):
        return f"its runner was killed by signal {os.WTERMSIG(status)}"
    return f"its runner exited with status {os.WEXITSTATUS(status)}"
