"""Brings a state file's schema to the one that this program knows, migration by migration."""

from __future__ import annotations

import os
import sqlite3

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.system.digest import sha256

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrations")

LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied TEXT NOT NULL
    )
"""
APPLIED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
RECORD = "INSERT INTO schema_migrations (version, name, checksum, applied) VALUES (:version, :name, :checksum, :applied)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of SQL. It only adds, and never changes once released: then its checksum would not be the one applied."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def known(folder: str = FOLDER) -> list[Migration]:
    """The migrations of `folder`, files named `NNNN_name.sql`, in order."""
    found = []
    for file in sorted(os.listdir(folder)):
        number, _, name = file.removesuffix(".sql").partition("_")
        if file.endswith(".sql"):
            with open(os.path.join(folder, file), encoding="utf-8", newline="") as text:
                found.append(Migration(int(number), name, text.read()))
    return found


def missing(applied: list[tuple[int, str, str]], migrations: list[Migration], *, file: str) -> list[Migration]:
    """Those of `migrations` that (version, name, checksum) `applied` lacks, in order.

    Raises SparkiError: `state_newer` where a later program wrote the file, `migration_changed` where one was applied in another form.
    """
    by_version = {migration.version: migration for migration in migrations}
    newest = max(by_version, default=0)
    for version, name, checksum in applied:
        if version > newest:
            message = f"{file} was written by a newer Sparki: its schema is {version}, this program knows {newest}"
            raise _refused("state_newer", message, "use the newer program, or another SPARKI_HOME")
        if version not in by_version or by_version[version].checksum != checksum:
            message = f"{file}: its schema {version} ({name}) is not the one that this program has under that number"
            raise _refused("migration_changed", message, "use the program that wrote the file, or another SPARKI_HOME")
    done = {version for version, _, _ in applied}
    return [migration for migration in migrations if migration.version not in done]


def migrate(connection: sqlite3.Connection, *, file: str, now: str, folder: str = FOLDER) -> None:
    """Apply to `connection` what it lacks, each migration in a transaction of its own. `file` is for messages.

    The caller keeps other writers out. Raises SparkiError as `missing` does, sqlite3.Error where the disk or the SQL refuses.
    """
    has_ledger = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone()
    applied = connection.execute(APPLIED).fetchall() if has_ledger else []
    for migration in missing(applied, known(folder), file=file):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(LEDGER)
            for statement in statements(migration.sql):
                connection.execute(statement)
            row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum, "applied": now}
            connection.execute(RECORD, row)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def build(connection: sqlite3.Connection) -> None:
    """The whole schema in a database that is new, and that no later program will meet: without a ledger of migrations."""
    connection.executescript("\n".join(["BEGIN;", *(migration.sql for migration in known()), "COMMIT;"]))


def statements(sql: str) -> list[str]:
    """The statements of a file. `executescript` can't be used: it commits first, and the transaction would not hold."""
    found: list[str] = []
    held = ""
    for line in sql.splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            found.append(held.strip())
            held = ""
    if held.strip():
        found.append(held.strip())
    return found


def _refused(code: str, message: str, hint: str) -> SparkiError:
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=ExitCode.RED)
