"""Keeps the values of secrets in memory, so that a service can be restarted: never in a file.

They lie in a memory file without a name. The front holds its descriptor, unread, and hands it to the next keeper when one was killed. After
a reboot, or when keeper and front died together, they are gone: then the keeper says `needs_values`, and whoever has them starts the
service again. Where the system has no such file (macOS), they are lost with the keeper.
"""

from __future__ import annotations

import json
import os
import sys

Values = dict[str, dict[str, str]]  # by release, then by name


def seal(values: Values) -> int | None:
    """A descriptor that holds these values. Always a new one: a half-written file is never handed over."""
    if sys.platform != "linux":
        return None
    fd = os.memfd_create("sparki-values", os.MFD_CLOEXEC)
    data = json.dumps(values).encode()
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def unseal(fd: int) -> Values:
    """The values behind a descriptor."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    found = json.loads(data) if data else {}
    return {str(release): {str(name): str(value) for name, value in named.items()} for release, named in found.items()}
