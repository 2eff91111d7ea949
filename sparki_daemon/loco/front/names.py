"""Where a front and its keeper find each other: descriptors, and files in the environment's folder."""

from __future__ import annotations

PUBLIC_FD, CONTROL_FD = 3, 4  # where the front finds the public socket and its control socket, both listening


def lock_name(number: int) -> str:
    """The file whose lock a front holds for its life; it says who that is."""
    return f"front-{number}.lock"


def sheet_name(number: int) -> str:
    """The file that a front counts in."""
    return f"front-{number}.counts"


def control_name(number: int) -> str:
    """The socket at which a front listens for its keeper."""
    return f"front-{number}.sock"
