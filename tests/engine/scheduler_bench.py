"""A scheduler with its store, and runners that do what a test says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparki_daemon.builder.ports import Arrived, Attached, Gone, Turn
from sparki_daemon.engine.ledger import Ledger
from sparki_daemon.engine.scheduler import NewRun, Scheduler
from sparki_daemon.engine.specs import Specs
from sparki_daemon.model.plan import JobPlan, Plan, StepPlan, Template
from sparki_daemon.queue.embedded import EmbeddedQueue
from sparki_daemon.store import jobs as job_rows
from sparki_daemon.store import journal, runs
from sparki_daemon.store.sqlite import SqliteStore

RUN = "r-0a"
WAITING = b"""
on: push
jobs:
  pick: {runs-on: x, outputs: {all: "${{ steps.s.outputs.all }}"}, steps: [{id: s, run: "true"}]}
  test:
    needs: pick
    runs-on: x
    strategy: {matrix: "${{ fromJSON(needs.pick.outputs.all) }}"}
    steps: [{run: "true"}]
  last: {needs: test, runs-on: x, steps: [{run: "true"}]}
"""


def job(ident: str, *needs: str, condition: str = "", **more: Any) -> JobPlan:
    steps = (StepPlan(index=0, line=1, column=1, run=Template("true")),)
    when = Template(condition) if condition else None
    return JobPlan(id=ident, base=more.pop("base", ident), name=ident, line=1, column=1, needs=needs, condition=when, steps=steps, **more)


@dataclass
class Bench:
    """A scheduler with its store, and runners that do what the test says."""

    store: SqliteStore
    scheduler: Scheduler
    ledger: Ledger
    spools: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[str, int, str]] = field(default_factory=dict)  # job key → runner, epoch, uid
    holding: dict[str, list[str]] = field(default_factory=dict)  # runner → uids
    links: dict[str, str] = field(default_factory=dict)  # job key → uid of the job whose success it waits for, in order
    stops: list[str] = field(default_factory=list)

    async def begin(self, *jobs: JobPlan, run: str = RUN, **options: Any) -> None:
        new = NewRun(
            id=run,
            project="p-1",
            plan=Plan(name="ci", file="ci.yml", jobs=jobs),
            number=await self.store.read(lambda tx: runs.next_number(tx, "p-1", "ci.yml")),
            title="",
            source={},
            spec={"github": {}, "inputs": {}, "vars": {}},
            options=options,
        )
        await self.store.write(lambda tx: self.scheduler.begin(tx, new))

    async def turn(self, *arrived: Arrived, gone: Sequence[Gone] = (), met: Sequence[Attached] = (), idle: Sequence[str] = ()) -> Turn:
        told: list[Turn] = []
        holding = {**self.holding, **{name: [] for name in idle}}
        turn = await self.ledger.turn(list(arrived), list(gone), list(met), holding, committed=told.append)
        assert told == [turn]
        dead = {one.runner for one in gone}
        self.holding = {name: [job for job in held if job not in turn.ended] for name, held in holding.items() if name not in dead}
        for runner, spec in turn.assign:
            self.held[spec["key"]] = (runner, spec["epoch"], spec["job"])
            self.holding[runner].append(spec["job"])
            self.links.pop(spec["key"], None)
            if "after" in spec:
                self.links[spec["key"]] = spec["after"]["job"]
        self.stops += [stop.job for stop in turn.stop]
        return turn

    def says(self, key: str, *kinds: str, result: str = "success", **more: Any) -> Arrived:
        """What the runner that holds `key` writes to its spool: one line a kind."""
        runner, epoch, uid = self.held[key]
        base = {"job": uid, "epoch": epoch, "t": 1_700_000_000_000}
        ends = {"result": result, "reason": "", "outputs": {}, "log": 0, **more}
        step = {"step": 0, "name": "Run true", "from": 0}
        done = {"outcome": "success", "conclusion": "success", "exit_code": 0, "duration_ms": 1, "to": 0, "reason": "", "left": []}
        bodies = {"job.returned": {}, "job.started": {}, "step.started": step, "step.finished": {**step, **done}, "job.finished": ends}
        data = b"".join(json.dumps({"kind": kind, **base, **bodies[kind]}).encode() + b"\n" for kind in kinds)
        offset = self.spools.get(runner, 0)
        self.spools[runner] = offset + len(data)
        return Arrived(runner, offset, data)

    async def does(self, key: str, result: str = "success", **more: Any) -> Turn:
        """The runner that holds `key` does it, and gives the links back that may not follow."""
        said = [self.says(key, "job.started", "job.finished", result=result, **more)]
        barred = {self.held[key][2]} if result != "success" else set()
        for link, before in self.links.items():
            if before in barred:
                barred.add(self.held[link][2])
                said.append(self.says(link, "job.returned"))
        return await self.turn(*said)

    async def states(self, run: str = RUN) -> dict[str, str]:
        return {row.key: row.state.value for row in await self.store.read(lambda tx: job_rows.of_run(tx, run))}

    async def status(self, run: str = RUN) -> str:
        row = await self.store.read(lambda tx: runs.get(tx, run))
        assert row is not None
        return row.state.value

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.store.read(lambda tx: journal.since(tx, 0, limit=1000))]

    async def cancel(self, *, force: bool = False) -> list[str]:
        return [stop.job for stop in await self.store.write(lambda tx: self.scheduler.cancel(tx, RUN, force=force))]

    async def retry(self, *, failed: bool) -> int:
        return await self.store.write(lambda tx: self.scheduler.retry(tx, RUN, failed=failed))


def parts(store: SqliteStore, folder: Path) -> tuple[Scheduler, Ledger]:
    queue, specs = EmbeddedQueue(), Specs(str(folder), str(folder / "fast"))
    scheduler = Scheduler(store, queue, specs)
    return scheduler, Ledger(store, queue, specs, scheduler)
