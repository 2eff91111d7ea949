"""Opening a state file: it is sound, or refused in words that say what to do, and then nothing was changed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store import journal, migrate, sqlite_file
from sparki_daemon.store.sqlite import SqliteStore


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def refused(state: Path) -> Problem:
    with pytest.raises(SparkiError) as caught:
        SqliteStore.open(str(state))
    assert caught.value.exit_code is ExitCode.RED
    (problem,) = caught.value.problems
    assert str(state) in problem.message
    assert problem.hint
    return problem


def code(state: Path) -> str:
    return refused(state).code


async def filled(state: Path, events: int = 50, *, close: bool = True) -> SqliteStore:
    store = SqliteStore.open(str(state))
    for _ in range(events):
        await store.write(lambda tx: tx.append("a", stream="r-1", text="x" * 500))
    if close:
        await store.close()
    return store


async def killed(state: Path, copy: Path, events: int = 50) -> Path:
    """A copy of what a killed process leaves: the file, its WAL and its locks; the copy's state file."""
    store = await filled(state, events, close=False)
    copy.mkdir()
    for file in state.parent.glob("state.db*"):
        if not file.name.endswith("-shm"):
            (copy / file.name).write_bytes(file.read_bytes())
    await store.close()
    return copy / "state.db"


async def head(state: Path) -> int:
    store = SqliteStore.open(str(state))
    try:
        return await store.read(journal.head)
    finally:
        await store.close()


