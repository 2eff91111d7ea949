"""Bad input, through the real command: the error's shape, its exit code, nothing started, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SPARKI = Path(sys.executable).with_name("sparki")
GOOD = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo fine\n"


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=check, capture_output=True, text=True)


@dataclass
class Place:
    """A repository, and a state folder of its own."""

    folder: Path
    home: Path

    def write(self, text: str | bytes, name: str = "ci.yml") -> None:
        path = self.folder / ".github" / "workflows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def sparki(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SPARKI_HOME": str(self.home)}
        return subprocess.run(
            [SPARKI, *arguments], cwd=cwd or self.folder, env=environment, capture_output=True, text=True, timeout=50, check=False
        )

    def refused(self, *arguments: str, code: int = 2, cwd: Path | None = None) -> dict[str, object]:
        """The error of `sparki ARGUMENTS --json`; the same in text must name it too, and no traceback may show."""
        told = self.sparki(*arguments, cwd=cwd)
        assert told.returncode == code, told
        assert told.stderr.startswith("error: "), told
        assert "Traceback" not in told.stderr
        as_json = self.sparki(*arguments, "--json", cwd=cwd)
        assert as_json.returncode == code
        error = json.loads(as_json.stdout)["error"]
        assert str(error["message"]).splitlines()[0] in told.stderr
        return error

    def runs(self) -> list[dict[str, object]]:
        return json.loads(self.sparki("runs", "--json").stdout)["runs"]

    def end(self) -> None:
        if not (self.home / "daemon.json").exists():
            return
        pid = json.loads((self.home / "daemon.json").read_text())["pid"]
        try:
            os.kill(pid, signal.SIGTERM)
            for _ in range(500):
                os.kill(pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            pass


@pytest.fixture
def place(tmp_path):
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    made = Place(folder, home)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("on: push\njobs:\n  one: [\n", "yaml", None, None),
        (GOOD.replace("steps:", "needs: tow\n    steps:") + "  two:\n    runs-on: x\n    steps: [{run: a}]\n", "unknown_need", 5, 12),
        (
            "on: push\njobs:\n  a: {needs: b, runs-on: x, steps: [{run: a}]}\n  b: {needs: a, runs-on: x, steps: [{run: a}]}\n",
            "needs_cycle",
            3,
            14,
        ),
        (GOOD.replace("run: echo fine", "run: [1, 2]"), "wrong_type", 6, 14),
        (GOOD.replace("run: echo fine", "ran: echo"), "unknown_key", 6, 9),
        (GOOD.replace("run: echo fine", "uses: some/action@v1"), "unsupported_action", 6, 15),
        (GOOD.replace("run: echo fine", "run: echo ${{ github.sha + }}"), "bad_expression", 6, None),
        (
            GOOD.replace("echo fine", "echo ${{ job.services.db.id }}").replace("    steps", "    services: {db: {image: x}}\n    steps"),
            "unsupported",
            5,
            5,
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(place, text, code, line, column):
    place.write(text)
    error = place.refused("run")

    assert str(error["code"]).startswith(code), error
    assert error["file"] == ".github/workflows/ci.yml"
    assert isinstance(error["line"], int)
    assert isinstance(error["column"], int)
    assert line is None or error["line"] == line
    assert column is None or error["column"] == column
    assert place.runs() == []


def test_a_yaml_bomb_is_refused_at_once_in_small_memory(place):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    place.write(bomb + GOOD)
    error = place.refused("run")

    assert error["file"] == ".github/workflows/ci.yml"
    assert isinstance(error["line"], int)
    assert place.runs() == []


def test_a_file_that_is_no_text_is_refused(place):
    place.write(b"on: push\njobs: \xff\xfe\n")

    assert place.refused("run")["file"] == ".github/workflows/ci.yml"


def test_every_problem_of_a_file_is_told_at_once(place):
    place.write(GOOD.replace("run: echo fine", "ran: echo") + "  two:\n    needs: nobody\n    runs-on: x\n    steps: [{run: a}]\n")
    told = place.sparki("run")

    assert told.returncode == 2
    assert "ci.yml:6:9" in told.stderr
    assert "ci.yml:8:12" in told.stderr


def test_a_folder_without_a_repository_is_told(place, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()

    assert place.refused("run", cwd=alone)["code"] == "no_repository"
    assert place.refused("run", "-C", str(tmp_path / "nowhere"))["code"] == "no_directory"


def test_a_repository_without_a_pipeline_is_told(place):
    assert place.refused("run")["code"] == "no_pipeline"


def test_an_unknown_pipeline_or_job_is_told_with_a_suggestion(place):
    place.write(GOOD)

    assert place.refused("run", "cj")["hint"]
    assert place.refused("run", "--job", "onne")["code"] == "no_such_job"
    assert place.runs() == []


def test_unmerged_files_are_named(place):
    place.write(GOOD)
    for branch, text in (("main", "a"), ("other", "b")):
        git(place.folder, "checkout", "-q", "-B", branch)
        (place.folder / "both.txt").write_text(text)
        git(place.folder, "add", "-A")
        git(place.folder, "commit", "-q", "-m", branch)
        if branch == "main":
            git(place.folder, "checkout", "-q", "--orphan", "root")
    git(place.folder, "checkout", "-q", "main")
    git(place.folder, "merge", "-q", "--allow-unrelated-histories", "other", check=False)
    error = place.refused("run")

    assert error["code"] == "unmerged_files"
    assert "both.txt" in str(error["message"])
    assert place.runs() == []


def test_an_unknown_run_is_not_found(place):
    place.write(GOOD)

    for command in (["show", "r-ffffffff"], ["logs", "r-ffffffff"], ["cancel", "r-ffffffff"], ["retry", "r-ffffffff"]):
        assert place.refused(*command, code=5)["code"] == "no_such_run"


def test_wrong_usage_is_told_without_a_daemon(place):
    for arguments in (["run", "--no-such-flag"], ["show"], ["nonsense"], ["run", "--jobs", "many"]):
        told = place.sparki(*arguments)
        assert told.returncode == 2, told
        assert "Traceback" not in told.stderr
        assert told.stderr
    assert not place.home.exists()


def spoiled(place: Place, spoil) -> None:
    """A run, then the daemon's end, then `spoil` of the state file."""
    place.write(GOOD)
    assert place.sparki("run").returncode == 0
    place.end()
    spoil(place.home / "state.db")


