"""Where a run's secrets come from: what was given with it, the project's own, and the repository's `.env` last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.vault.env_file import read_env_file
from sparki_daemon.vault.store import Secrets

DOT_ENV = ".env"
EVERY = "*"
"""Among the names that a job reads: all that there are, as `toJSON(secrets)` does."""


class Sources:
    """The secrets that a run of one project may read. `given`: values that came with the request; `root`: of the working tree."""

    def __init__(self, secrets: Secrets, project: str, root: str, given: Mapping[str, str] | None = None) -> None:
        self._secrets = secrets
        self._project = project
        self._root = root
        self._given = dict(given or {})

    def names(self) -> frozenset[str]:
        """All that have a value. Raises SparkiError for a vault or a file that can't be read."""
        return frozenset((*self._given, *self._secrets.places(self._project), *self._dot_env()))

    def values(self, read: Iterable[str], wanted: Iterable[str] = ()) -> dict[str, str]:
        """What was given, and the values of the names in `read` that have one.

        `wanted` were asked for by name and must have one. Raises SparkiError `secret_not_set` with each that has none.
        """
        names = {*read, *wanted} - self._given.keys()
        if EVERY in names:
            names |= self._secrets.places(self._project).keys()
        found = self._secrets.values(self._project, sorted(names))
        if missing := names - found.keys():
            found |= {name: value for name, value in self._dot_env().items() if name in missing}
        found |= self._given
        if left := sorted(set(wanted) - found.keys()):
            raise SparkiError(*(_not_set(name) for name in left), exit_code=ExitCode.USAGE)
        return found

    def _dot_env(self) -> dict[str, str]:
        path = os.path.join(self._root, DOT_ENV)
        found = read_env_file(path, DOT_ENV, secret=True, lenient=True) if os.path.isfile(path) else {}
        return {name.upper(): value for name, value in found.items()}


def _not_set(name: str) -> Problem:
    message = f"the secret '{name}' has no value: it is neither in the environment nor set for this project"
    return Problem(code="secret_not_set", message=message, hint=f"sparki secret set {name}")