async def test_a_state_file_and_its_folder_are_made_for_their_owner_only(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state.db"

    assert await head(state) == 0
    assert (os.stat(state).st_mode & 0o777, os.stat(state.parent).st_mode & 0o777) == (0o600, 0o700)


async def test_a_clean_end_leaves_one_file_of_data(state: Path) -> None:
    await filled(state)

    assert sorted(file.name for file in state.parent.iterdir()) == ["state.db", "state.db.gate", "state.db.turn"]
    assert await head(state) == 50


async def test_a_name_that_means_something_in_an_address_is_just_a_name(tmp_path: Path) -> None:
    state = tmp_path / "100%3f #1?mode=memory" / "state.db"
    await filled(state, 3)

    assert await head(state) == 3


async def test_what_a_killed_process_left_opens_with_all_of_it(state: Path, tmp_path: Path) -> None:
    left = await killed(state, tmp_path / "left")

    assert (left.parent / "state.db-wal").stat().st_size > 0
    assert await head(left) == 50


async def test_a_file_that_is_no_database_is_refused(state: Path) -> None:
    state.write_text("my notes\n" * 100)

    problem = refused(state)

    assert problem.code == "state_corrupt"
    assert "no SQLite file" in problem.message
    assert state.read_text() == "my notes\n" * 100


@pytest.mark.parametrize("where", [30, 105, 4096 + 5])
async def test_a_damaged_file_is_refused_after_an_unclean_end(state: Path, where: int) -> None:
    await filled(state)
    data = bytearray(state.read_bytes())
    data[where : where + 200] = b"\xff" * 200
    state.write_bytes(data)
    (state.parent / "state.db-wal").write_bytes(b"torn")  # as after an unclean end: only then is all of it checked

    assert code(state) == "state_corrupt"
    assert state.read_bytes() == data


async def test_a_file_that_was_cut_is_refused(state: Path) -> None:
    await filled(state)
    data = state.read_bytes()
    state.write_bytes(data[: len(data) // 2])

    assert code(state) == "state_corrupt"


async def test_a_file_that_was_emptied_is_not_taken_for_a_new_one(state: Path) -> None:
    await filled(state)
    state.write_bytes(b"")

    assert "50 events" in refused(state).message


async def test_a_file_that_was_moved_away_is_begun_anew(state: Path, tmp_path: Path) -> None:
    await filled(state)
    state.rename(tmp_path / "away")

    assert await head(state) == 0


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
async def test_a_cut_wal_is_told_never_silent(state: Path, tmp_path: Path, kept: float) -> None:
    left = await killed(state, tmp_path / "left")
    wal = left.parent / "state.db-wal"
    wal.write_bytes(wal.read_bytes()[: int(wal.stat().st_size * kept)])

    problem = refused(left)

    assert problem.code == "state_corrupt"
    if kept > 0.3:
        assert "has lost its last" in problem.message
        assert f"remove {left}.gate" in problem.hint


async def test_a_damaged_wal_is_told_and_the_way_out_that_is_named_works(state: Path, tmp_path: Path) -> None:
    left = await killed(state, tmp_path / "left")
    wal = left.parent / "state.db-wal"
    data = bytearray(wal.read_bytes())
    data[len(data) * 3 // 4] ^= 0xFF
    wal.write_bytes(data)
    assert code(left) == "state_corrupt"

    (left.parent / "state.db.gate").unlink()

    assert 0 < await head(left) < 50


async def test_a_torn_end_of_the_wal_that_was_never_acknowledged_is_no_damage(state: Path, tmp_path: Path) -> None:
    left = await killed(state, tmp_path / "left")
    with open(left.parent / "state.db-wal", "ab") as wal:
        wal.write(os.urandom(3000))

    assert await head(left) == 50


async def test_a_journal_whose_head_is_not_its_last_event_is_refused(state: Path) -> None:
    await filled(state)
    shell = sqlite3.connect(state)
    shell.execute("DELETE FROM events WHERE seq > 40")
    shell.commit()
    shell.close()

    assert "ends at event 40" in refused(state).message


async def test_damage_that_shows_only_in_use_is_told_then(state: Path) -> None:
    await filled(state, 400)
    middle = state.stat().st_size // 8192 * 4096  # a page of events that are neither the first nor the last
    with open(state, "r+b") as file:
        file.seek(middle)
        file.write(b"\xff" * 4096)
    store = SqliteStore.open(str(state))

    with pytest.raises(SparkiError) as caught:
        await store.read(lambda tx: journal.since(tx, 0, limit=1000))

    assert caught.value.problems[0].code == "state_corrupt"
    assert await store.read(journal.head) == 400
    await store.close()


async def test_a_file_of_a_newer_schema_is_refused(state: Path) -> None:
    await filled(state)
    shell = sqlite3.connect(state)
    shell.execute("INSERT INTO schema_migrations VALUES (9000, 'wonders', 'x', 'then')")
    shell.commit()
    shell.close()

    problem = refused(state)

    assert problem.code == "state_newer"
    assert "9000" in problem.message


async def test_a_migration_that_was_applied_in_another_form_is_refused(state: Path) -> None:
    await filled(state)
    shell = sqlite3.connect(state)
    shell.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    shell.commit()
    shell.close()

    assert code(state) == "migration_changed"


async def test_a_folder_in_whose_place_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert code(tmp_path / "file" / "state.db") == "state_unwritable"


async def test_a_state_file_that_is_a_folder_is_refused(state: Path) -> None:
    state.mkdir()

    assert code(state) == "state_unwritable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    assert code(closed / "state.db") == "state_unwritable"


async def test_a_file_locked_by_a_process_that_does_not_let_go_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await filled(state, close=False)
    monkeypatch.setattr(sqlite_file, "OPEN_LIMIT_S", 0.05)
    store._gate.enter(1)

    problem = refused(state)

    store._gate.leave()
    await store.close()
    assert problem.code == "state_unwritable"
    assert "another process" in problem.message


async def test_two_stores_may_open_a_new_file_at_the_same_time(state: Path) -> None:
    stores = await asyncio.gather(*(asyncio.to_thread(SqliteStore.open, str(state)) for _ in range(4)))
    for store in stores:
        await store.write(lambda tx: tx.append("a", stream="r-1"))
    heads = [await store.read(journal.head) for store in stores]
    for store in stores:
        await store.close()

    assert heads == [4] * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("CREATE TABLE a (x INTEGER); -- ; here too\nINSERT INTO a VALUES (1);\n")
    (folder / "0002_second.sql").write_text("CREATE TABLE b (\n  x TEXT DEFAULT ';'\n);\n-- the end\n")
    (folder / "readme.txt").write_text("not a migration")
    return folder


def bring_up(connection: sqlite3.Connection, folder: Path) -> list[tuple[int, str]]:
    migrate.migrate(connection, file="state.db", now="2026-11-23T10:00:00.000Z", folder=str(folder))
    return connection.execute("SELECT version, name FROM schema_migrations ORDER BY version").fetchall()


def test_migrations_are_applied_once_in_order(folder: Path) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)

    assert bring_up(connection, folder) == [(1, "first"), (2, "second")]
    (folder / "0003_third.sql").write_text("INSERT INTO a VALUES (2);")
    assert bring_up(connection, folder) == [(1, "first"), (2, "second"), (3, "third")]
    assert connection.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]
    connection.close()


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(folder: Path) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    (folder / "0003_third.sql").write_text("CREATE TABLE c (x INTEGER);\nINSERT INTO nowhere VALUES (1);")

    with pytest.raises(sqlite3.OperationalError):
        bring_up(connection, folder)

    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert {"a", "b"} <= tables
    assert "c" not in tables
    assert not connection.in_transaction
    connection.close()


def test_a_migration_that_is_gone_is_refused(folder: Path) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    bring_up(connection, folder)
    (folder / "0001_first.sql").unlink()

    with pytest.raises(SparkiError) as caught:
        bring_up(connection, folder)

    assert caught.value.problems[0].code == "migration_changed"
    connection.close()


def test_the_migrations_of_this_program_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrate.known()] == list(range(1, len(migrate.known()) + 1))
