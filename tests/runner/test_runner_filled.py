"""A runner fills a workspace from the one before it; whatever happened there, a job meets the tree of its source and nothing else."""

from __future__ import annotations

import glob
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, step

from sparki_daemon.model.wire import Frame
from sparki_daemon.runner.workspace import FILLED, Folders
from sparki_daemon.source.repository import find
from sparki_daemon.source.snapshot import take

CHECKOUT = step(uses="actions/checkout@v5")
FILES = 40
PATIENCE_S = 120.0
# What a job finds: each file with its rights and its content's digest, each other thing by its name; and what git thinks of it.
LOOK = "find . -path ./.git -prune -o -printf '%M %p %l\\n' | sort; "
LOOK += "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0r sha256sum; "
LOOK += 'git status --porcelain --ignored; (cd "$HOME" && ls -A); ls -A ../tmp'
INODES = "stat -c '%i %n' f/*/file"
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "repository"
    for number in range(FILES):
        (folder / f"f/{number}").mkdir(parents=True)
        (folder / f"f/{number}/file").write_text(f"content of {number}\n")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, **GIT})
    snapshot = take(find(str(folder)), str(tmp_path / "objects"))
    github = {"repository": "o/r", "sha": snapshot.commit, "ref": "refs/heads/main"}
    return {"run_github": github, "run_source": {"worktree": str(folder), "branch": "refs/heads/main", "snapshot": snapshot.to_json()}}


@pytest.fixture
def fresh(tmp_path: Path, source: dict[str, Any]) -> Iterator[str]:
    """What the first job of a runner finds."""
    driver = Driver(tmp_path / "fresh").start()
    found = driver.do(CHECKOUT, LOOK, **source).text(1)
    assert found.count("content") == 0
    assert found.count("/file") == 2 * FILES
    yield found
    driver.stop()


def test_a_job_meets_the_tree_and_nothing_of_the_job_before_it(runner: Driver, source: dict[str, Any], fresh: str) -> None:
    changed = (
        "echo x > f/0/file; chmod 600 f/1/file; rm f/2/file; ln f/3/file f/3/other; mkdir -p new/folder; touch new/file ../beside $HOME/h"
    )
    first = runner.do(CHECKOUT, INODES, changed, **source)
    none = runner.do('ls -A; (cd "$HOME" && ls -A)', **source)
    second = runner.do(CHECKOUT, LOOK, **source)

    assert first.end["result"] == "success"
    assert none.text(0).splitlines()[1:] == []
    assert second.text(1) == fresh


