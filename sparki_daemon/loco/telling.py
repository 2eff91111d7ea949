"""Writes down for people what a deployment's steps do, when, and how each ended: in its log, among what its commands print."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sparki_daemon.loco.protocol import Seen, Sight, StepFailed, Steps, Work
from sparki_daemon.loco.settings import is_asked
from sparki_daemon.model.deploy_log import Mark, written
from sparki_daemon.model.deployment import INDEX, STEPS
from sparki_daemon.model.problem import SparkiError
from sparki_daemon.system.clock import now_ms, rfc3339
from sparki_daemon.system.files import make_folder

T = TypeVar("T")
SIGHTS = {
    Seen.DONE: "it has happened",
    Seen.ABSENT: "nothing of it has happened",
    Seen.FAILED: "it failed",
    Seen.UNCLEAR: "it can't be told",
}


def tell(path: str, step: str, text: str, mark: Mark = Mark.SAID) -> None:
    """Append to the log at `path`, on a line of its own. A full disk takes nothing, and keeps no step from its end."""
    data = written(rfc3339(now_ms()), step, mark, text).encode("utf-8", "replace")
    with contextlib.suppress(OSError):
        make_folder(os.path.dirname(path), parents=1)
        with open(path, "ab+") as file:
            if size := file.seek(0, os.SEEK_END):
                file.seek(size - 1)
                data = data if file.read(1) == b"\n" else b"\n" + data  # a command has printed half a line
            file.write(data)


class Telling:
    """Fills `Steps` over others, and writes to the log of each work what they do."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.capabilities = steps.capabilities

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        if not is_asked(step, work.release.settings):
            return await self._steps.do(step, work)
        return await _told(step, work, STEPS[INDEX[step]].does, lambda telling: self._steps.do(step, telling))

    async def look(self, step: str, work: Work) -> Sight:
        tell(work.log, step, f"look whether this has happened: {STEPS[INDEX[step]].does}", Mark.BEGUN)
        sight = await self._steps.look(step, _with_step(step, work))
        tell(work.log, step, SIGHTS[sight.seen] + (f": {sight.reason}" if sight.reason else ""), Mark.ENDED)
        return sight

    async def undo(self, step: str, work: Work) -> None:
        await _told(
            step, work, STEPS[INDEX[step]].undone or f"undo: {STEPS[INDEX[step]].does}", lambda telling: self._steps.undo(step, telling)
        )


def _with_step(step: str, work: Work) -> Work:
    return replace(work, tell=lambda text: tell(work.log, step, text))


async def _told(step: str, work: Work, what: str, do: Callable[[Work], Awaitable[T]]) -> T:
    tell(work.log, step, what, Mark.BEGUN)
    began, how = time.monotonic(), ""
    try:
        given = await do(_with_step(step, work))
        how = "done in"
    except asyncio.CancelledError:
        how = "stopped after"
        raise
    except SparkiError as error:
        how = f"failed: {error.in_a_line}\nafter"
        raise
    except Exception as error:
        how = f"failed: {error if isinstance(error, StepFailed) else repr(error)}\nafter"
        raise
    finally:
        if how:  # else this process is at its end
            tell(work.log, step, f"{how} {_span(time.monotonic() - began)}", Mark.ENDED)
    return given


def _span(seconds: float) -> str:
    return f"{int(seconds * 1000)} ms" if seconds < 1 else f"{seconds:.1f} s"
