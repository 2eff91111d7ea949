"""The loop, the spool and the folders of a runner, each alone."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest

from sparki_daemon.runner.loop import READ, Loop
from sparki_daemon.runner.programs import Programs
from sparki_daemon.runner.run_file import RunFiles
from sparki_daemon.runner.spool import Spool
from sparki_daemon.runner.workspace import ENV_FILES, Folders

RUN = {"plan": {"file": "ci.yml", "env": [], "jobs": []}, "github": {}, "event": {}, "env": {}, "home": "user", "user_home": "/nobody"}


def put_away(folders: Folders, work: str, temp: str) -> None:
    folders.put_away_temp(temp)
    folders.put_away_work(work)


def never(_seconds: float) -> None:
    raise AssertionError("the disk is not full")


def test_timers_come_in_their_order_and_once() -> None:
    loop, seen = Loop(), []
    loop.after("second", 0.03, lambda: seen.append("second"))
    loop.after("first", 0.01, lambda: seen.append("first"))
    loop.after("never", 0.02, lambda: seen.append("never"))
    loop.after("moved", 0.0, lambda: seen.append("too early"))
    loop.after("moved", 0.05, lambda: seen.append("moved"))
    loop.drop("never")
    while "moved" not in seen:
        loop.turn()

    assert seen == ["first", "second", "moved"]
    assert not loop.waiting("first")


def test_a_timer_may_take_another_away_and_set_itself_again() -> None:
    loop, seen = Loop(), []

    def again() -> None:
        seen.append("again")
        loop.drop("other")
        if len(seen) < 3:
            loop.after("again", 0, again)

    loop.after("again", 0, again)
    loop.after("other", 0, lambda: seen.append("other"))
    while len(seen) < 3:
        loop.turn()

    assert seen == ["again"] * 3


def test_a_descriptor_is_heard_until_it_is_forgotten() -> None:
    loop, seen = Loop(), []
    read_fd, write_fd = os.pipe()
    try:
        loop.watch(read_fd, READ, lambda: seen.append(os.read(read_fd, 1)))
        os.write(write_fd, b"ab")
        loop.turn()
        loop.turn()
        loop.forget(read_fd)
        loop.forget(read_fd)
        os.write(write_fd, b"c")
        loop.sleep(0.01)
    finally:
        os.close(read_fd)
        os.close(write_fd)

    assert seen == [b"a", b"b"]


def test_a_descriptor_forgotten_within_a_turn_is_not_heard_in_it() -> None:
    loop, seen = Loop(), []
    pipes = [os.pipe(), os.pipe()]

    def hear(own: int, other: int) -> None:
        seen.append(own)
        loop.forget(other)

    loop.watch(pipes[0][0], READ, lambda: hear(0, pipes[1][0]))
    loop.watch(pipes[1][0], READ, lambda: hear(1, pipes[0][0]))
    for _, write_fd in pipes:
        os.write(write_fd, b"x")
    loop.turn()
    for fds in pipes:
        os.close(fds[0])
        os.close(fds[1])

    assert len(seen) == 1


def test_a_spool_gives_whole_lines_from_any_of_its_records(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), never)
    records = [{"n": number, "text": "x" * (number * 79_190 % 700_000)} for number in range(12)]
    borders = []
    for record in records:
        borders.append(spool.size)
        spool.append(record)

    for first, border in enumerate(borders):
        data, offset = b"", border
        while piece := spool.read(offset):
            assert piece.endswith(b"\n")
            data, offset = data + piece, offset + len(piece)
        assert [json.loads(line) for line in data.splitlines()] == records[first:]
    assert spool.size == (tmp_path / "spool").stat().st_size
    spool.close()


def test_records_given_together_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, calls, write = Spool(str(tmp_path / "spool"), never), [], os.write
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(len(data)) or write(fd, data))
    spool.append({"a": 1}, {"b": 2})
    monkeypatch.undo()
    spool.close()

    assert calls == [len('{"a":1}\n{"b":2}\n')]


def test_a_spool_on_a_full_disk_waits_and_then_writes_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    spool, write, left = Spool(str(tmp_path / "spool"), pauses.append), os.write, [3, -1, -1, 4, 100]

    def small(fd: int, data: bytes) -> int:
        room = left.pop(0)
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, bytes(data)[:room])

    monkeypatch.setattr(os, "write", small)
    spool.append({"a": 1}, {"b": 2})
    monkeypatch.undo()

    assert len(pauses) == 2
    assert spool.read(0) == b'{"a":1}\n{"b":2}\n'
    spool.close()


def paths(tmp_path: Path, number: int) -> tuple[str, str]:
    (tmp_path / "work" / "r-1").mkdir(parents=True, exist_ok=True)
    return str(tmp_path / "work" / "r-1" / f"j{number}"), str(tmp_path / "temp" / f"j{number}")


def listing(folder: str) -> dict[str, str]:
    return {name: oct(os.stat(f"{folder}/{name}").st_mode) for name in sorted(os.listdir(folder))}


def test_a_jobs_folders_are_as_they_should_be_whether_new_or_used_before(tmp_path: Path) -> None:
    folders = Folders("r1")
    seen = []
    for number in range(3):
        work, temp = paths(tmp_path, number)
        folders.make(work, temp)
        seen.append((os.stat(work).st_ino, listing(work), listing(temp), oct(os.stat(temp).st_mode)))
        put_away(folders, work, temp)
        assert not os.path.exists(work)
        assert not os.path.exists(temp)

    assert seen[0] == seen[1] == seen[2]
    assert seen[0][2] == dict.fromkeys(sorted(ENV_FILES), "0o100600")
    assert seen[0][3] == "0o40700"
    folders.close()
    assert os.listdir(tmp_path / "work") == ["r-1"]
    assert os.listdir(tmp_path / "temp") == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda work, _temp: Path(work, "workspace", "left").touch(),
        lambda work, _temp: Path(work, "home", ".config").mkdir(),
        lambda work, _temp: Path(work, "more").mkdir(),
        lambda work, _temp: os.chmod(f"{work}/tmp", 0o700),
        lambda work, _temp: os.chmod(work, 0o777),
        lambda work, _temp: os.rmdir(f"{work}/tmp"),
        lambda work, _temp: (os.rmdir(f"{work}/tmp"), os.symlink("/", f"{work}/tmp")),
    ],
)
def test_a_folder_that_a_job_changed_is_not_the_next_ones(tmp_path: Path, spoil) -> None:
    folders = Folders("r1")
    work, temp = paths(tmp_path, 1)
    folders.make(work, temp)
    clean = listing(work)
    spoil(work, temp)

    put_away(folders, work, temp)
    assert not os.path.exists(work)
    assert not os.path.exists(temp)
    folders.make(*paths(tmp_path, 2))
    assert listing(paths(tmp_path, 2)[0]) == clean


@pytest.mark.parametrize("name", ["output", "secret"])
def test_what_a_job_wrote_into_its_temp_folder_is_gone_with_it(tmp_path: Path, name: str) -> None:
    folders = Folders("r1")
    work, temp = paths(tmp_path, 1)
    folders.make(work, temp)
    Path(temp, name).write_text("secret")
    put_away(folders, work, temp)

    assert not os.path.exists(temp)
    assert not list((tmp_path / "temp").rglob("*"))


def test_what_an_earlier_attempt_left_is_not_in_the_way(tmp_path: Path) -> None:
    folders = Folders("r1")
    for number in (1, 2):
        work, temp = paths(tmp_path, number)
        os.makedirs(f"{work}/workspace/old")
        os.makedirs(f"{temp}/old")
        folders.make(work, temp)
        assert sorted(os.listdir(work)) == ["home", "tmp", "workspace"]
        assert os.listdir(f"{work}/workspace") == []
        assert sorted(os.listdir(temp)) == sorted(ENV_FILES)
        put_away(folders, work, temp)


def test_a_program_is_found_by_path_and_again_after_it_moved(tmp_path: Path) -> None:
    programs = Programs()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "tool").mkdir()  # a folder is no program
    (tmp_path / "two" / "tool").write_text("")
    env = {"PATH": f"{tmp_path}/one:{tmp_path}/two"}
    assert programs.find("tool", env) is None

    (tmp_path / "two" / "tool").chmod(0o755)
    assert programs.find("tool", env) == f"{tmp_path}/two/tool"
    (tmp_path / "two" / "tool").unlink()
    assert programs.find("tool", env) is None
    assert programs.find("/bin/sh", {}) == "/bin/sh"
    assert programs.find("/bin/no-such", {}) is None


def test_a_run_file_is_read_once_and_its_event_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    spec = {**RUN, "github": {"sha": "1"}, "event": {"a": 1}}
    path.write_text(json.dumps(spec))
    files = RunFiles(keep=1)
    first = files.get(str(path))
    path.write_text("changed")

    assert files.get(str(path)) is first
    assert json.loads((tmp_path / "event.json").read_text()) == {"a": 1}
    assert first.github == {"sha": "1", "event": {"a": 1}, "event_path": str(tmp_path / "event.json"), "token": ""}


def test_the_users_npm_settings_are_a_jobs_as_a_copy(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=https://npm.example/\n")
    spec = {**RUN, "home": "job", "user_home": str(tmp_path)}
    (tmp_path / "run.json").write_text(json.dumps(spec))

    assert RunFiles().get(str(tmp_path / "run.json")).npmrc == b"registry=https://npm.example/\n"


def test_sleeping_serves_on() -> None:
    loop, seen = Loop(), []
    loop.after("meanwhile", 0.01, lambda: seen.append(time.monotonic()))
    loop.sleep(0.05)

    assert len(seen) == 1
