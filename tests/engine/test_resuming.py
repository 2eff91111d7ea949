"""Kept workspaces: which are gone on in, which are kept again, which go."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparki_daemon.engine.resuming import MOST, Kept
from sparki_daemon.runner.kept import RESUME


def folder(path: Path, *, resumes: bool = True, at: float = 0) -> Path:
    (path / "workspace").mkdir(parents=True)
    if resumes:
        (path / RESUME).write_text(json.dumps({}))
        if at:
            os.utime(path / RESUME, (at, at))
    return path


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