def test_a_corrupt_state_file_is_told_and_kept(place):
    def overwrite(path: Path) -> None:
        path.write_bytes(b"not a database at all" * 400)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    spoiled(place, overwrite)
    before = (place.home / "state.db").read_bytes()
    error = place.refused("run", code=place.sparki("runs").returncode)

    assert error["code"] == "state_corrupt"
    assert "state.db" in str(error["message"])
    assert error["hint"]
    assert (place.home / "state.db").read_bytes() == before


def test_a_newer_state_file_is_told_and_kept(place):
    def from_the_future(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO schema_migrations SELECT 9999, 'future.sql', checksum, applied FROM schema_migrations LIMIT 1")
        connection.close()

    spoiled(place, from_the_future)
    error = place.refused("run", code=place.sparki("runs").returncode)

    assert error["code"] == "state_newer"
    with sqlite3.connect(place.home / "state.db") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    connection.close()


def test_once_the_state_file_is_mended_the_next_command_works(place):
    spoiled(place, lambda path: shutil.move(path, path.with_name("kept.db")) and path.write_bytes(b"garbage" * 1000))
    assert place.sparki("runs").returncode != 0
    (place.home / "state.db").unlink()
    for suffix in ("-wal", "-shm"):
        (place.home / f"state.db{suffix}").unlink(missing_ok=True)
    shutil.move(place.home / "kept.db", place.home / "state.db")
    deadline = time.monotonic() + 20
    while (told := place.sparki("runs", "--json")).returncode != 0 and time.monotonic() < deadline:
        time.sleep(0.2)

    assert len(json.loads(told.stdout)["runs"]) == 1


def test_a_state_folder_that_cannot_be_written_is_told(place):
    place.write(GOOD)
    place.home = Path("/proc/sparki-home")  # nobody can write there, not even root
    error = place.refused("run", code=3)

    assert error["code"] == "state_unwritable"
    assert error["hint"]


@pytest.fixture
def small_disk(place, tmp_path):
    """A file system of 3 MiB; the daemon that lives there ends before it goes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False).returncode == 0
    if not mounted:
        pytest.skip("mounting a small file system needs root and a system that lets it")
    yield folder
    place.end()
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_a_run_that_was_acknowledged_is_kept(place, small_disk):
    place.home = small_disk / "home"
    place.write(GOOD)
    assert place.sparki("run").returncode == 0
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"x" * 4096)
    told = place.sparki("run")
    assert told.returncode not in (0, 2), told
    assert "Traceback" not in told.stderr
    assert "no space" in told.stderr.lower() or "full" in told.stderr.lower(), told
    (small_disk / "filler").unlink()

    deadline = time.monotonic() + 20
    while (again := place.sparki("run")).returncode != 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert again.returncode == 0, again
    assert all(run["status"] == "success" for run in place.runs())
    place.end()


def test_a_read_only_disk_is_told(place, small_disk):
    place.home = small_disk / "home"
    place.write(GOOD)
    assert place.sparki("run").returncode == 0
    place.end()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    assert place.refused("run", code=3)["code"] == "state_unwritable"


def test_a_state_folder_on_which_locks_do_not_work_is_told(place, tmp_path):
    """A preloaded library that lets every flock succeed stands for a file system without locks."""
    source = tmp_path / "nolock.c"
    source.write_text("int flock(int fd, int how) { (void)fd; (void)how; return 0; }\n")
    library = tmp_path / "nolock.so"
    if shutil.which("cc") is None or subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=False).returncode != 0:
        pytest.skip("needs a C compiler to take the locks away")
    place.write(GOOD)
    environment = {**os.environ, "SPARKI_HOME": str(place.home), "LD_PRELOAD": str(library)}
    told = subprocess.run(
        [SPARKI, "run", "--json"], cwd=place.folder, env=environment, capture_output=True, text=True, timeout=50, check=False
    )

    assert told.returncode == 3, told
    assert json.loads(told.stdout)["error"]["code"] == "locks_do_not_work"
