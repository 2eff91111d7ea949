"""The values that an active run was given: sealed on disk, for the engine that comes after this one, until the run has ended."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping

from sparki_daemon.system import files

_ENDING = ".sealed"


class RunSecrets:
    """One file for each attempt at a run that has secrets. The file comes before the run's rows, and goes after its end."""

    def __init__(self, state: str) -> None:
        self._folder = os.path.join(state, "secrets")
        self._runs = os.path.join(self._folder, "runs")
        self._known: dict[tuple[str, int], dict[str, str]] = {}

    def keep(self, run: str, attempt: int, values: Mapping[str, str]) -> None:
        """Keep the values for as long as the attempt lasts. Raises OSError, SparkiError `vault_key`."""
        if not values:
            return
        from sparki_daemon.vault.sealing import Sealer  # noqa: PLC0415  # most runs have none
        from sparki_daemon.vault.store import locked  # noqa: PLC0415

        with locked(self._folder):  # a key may be made
            os.makedirs(self._runs, mode=0o700, exist_ok=True)
            sealed = Sealer(self._folder).seal(json.dumps(dict(values)).encode(), _about(run, attempt))
            self._known[run, attempt] = dict(values)  # before the file: no sweep takes it for a left-over
            files.write_atomic(self._path(run, attempt), sealed)

    def of(self, run: str, attempt: int) -> dict[str, str]:
        """The values of an active attempt; none where it has none. Raises OSError, SparkiError `vault_key`."""
        key = run, attempt
        if key not in self._known:
            try:
                with open(self._path(run, attempt), "rb") as file:
                    sealed = file.read()
            except FileNotFoundError:
                sealed = b""  # most runs have none
            self._known[key] = self._opened(run, attempt, sealed) if sealed else {}
        return self._known[key]

    def _opened(self, run: str, attempt: int, sealed: bytes) -> dict[str, str]:
        from sparki_daemon.vault.sealing import Sealer  # noqa: PLC0415  # as above

        values: dict[str, str] = json.loads(Sealer(self._folder).open(sealed, _about(run, attempt)))
        return values

    def forget(self, run: str, attempt: int) -> None:
        """The attempt has ended, or did not begin."""
        self._known.pop((run, attempt), None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(run, attempt))

    def sweep(self, is_active: Callable[[str, int], bool]) -> None:
        """Remove what killed engines left: the files of attempts that are not active, and that this process did not keep."""
        for name in os.listdir(self._runs) if os.path.isdir(self._runs) else ():
            run, _, attempt = name.removesuffix(_ENDING).rpartition(".")
            whole = name.endswith(_ENDING) and attempt.isdigit()
            if not whole or ((run, int(attempt)) not in self._known and not is_active(run, int(attempt))):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._runs, name))

    def _path(self, run: str, attempt: int) -> str:
        return os.path.join(self._runs, f"{run}.{attempt}{_ENDING}")


def _about(run: str, attempt: int) -> str:
    return f"run\0{run}\0{attempt}"
