"""Stands for an adapter that can't be loaded: a deployment fails with the reason, and one that it finds half done asks a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from sparki_daemon.loco.protocol import Capabilities, Observed, Place, Release, Seen, Sight, StepFailed, Work
from sparki_daemon.model.problem import Problem, SparkiError

FIRST = "lock"  # the one step that leaves nothing to take back


class MissingAdapter:
    """Fills `Adapter`; `why` is what kept the real one from being loaded."""

    name = ""
    capabilities = Capabilities(strategies=frozenset())

    def __init__(self, why: str) -> None:
        self._why = why

    def problems(self, place: Place) -> Sequence[Problem]:  # noqa: ARG002  # the seam's signature, here and below
        return [self._problem()]

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:  # noqa: ARG002
        raise StepFailed(self._why)

    async def look(self, step: str, work: Work) -> Sight:  # noqa: ARG002
        return Sight(Seen.UNCLEAR, reason=self._why)

    async def undo(self, step: str, work: Work) -> None:  # noqa: ARG002
        if step != FIRST:
            raise StepFailed(self._why)

    async def observe(self, place: Place) -> Observed:  # noqa: ARG002
        return Observed(release="", healthy=None)

    def logs(self, place: Place, *, release: str, follow: bool) -> AsyncIterator[str]:  # noqa: ARG002
        raise SparkiError(self._problem())

    async def execute(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> int:  # noqa: ARG002
        raise SparkiError(self._problem())

    async def maintenance(self, place: Place, *, on: bool) -> None:  # noqa: ARG002
        raise SparkiError(self._problem())

    async def down(self, place: Place) -> None:  # noqa: ARG002
        raise SparkiError(self._problem())

    async def forget(self, place: Place, release: Release) -> None:  # noqa: ARG002
        raise SparkiError(self._problem())

    def _problem(self) -> Problem:
        return Problem(code="unknown_adapter", message=self._why)
