"""Releases: what was brought, or may be brought again, to an environment; written once and never changed but for being pruned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.protocol import Row, Tx

COLUMNS = """id, seq, project, environment, number, commit_id, tree, subject, run, artifact, settings, settings_digest, secrets, author,
    created, pruned"""
INSERT = f"""
    INSERT INTO releases ({COLUMNS})
    VALUES (:id, :seq, :project, :environment,
        (SELECT coalesce(max(number), 0) + 1 FROM releases WHERE project = :project AND environment = :environment),
        :commit_id, :tree, :subject, :run, :artifact, :settings, :settings_digest, :secrets, :author, :created, 0)
    RETURNING {COLUMNS}
"""  # noqa: S608  # every SQL text here is put together from this module's own words
GET = f"SELECT {COLUMNS} FROM releases WHERE id = :id"  # noqa: S608
BY_PREFIX = f"""
    SELECT {COLUMNS} FROM releases WHERE id >= :prefix AND id < :beyond AND project = :project AND environment = :environment LIMIT 2
"""  # noqa: S608
BY_NUMBER = f"""
    SELECT {COLUMNS} FROM releases WHERE project = :project AND environment = :environment AND number = :number
"""  # noqa: S608
OF = f"""
    SELECT {COLUMNS} FROM releases WHERE project = :project AND environment = :environment ORDER BY number DESC LIMIT :limit
"""  # noqa: S608
FILL = "UPDATE releases SET artifact = :artifact WHERE id = :id AND artifact = :known"
ALL_KEPT = f"SELECT {COLUMNS} FROM releases WHERE pruned = 0"  # noqa: S608
PRUNE = "UPDATE releases SET pruned = 1 WHERE id = :id AND pruned = 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRelease:
    """A release that is to be kept; `id` is new (`v-…`)."""

    id: str
    project: str
    environment: str
    commit: str
    tree: str
    subject: str
    run: str
    artifact: Mapping[str, Any]
    settings: Mapping[str, Any]
    settings_digest: str
    secrets: Sequence[str]
    author: str


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as it is kept."""

    id: str
    seq: int
    project: str
    environment: str
    number: int  # from 1, an environment
    commit: str
    tree: str
    subject: str
    run: str
    artifact: dict[str, Any]
    settings: dict[str, Any]
    settings_digest: str
    secrets: tuple[str, ...]
    author: str
    created: str
    pruned: bool


def _row(row: Row) -> ReleaseRow:
    return ReleaseRow(
        row["id"],
        row["seq"],
        row["project"],
        row["environment"],
        row["number"],
        row["commit_id"],
        row["tree"],
        row["subject"],
        row["run"],
        json.loads(row["artifact"]),
        json.loads(row["settings"]),
        row["settings_digest"],
        tuple(json.loads(row["secrets"])),
        row["author"],
        row["created"],
        row["pruned"] == 1,
    )


async def create(tx: Tx, new: NewRelease) -> ReleaseRow:
    """Keep a release, with `release.created`; its number is the environment's next."""
    told = {"release": new.id, "environment": new.environment, "commit": new.commit, "tree": new.tree, "run": new.run}
    event = await tx.append("release.created", stream=new.id, **told)
    row = await tx.one(
        INSERT,
        id=new.id,
        seq=event.seq,
        project=new.project,
        environment=new.environment,
        commit_id=new.commit,
        tree=new.tree,
        subject=new.subject,
        run=new.run,
        artifact=json.dumps(new.artifact),
        settings=json.dumps(new.settings),
        settings_digest=new.settings_digest,
        secrets=json.dumps(list(new.secrets)),
        author=new.author,
        created=tx.now,
    )
    assert row is not None
    return _row(row)


async def get(tx: Tx, release: str) -> ReleaseRow | None:
    row = await tx.one(GET, id=release)
    return _row(row) if row else None


async def of_environment(tx: Tx, project: str, environment: str, *, limit: int = 1000) -> list[ReleaseRow]:
    """The releases of an environment, the newest first."""
    return [_row(row) for row in await tx.all(OF, project=project, environment=environment, limit=limit)]


async def find(tx: Tx, word: str, *, project: str, environment: str) -> ReleaseRow:
    """The release of an environment that a person means: its id, a prefix of just one, or its number.

    Raises SparkiError: `no_such_release`, `ambiguous_release`.
    """
    if word.isdecimal():
        row = await tx.one(BY_NUMBER, project=project, environment=environment, number=int(word[:18]))
        if row:
            return _row(row)
    prefix = word if word.startswith("v-") else f"v-{word}"
    found = await tx.all(BY_PREFIX, prefix=prefix, beyond=prefix + "\U0010ffff", project=project, environment=environment)
    if not found:
        problem = Problem(
            code="no_such_release", message=f"{environment} has no release '{word}'", hint=f"sparki releases {environment} lists them"
        )
        raise SparkiError(problem, exit_code=ExitCode.NOT_FOUND)
    if len(found) > 1:
        raise SparkiError(
            Problem(code="ambiguous_release", message=f"several releases begin with '{word}'", hint="give more of the id, or the number")
        )
    return _row(found[0])


async def fill(tx: Tx, known: ReleaseRow, artifact: Mapping[str, Any]) -> bool:
    """Give a release that was made before its run had ended its artifact, with `release.filled`. False: somebody has."""
    if not await tx.execute(FILL, id=known.id, artifact=json.dumps(artifact), known=json.dumps(known.artifact)):
        return False
    await tx.append("release.filled", stream=known.id, release=known.id)
    return True


async def digests(tx: Tx) -> set[str]:
    """The digests of all artifacts that some release still needs."""
    return {digest for row in await tx.all(ALL_KEPT) if (digest := json.loads(row["artifact"]).get("digest"))}


async def prune(tx: Tx, release: str) -> bool:
    """Note that a release's bytes are to go, with `release.pruned`; before they go. False: it was noted already."""
    if not await tx.execute(PRUNE, id=release):
        return False
    await tx.append("release.pruned", stream=release, release=release)
    return True
