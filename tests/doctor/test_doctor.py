"""The doctor finds what is wrong and says what to do, with a dead daemon and a broken state folder too, and changes nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparki_daemon.client.paths import Paths
from sparki_daemon.doctor import examine as examining
from sparki_daemon.doctor import machine, state
from sparki_daemon.doctor.examine import examine
from sparki_daemon.doctor.finding import Finding
from sparki_daemon.store.sqlite import SqliteStore
from sparki_daemon.system import files, nonce
from sparki_daemon.vault.store import Secrets

SPARKI = str(Path(sys.executable).with_name("sparki"))


@pytest.fixture
def paths(tmp_path) -> Paths:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Paths(str(home), str(home / "config"), str(home / "cache"))


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """The only folder of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(
    ("script", "level"), [("echo git version 2.34.1", "ok"), ("echo git version 2.30.2", "error"), ("exit 1", "error")]
)
def test_git_must_be_there_and_new_enough(programs: Path, script: str, level: str) -> None:
    assert machine.git().level == "error"
    program(programs, "git", script)

    assert machine.git().level == level


def test_a_container_engine_counts_once_it_answers(programs: Path) -> None:
    assert "neither podman nor docker" in machine.containers().message
    program(programs, "docker", "exit 1")
    assert machine.containers().message == "docker is installed and does not answer"
    program(programs, "podman", "echo amd64")

    assert machine.containers() == Finding("containers", "ok", "podman answers")


def test_a_machine_without_node_is_told(programs: Path) -> None:
    assert machine.node().level == "warning"
    program(programs, "node", "echo v24.0.0")

    assert machine.node() == Finding("node", "ok", "node v24.0.0")


def test_few_descriptors_are_told() -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); from sparki_daemon.doctor import machine"
    code += "; print([f.level for f in machine.limits() if f.check == 'descriptors'])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "['warning']\n"


def test_a_state_folder_that_others_may_read_is_told(paths: Paths) -> None:
    assert state.folder(paths).level == "ok"
    os.chmod(paths.state, 0o755)

    assert state.folder(paths) == Finding("state", "warning", f"others may look into {paths.state}", f"chmod 700 {paths.state}")
    assert os.listdir(paths.state) == []


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert state.folder(Paths(str(tmp_path / "file"), "/", "/")).level == "error"


async def test_a_whole_state_file_is_well_and_stays_as_it_is(paths: Paths) -> None:
    store = SqliteStore.open(f"{paths.state}/state.db")
    await store.write(lambda tx: tx.append("test", stream="s"))
    assert state.database(paths).level == "ok"  # while it is open
    await store.close()
    before = {path.name: path.read_bytes() for path in Path(paths.state).iterdir()}

    assert state.database(paths).level == "ok"
    assert {path.name: path.read_bytes() for path in Path(paths.state).iterdir()} == before


def test_a_state_file_that_a_crash_left_with_its_log_is_looked_at_and_not_touched(paths: Paths) -> None:
    script = f"""
import os, sqlite3
base = sqlite3.connect({paths.state + "/state.db"!r})
base.execute("PRAGMA journal_mode = WAL")
base.execute("CREATE TABLE t (x)"); base.commit()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    (Path(paths.state) / "state.db-shm").unlink()
    before = {path.name: path.read_bytes() for path in Path(paths.state).iterdir()}
    assert "state.db-wal" in before

    assert state.database(paths).level == "ok"
    assert {path.name: path.read_bytes() for path in Path(paths.state).iterdir()} == before


@pytest.mark.parametrize("data", [b"no database at all, " * 100, b""])
def test_a_damaged_state_file_is_told_with_what_to_do(paths: Paths, data: bytes) -> None:
    path = Path(paths.state, "state.db")
    with sqlite3.connect(path) as base:
        base.executescript("CREATE TABLE t (x); INSERT INTO t SELECT randomblob(9000);")
    base.close()
    path.write_bytes(data or path.read_bytes()[:5000])

    found = state.database(paths)

    assert (found.level, "move" in found.hint) == ("error", True)


def test_a_broken_vault_and_an_open_key_are_told(paths: Paths, monkeypatch) -> None:
    monkeypatch.setenv("SPARKI_KEYRING", "off")
    assert list(state.secrets(paths)) == []
    secrets = Secrets(paths.state)
    secrets.put("/p", "A", "1")
    assert [found.level for found in state.secrets(paths)] == ["ok"]
    os.chmod(f"{secrets.folder}/key", 0o644)
    assert "others may read" in next(iter(state.secrets(paths))).message
    Path(secrets.path).write_text("{")

    assert [found.level for found in state.secrets(paths)] == ["error"]


def test_an_engine_that_nobody_can_reach_is_an_error_and_a_stale_file_is_none(paths: Paths) -> None:
    Path(paths.daemon_file).write_text(json.dumps({"socket": f"{paths.state}/daemon.sock", "pid": 1, "version": "0"}))
    assert state.daemon(paths).level == "ok"
    lock = files.try_lock(f"{paths.state}/engine.lock")
    assert lock is not None

    assert state.daemon(paths).level == "error"
    os.close(lock)


def test_processes_of_a_dead_runner_are_told(paths: Paths) -> None:
    env = {**os.environ, nonce.VARIABLE: nonce.nonce(paths.state, "gone", "j-1", 1)}
    process = subprocess.Popen(["sleep", "60"], env=env)
    try:
        deadline = time.monotonic() + 10
        while (found := state.left_over(paths)).level == "ok" and time.monotonic() < deadline:
            time.sleep(0.02)  # it has its variables once it was executed
        assert (found.level, str(process.pid) in found.message) == ("warning", True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert state.left_over(paths).level == "ok"


def test_a_look_that_breaks_is_a_finding_and_the_others_are_taken(paths: Paths, monkeypatch) -> None:
    def broken() -> Finding:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(examining.machine, "git", broken)
    found = examine(paths)

    assert found[0] == Finding("git", "error", "this could not be looked at: RuntimeError: no such luck")
    assert {"disk", "daemon", "state", "database", "socket"} <= {finding.check for finding in found}


def test_the_command_ends_with_1_where_an_error_is(paths: Paths) -> None:
    env = {**os.environ, "SPARKI_HOME": paths.state}
    well = subprocess.run([SPARKI, "doctor", "--json"], env=env, capture_output=True, text=True, check=False)
    assert well.returncode == 0, well.stdout
    Path(paths.state, "state.db").write_bytes(b"damaged" * 1000)

    ill = subprocess.run([SPARKI, "doctor"], env=env, capture_output=True, text=True, check=False)

    assert ill.returncode == 1
    assert "error: " in ill.stdout
    assert "is damaged" in ill.stdout
    assert {finding["level"] for finding in json.loads(well.stdout)["findings"]} <= {"ok", "warning"}
    assert not Path(paths.state, "daemon.json").exists()  # it starts nothing
