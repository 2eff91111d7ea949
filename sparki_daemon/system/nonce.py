"""The mark that every process of a job carries in its environment, so that strays are known for ours."""

from __future__ import annotations

import os

from sparki_daemon.system.digest import blake2b

VARIABLE = "SPARKI_JOB"


def home_digest(home: str) -> str:
    """12 hexadecimal digits that stand for the state folder: two daemons never end each other's processes."""
    return blake2b(os.path.realpath(home).encode(errors="surrogateescape"), 6)


def memory_folder(home: str) -> str:
    """Where the small files of the jobs of the state folder `home` lie in memory, on a system that has such a file system."""
    return f"/dev/shm/sparki-{os.getuid()}-{home_digest(home)}"


def nonce(home: str, runner: str, job: str, epoch: int) -> str:
    """The value of SPARKI_JOB for one attempt at a job by one runner."""
    return f"{home_digest(home)}.{runner}.{job}.{epoch}"


def runner_of(value: str, home: str) -> str | None:
    """The runner that a nonce names; None where it is another state folder's, or no nonce."""
    parts = value.split(".")
    return parts[1] if len(parts) == 4 and parts[0] == home_digest(home) else None


def fast_folder(home: str) -> str:
    """A 0700 folder in memory for the jobs of the state folder `home`, or one in it where there is no such file system."""
    if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
        path = memory_folder(home)
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.stat(path, follow_symlinks=False)
        if found.st_uid == os.getuid() and not found.st_mode & 0o077:  # else somebody else owns the name in memory
            return path
    path = os.path.join(home, "temp")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path
