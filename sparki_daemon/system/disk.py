"""How much room a file system has."""

from __future__ import annotations

import os

FULL_BELOW_BYTES = 1024 * 1024  # a job's log takes less, but the state file and whatever the jobs write do not


def free_bytes(folder: str) -> int | None:
    """Bytes that this process may still write where `folder` is; 0 where no more files can be made. None: the system does not say.

    Source: statvfs(3): `f_bfree` counts blocks that are kept for the superuser, `f_bavail` does not.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if found.f_files and not (found.f_favail or found.f_ffree):  # file systems without a table of files have 0 of 0
        return 0
    return (found.f_bavail if os.geteuid() else found.f_bfree) * found.f_frsize


def is_full(free: int | None) -> bool:
    """Whether `free` bytes, as `free_bytes` tells them, are too few to work with."""
    return free is not None and free < FULL_BELOW_BYTES
