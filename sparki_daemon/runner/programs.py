"""Where programs are: a look through PATH, remembered."""

from __future__ import annotations

import os
from collections.abc import Mapping


class Programs:
    """Finds programs as a shell would. What was found is believed for as long as it is there."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}

    def find(self, name: str, env: Mapping[str, str]) -> str | None:
        """The path of a program by the PATH of `env`; a name with a slash is a path already. None: there is none."""
        if "/" in name:
            return name if _runs(name) else None
        path = env.get("PATH", os.defpath)
        known = self._found.get((name, path))
        if known and _runs(known):
            return known
        for folder in path.split(os.pathsep):
            candidate = os.path.join(folder or ".", name)
            if _runs(candidate):
                if os.path.isabs(candidate):  # another means another file in the next folder
                    self._remember(name, path, candidate)
                return candidate
        return None

    def _remember(self, name: str, path: str, program: str) -> None:
        if len(self._found) > 256:
            self._found.clear()
        self._found[name, path] = program


def _runs(path: str) -> bool:
    return os.access(path, os.X_OK) and not os.path.isdir(path)
