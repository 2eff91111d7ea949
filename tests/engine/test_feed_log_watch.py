"""Who follows a job's text is woken, and the runner is asked only while someone does."""

from __future__ import annotations

import asyncio

from sparki_daemon.engine.log_watch import LogWatch
from sparki_daemon.model.event import Event


class Asked:
    def __init__(self, net_s: float = 60.0) -> None:
        self.calls: list[str] = []
        self.watch = LogWatch(lambda uid: self.calls.append(f"+{uid}"), lambda uid: self.calls.append(f"-{uid}"), net_s=net_s)


async def test_a_runner_is_asked_by_the_first_follower_and_released_by_the_last() -> None:
    asked = Asked()
    with asked.watch.waking("a", lambda: None):
        with asked.watch.waking("a", lambda: None), asked.watch.waking("b", lambda: None):
            assert asked.watch.watched("a")
        assert asked.calls == ["+a", "+b", "-b"]
    assert asked.calls == ["+a", "+b", "-b", "-a"]
    assert not asked.watch.watched("a")


async def test_a_notice_wakes_every_follower_of_its_job_and_no_other() -> None:
    asked = Asked()
    woken: list[str] = []
    with (
        asked.watch.waking("a", lambda: woken.append("a1")),
        asked.watch.waking("a", lambda: woken.append("a2")),
        asked.watch.waking("b", lambda: woken.append("b")),
    ):
        asked.watch.notify("a")
        asked.watch.notify("nobody")
    assert woken == ["a1", "a2"]


async def test_the_events_of_a_jobs_steps_and_its_end_are_notices() -> None:
    asked = Asked()
    woken: list[str] = []
    with asked.watch.waking("a", lambda: woken.append("a")):
        for seq, kind in enumerate(("job.started", "step.started", "step.finished", "job.finished", "run.finished"), 1):
            asked.watch.told(Event(seq, "", "r-1", kind, {"uid": "a"} if kind != "run.finished" else {}))
            asked.watch.told(Event(seq, "", "r-1", kind, {"uid": "b"}))
    assert woken == ["a", "a", "a"]


async def test_a_notice_between_two_looks_is_not_lost() -> None:
    asked = Asked()
    async with asked.watch.watch("a") as changed:
        asked.watch.notify("a")
        asked.watch.notify("a")
        await changed()
        waiting = asyncio.create_task(changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        asked.watch.notify("a")
        await waiting


async def test_a_lost_notice_costs_the_net_and_no_more() -> None:
    asked = Asked(net_s=0.01)
    async with asked.watch.watch("a") as changed:
        await changed()
    assert asked.calls == ["+a", "-a"]


async def test_a_follower_that_fails_is_let_go() -> None:
    asked = Asked()
    try:
        async with asked.watch.watch("a"):
            raise ValueError
    except ValueError:
        pass
    assert asked.calls == ["+a", "-a"]
