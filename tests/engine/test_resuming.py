"""Kept workspaces: which are gone on in, which are kept again, which go."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sparki_daemon.engine.resuming import MOST, Kept
from sparki_daemon.model.job import JobState
from sparki_daemon.model.plan import JobPlan, Plan
from sparki_daemon.runner.kept import RESUME, digest
from sparki_daemon.store.jobs import JobRow


def folder(path: Path, *, resumes: bool = True, at: float = 0) -> Path:
    (path / "workspace").mkdir(parents=True)
    if resumes:
        (path / RESUME).write_text(json.dumps({}))
        if at:
            os.utime(path / RESUME, (at, at))
    return path


def queued(uid: str, *, resume: str = "") -> JobRow:
    texts = {"key": uid, "base": uid, "name": uid, "reason": "", "runner": "", "log": "", "created": ""}
    numbers = {"position": 0, "tolerated": False, "cached": False, "epoch": 1, "attempt": 2, "log_bytes": 0}
    return JobRow(uid=uid, run="r-1", state=JobState.QUEUED, outputs={}, started=None, finished=None, resume=resume, **texts, **numbers)  # type: ignore[arg-type]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(str(tmp_path))


def test_what_an_ended_run_worked_in_goes_but_for_a_workspace_that_no_step_has_touched_since(kept: Kept, tmp_path: Path) -> None:
    run = tmp_path / "work/r-1"
    folder(run / "j-1-0.1", resumes=False)
    folder(run / "j-1-1.1")

    assert kept.clear(str(run), "r-1", 1) == []
    assert not run.exists()
    assert os.path.exists(os.path.join(kept.place("j-1-1", 1), RESUME))


def test_what_a_later_attempt_goes_on_in_stays_until_that_has_ended(kept: Kept, tmp_path: Path) -> None:
    work = folder(tmp_path / "work/r-1/j-1-0.1", resumes=False)
    kept.want("r-1", 2, {"j-1-0": {"kept": kept.place("j-1-0", 1), "work": str(work)}})

    kept.clear(str(work.parent), "r-1", 1)
    assert work.exists()
    kept.clear(str(work.parent), "r-1", 2)
    assert not work.parent.exists()


def test_the_last_few_are_kept_and_none_that_is_old_but_all_that_are_wanted(kept: Kept, tmp_path: Path) -> None:
    places = [folder(Path(kept.place("j-1", number))) for number in range(MOST + 2)]
    for number, place in enumerate(places):
        stamp = (place / RESUME).stat().st_mtime - 100 + number
        os.utime(place / RESUME, (stamp, stamp))
    os.utime(places[-1] / RESUME, (1, 1))
    kept.want("r-1", 2, {"j-1": {"kept": str(places[0]), "work": "/nowhere"}})

    assert kept.sweep() == []
    assert [place for place in places if not place.exists()] == [places[-1]]
    kept.want("r-1", 1, {})
    kept.clear(str(tmp_path / "work"), "r-1", 2)
    folder(Path(kept.place("j-2", 1)))
    kept.sweep()
    assert not places[0].exists()


async def test_another_engine_knows_what_is_gone_on_in(kept: Kept, tmp_path: Path) -> None:
    places = [folder(Path(kept.place(f"j-{number}", 1))) for number in range(MOST + 2)]
    for number, place in enumerate(places):
        os.utime(place / RESUME, (time.time() - 100 + number,) * 2)
    goes_on = queued("j-0", resume=json.dumps({"kept": str(places[0]), "step": 0, "work": str(tmp_path / "work/r-1/j-0.1")}))

    another = Kept(str(tmp_path))
    another.restore([goes_on, queued("j-1")], {"r-1": 2})
    another.sweep()
    assert [place for place in places if not place.exists()] == [places[1]]


def test_a_workspace_whose_runner_died_before_a_step_is_found_under_the_name_that_it_had_at_work(kept: Kept, tmp_path: Path) -> None:
    work = folder(tmp_path / "work/r-1/j-1-0.1")
    state = {"failed": 0, "names": ["a"], "digests": [digest(())], "work": str(work)}
    (work / RESUME).write_text(json.dumps(state))
    lost = replace(queued("j-1-0", resume=json.dumps({"kept": "/gone", "step": 0, "work": str(work)})), state=JobState.LOST, epoch=2)
    plan = Plan(name="a", file="a.yml", jobs=(JobPlan(id="j-1-0", base="j-1-0", name="a", line=1, column=1),))

    kept.clear(str(work.parent), "r-1", 2)
    assert kept.choose(plan, [lost], "") == {"j-1-0": {"kept": kept.place("j-1-0", 1), "step": 0, "work": str(work)}}
