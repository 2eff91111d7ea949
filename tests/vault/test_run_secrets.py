"""The values that an active run was given: there for the next engine, gone with the run."""

from __future__ import annotations

from pathlib import Path

from sparki_daemon.vault.of_runs import RunSecrets


def test_another_engine_reads_what_the_first_one_kept_and_no_file_has_it_in_plain(tmp_path: Path) -> None:
    RunSecrets(str(tmp_path)).keep("r-1", 1, {"A": "canary"})

    assert RunSecrets(str(tmp_path)).of("r-1", 1) == {"A": "canary"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


def test_a_run_without_secrets_leaves_no_file(tmp_path: Path) -> None:
    secrets = RunSecrets(str(tmp_path))
    secrets.keep("r-1", 1, {})

    assert secrets.of("r-1", 1) == {}
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_that_ended_is_gone_and_the_next_one_stays(tmp_path: Path) -> None:
    secrets = RunSecrets(str(tmp_path))
    secrets.keep("r-1", 1, {"A": "one"})
    secrets.keep("r-1", 2, {"A": "two"})
    secrets.forget("r-1", 1)

    assert (secrets.of("r-1", 1), secrets.of("r-1", 2)) == ({}, {"A": "two"})
    assert RunSecrets(str(tmp_path)).of("r-1", 1) == {}


def test_a_sweep_takes_what_dead_engines_left_and_nothing_that_is_just_beginning(tmp_path: Path) -> None:
    dead = RunSecrets(str(tmp_path))
    dead.keep("r-active", 1, {"A": "1"})
    dead.keep("r-ended", 1, {"A": "1"})
    (tmp_path / "secrets/runs/r-torn.1.sealed.abc.tmp").write_bytes(b"x")
    now = RunSecrets(str(tmp_path))
    now.keep("r-new", 1, {"A": "1"})

    now.sweep(lambda run, attempt: (run, attempt) == ("r-active", 1))

    assert sorted(path.name for path in (tmp_path / "secrets/runs").iterdir()) == ["r-active.1.sealed", "r-new.1.sealed"]
