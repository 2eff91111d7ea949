"""Holds an adapter, which others may have written, to what it may do to loco: it gives JSON, and fails its own step at the worst."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sparki_daemon.loco.protocol import Sight, StepFailed, Steps, Work

T = TypeVar("T")


class Guarded:
    """Fills `Steps` over others. Without it what can't be kept is tried again for ever, and `exit` ends loco with all that it drives."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.capabilities = steps.capabilities

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        return _json(await _caught(self._steps.do(step, work)))

    async def look(self, step: str, work: Work) -> Sight:
        sight = await _caught(self._steps.look(step, work))
        if not isinstance(sight, Sight):
            raise StepFailed(f"the adapter's look gave no Sight, but {type(sight).__name__}")
        return replace(sight, data=_json(sight.data))

    async def undo(self, step: str, work: Work) -> None:
        await _caught(self._steps.undo(step, work))


async def _caught(doing: Awaitable[T]) -> T:
    try:
        return await doing
    except SystemExit as error:
        raise StepFailed(f"the adapter called exit({error.code!r})") from error


def _json(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What an adapter gave, as it will be read back."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(given or {})))
    except (TypeError, ValueError) as error:
        raise StepFailed(f"what the adapter gave of this step is no JSON: {error}") from error
    return found
