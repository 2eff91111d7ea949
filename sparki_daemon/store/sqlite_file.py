"""Opens the state file on SQLite, or says in a user's words why it can't be used."""

from __future__ import annotations

import os
import sqlite3
from errno import EDQUOT, ENOSPC

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.gate import Gate, GateHeld
from sparki_daemon.store.journal import HEAD
from sparki_daemon.store.migrate import migrate

MAGIC = b"SQLite format 3\x00"
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
OPEN_LIMIT_S = 30.0
BUSY_MS = 1000  # for those who don't come through the gate, a person's sqlite3 shell; the writer then asks again
READ_BUSY_MS = 60_000  # readers wait only while a crashed process's WAL is recovered
CHECKED_BYTES = 8 * 1024 * 1024  # a full check takes about 2 ms a MiB, and opening must stay under 50
WAL_KEPT_BYTES = 16 * 1024 * 1024
CACHED_STATEMENTS = 512


def connect_writer(path: str) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return. Raises sqlite3.Error."""
    # FULL: an acknowledged commit outlives a power cut. check_same_thread: opened here, then used by the writer thread alone.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS)
    try:
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "synchronous = FULL",
            "fullfsync = ON",  # macOS: its fsync leaves the disk's own cache alone
            "foreign_keys = ON",
            "temp_store = MEMORY",
            f"journal_size_limit = {WAL_KEPT_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_reader(path: str) -> sqlite3.Connection:
    """A connection that can't write. Raises sqlite3.Error."""
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    uri = f"file:{escaped}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS)
    connection.execute(f"PRAGMA busy_timeout = {READ_BUSY_MS}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_state(path: str, *, now: str) -> tuple[Gate, sqlite3.Connection]:
    """The gate and a writer's connection of the state file at `path`, made or brought to the present schema where need be.

    Nothing is ever deleted or repaired. Raises SparkiError: `state_corrupt`, `state_newer`, `migration_changed`, `state_unwritable`,
    `disk_full`.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        message = f"this Python's SQLite is {sqlite3.sqlite_version}; Sparki needs 3.35 or newer"
        raise _refused("state_unwritable", message, "use a Python with a newer SQLite")
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        gate = Gate(path)
    except OSError as error:
        raise _unopened(path, error) from error
    try:
        gate.enter(OPEN_LIMIT_S)
        try:
            return gate, _open_alone(path, gate, now)
        finally:
            gate.leave()
    except GateHeld:
        gate.close()
        raise _refused(
            "state_unwritable", f"another process has kept {path} locked for {OPEN_LIMIT_S:.0f} s", "end it, and try again"
        ) from None
    except sqlite3.Error as error:
        gate.close()
        raise refusal(error, path, opening=True) from error
    except OSError as error:
        gate.close()
        raise _unopened(path, error) from error
    except BaseException:
        gate.close()
        raise


def _open_alone(path: str, gate: Gate, now: str) -> sqlite3.Connection:
    """Open while we hold the gate: nobody else migrates, checks or switches the journal's mode meanwhile."""
    fresh = not os.path.exists(path)
    if fresh:
        gate.note(0)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would let everyone read it
    else:
        _look_at_head(path, gate)
    unclean = _size(path + "-wal") > 0  # a clean end leaves none
    connection = connect_writer(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        if unclean and _size(path) <= CHECKED_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise _corrupt(path, str(verdict).splitlines()[0])
        migrate(connection, file=path, now=now)
        connection.execute("BEGIN IMMEDIATE")  # a folder or disk that can't be written shows now, not at the first run
        connection.execute("ROLLBACK")
        _compare(path, connection, gate)
    except BaseException:
        connection.close()
        raise
    return connection


def _look_at_head(path: str, gate: Gate) -> None:
    with open(path, "rb") as file:
        head = file.read(len(MAGIC))
    if head and head != MAGIC:
        raise _corrupt(path, "it is no SQLite file")
    if not head and gate.noted():
        raise _corrupt(path, f"it is empty, and held {gate.noted()} events")


def _compare(path: str, connection: sqlite3.Connection, gate: Gate) -> None:
    """Refuse a journal that has lost its end: SQLite drops a damaged tail of the WAL without a word."""
    seq = int(connection.execute(HEAD).fetchone()[0])
    last = int(connection.execute("SELECT coalesce(max(seq), :seq) FROM events", {"seq": seq}).fetchone()[0])
    if last != seq:
        raise _corrupt(path, f"its journal ends at event {last}, its head says {seq}")
    noted = gate.noted()
    if noted > seq:
        message = f"{path} has lost its last {noted - seq} events: it ends at {seq}, and {noted} were acknowledged"
        hint = f"restore {path}* from a backup, or remove {path}.gate to go on without them"
        raise _refused("state_corrupt", message, hint)


def refusal(error: sqlite3.Error, path: str, *, opening: bool = False) -> SparkiError:
    """What a user is told of an error that SQLite met at the file or the disk."""
    code = primary(error)
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if damaged or (opening and code == sqlite3.SQLITE_ERROR):  # our own SQL is sound: the header holds what SQLite doesn't know
        return _corrupt(path, str(error))
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(path) == 0):
        return _full(path)
    reason = f"{path} can't be written: {error}"
    if code == sqlite3.SQLITE_BUSY:
        reason = f"another program keeps {path} locked"
    hint = "nothing of this change was kept; look at the disk and the folder's permissions, and try again"
    return _refused("state_unwritable" if opening else "store_unwritable", reason, hint)


def gate_held(path: str, limit_s: float) -> SparkiError:
    message = f"another process has kept {path} locked for {limit_s:.0f} s"
    return _refused("store_unwritable", message, "nothing of this change was kept; end that process, and try again")


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where the error is the module's own (a wrong parameter)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def of_the_disk(error: BaseException) -> bool:
    """Whether an error concerns the file or the disk, so the whole transaction, and not one caller's statement."""
    return isinstance(error, sqlite3.Error) and primary(error) in DISK_CODES


DISK_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


def _unopened(path: str, error: OSError) -> SparkiError:
    if error.errno in (ENOSPC, EDQUOT):
        return _full(path)
    where = error.filename or path
    message = f"the state file {path} can't be opened for writing: {where}: {error.strerror}"
    return _refused("state_unwritable", message, "check the folder's permissions, or set SPARKI_HOME to one that can be written")


def _full(path: str) -> SparkiError:
    folder = os.path.dirname(path) or "."
    return _refused("disk_full", f"the disk of {folder} is full", "nothing of this change was kept; free some space, and try again")


def _corrupt(path: str, why: str) -> SparkiError:
    hint = f"restore {path}* from a backup, or move them away to begin with an empty journal; nothing was changed"
    return _refused("state_corrupt", f"the state file {path} is damaged: {why}", hint)


def _refused(code: str, message: str, hint: str) -> SparkiError:
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=ExitCode.RED)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _free_bytes(path: str) -> int:
    try:
        disk = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return -1
    return disk.f_bavail * disk.f_frsize