def test_what_a_job_has_not_touched_is_not_written_anew(runner: Driver, source: dict[str, Any]) -> None:
    """But for what git wrote in the very tick of the clock in which it was done: on a quick disk that may be all, once."""

    def inodes() -> Iterator[set[str]]:
        while True:
            yield {*runner.do(CHECKOUT, INODES, **source).text(1).splitlines()[1:]}

    pairs = itertools.islice(itertools.pairwise(inodes()), 30)
    assert any(len(now & before) > FILES // 2 for before, now in pairs), "every file was written anew each time"


def test_a_child_that_a_job_left_writes_into_no_later_one(runner: Driver, source: dict[str, Any], fresh: str) -> None:
    writes = "exec 9>>f/0/file; (setsid bash -c 'while :; do echo x >&9; echo x > f/1/file; echo x > \"f/$RANDOM\"; done' &) ; sleep 0.1"
    runner.do(CHECKOUT, writes, **source)

    assert runner.do(CHECKOUT, LOOK, **source).text(1) == fresh


def test_two_runners_of_one_folder_have_each_their_own(runner: Driver, source: dict[str, Any], fresh: str) -> None:
    other = Driver(runner.home, name="r2").start()
    try:
        for _ in range(3):
            both = [one.assign(CHECKOUT, LOOK, "echo x > f/0/file", **source) for one in (runner, other)]
            assert [one.result(job).text(1) for one, job in zip((runner, other), both, strict=True)] == [fresh, fresh]
    finally:
        other.stop()


def test_a_second_checkout_in_a_job_finds_what_the_first_one_would(runner: Driver, source: dict[str, Any], fresh: str) -> None:
    into = step(uses="actions/checkout@v5", inputs={"path": "inner"})
    runner.do(CHECKOUT, "echo x > f/0/file", into, "true", CHECKOUT, **source)
    done = runner.do(into, CHECKOUT, LOOK, **source)

    assert done.text(2) == fresh


def test_a_workspace_that_another_attempt_goes_on_in_is_not_kept(tmp_path: Path) -> None:
    folders = Folders("r1")
    work, temp = str(tmp_path / "work/run/job"), str(tmp_path / "temp/job")
    os.makedirs(f"{work}/workspace")
    Path(f"{work}/{FILLED}.index").touch()

    folders.make(work, temp, again=True)
    folders.put_away_work(work)

    assert os.listdir(tmp_path / "work") == ["run"]


def test_what_a_job_puts_in_the_place_of_its_folders_is_not_kept(
    runner: Driver, source: dict[str, Any], fresh: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    (mine / "workspace").mkdir(parents=True)
    (mine / "precious").touch()
    for turn in (
        "cd ..; rm -rf workspace; ln -s {mine}/workspace workspace",
        "cd ..; rm -rf home; ln -s {mine} home",
        "cd ..; rm -rf tmp; touch tmp",
        "cd ..; chmod 700 .",
        "cd ..; mkdir .source; touch .source/x; cp -a {mine} .source/mine",
        "cd ..; : > .source.index",
    ):
        runner.do(CHECKOUT, turn.format(mine=mine), **source)
        done = runner.do(CHECKOUT, LOOK, "cd ..; stat -c '%F %a %n' workspace home tmp", **source)
        assert done.text(1) == fresh, turn
        assert done.text(2).splitlines()[1:] == [f"directory 755 {name}" for name in ("workspace", "home", "tmp")], turn
    assert sorted(path.name for path in mine.iterdir()) == ["precious", "workspace"]


@pytest.mark.slow
@pytest.mark.parametrize("namespace", [False, True])
def test_a_runner_killed_while_it_fills_leaves_nothing_to_the_next(
    tmp_path: Path, source: dict[str, Any], fresh: str, *, namespace: bool
) -> None:
    """Killed at each of many moments while files move and git writes."""
    if namespace and os.geteuid() != 0:
        pytest.skip("only root makes namespaces")
    for number in range(0, FILES + 1, 4):
        driver = Driver(tmp_path / "home", name=f"r{number}", namespace=namespace).start()
        driver.do(CHECKOUT, "echo x > f/0/file; rm -rf f/1?", **source)
        spec = driver.spec(CHECKOUT, "while kill -0 $PPID; do sleep 0.05; done", **source)
        driver.send(Frame.ASSIGN, spec)
        files = f"{spec['work']}/workspace/f/*/file"
        until(lambda files=files, number=number: len(glob.glob(files)) >= number)
        finds_all(killed(driver), source, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("namespace", [False, True])
def test_a_runner_killed_while_it_puts_away_leaves_nothing_to_the_next(
    tmp_path: Path, source: dict[str, Any], fresh: str, *, namespace: bool
) -> None:
    if namespace and os.geteuid() != 0:
        pytest.skip("only root makes namespaces")
    left = 200
    for number in range(0, left + 1, 20):
        driver = Driver(tmp_path / "home", name=f"r{number}", namespace=namespace).start()
        spec = driver.spec(CHECKOUT, f"echo x > f/0/file; touch f/1/new-{{1..{left}}}", **source)
        driver.send(Frame.ASSIGN, spec)
        driver.wait_for("job.finished", spec["job"])
        spare = f"{driver.home}/work/.spare-{driver.name}"
        until(lambda spare=spare, most=left - number: os.path.exists(spare) and len(glob.glob(f"{spare}/*/f/1/new-*")) <= most)
        finds_all(killed(driver), source, fresh)


def until(is_so: Callable[[], bool]) -> None:
    """Look without a pause: the moment passes."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError


def killed(driver: Driver) -> Driver:
    """The runner that comes after one that is killed now."""
    os.kill(driver.pid, signal.SIGKILL)
    driver.stop()
    os.unlink(driver.home / f"runners/{driver.name}.sock")
    return Driver(driver.home, name=driver.name, namespace=driver.namespace, jobs=driver.jobs).start()


def finds_all(driver: Driver, source: dict[str, Any], fresh: str) -> None:
    try:
        for _ in range(2):
            assert driver.do(CHECKOUT, LOOK, **source).text(1) == fresh
    finally:
        driver.stop()
