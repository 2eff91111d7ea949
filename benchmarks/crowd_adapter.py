# ruff: noqa: ARG002  # a seam is filled
"""The adapter of `deploy_crowd`: every step waits a little, as for a platform, and writes down who did it where."""

from __future__ import annotations

import asyncio
import os

from sparki_daemon.loco.protocol import Capabilities, Observed, Seen, Sight, Strategy

STEP_S = 0.005


class CrowdAdapter:
    """Of environment `7-3` the target is 7. What is done lies in one file, a line a step, in the order in which it was done."""

    name = "crowd"
    capabilities = Capabilities(strategies=frozenset({Strategy.BLUEGREEN}))

    def problems(self, place):
        return []

    async def do(self, step, work):
        self._note(work, step, "begins")
        await asyncio.sleep(STEP_S)
        self._note(work, step, "ends")
        return {}

    def _note(self, work, step, what):
        with open(os.environ["CROWD_BOOK"], "a", encoding="utf-8") as book:
            book.write(f"{work.place.environment.partition('-')[0]} {work.deployment} {step} {what}\n")

    async def look(self, step, work):
        return Sight(Seen.ABSENT)

    async def undo(self, step, work):
        self._note(work, step, "undone")

    async def observe(self, place):
        return Observed(release="", healthy=None)

    async def logs(self, place, *, release, follow):
        for line in ():
            yield line

    async def execute(self, place, command, tell):
        return 0

    async def maintenance(self, place, *, on):
        pass

    async def down(self, place):
        pass

    async def forget(self, place, release):
        pass


ADAPTER = CrowdAdapter()
