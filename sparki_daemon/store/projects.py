"""Projects: an id that is kept for the real path of a repository's common git folder."""

from __future__ import annotations

from sparki_daemon.store.protocol import Tx

ADD = "INSERT INTO projects (id, path) VALUES (:id, :path) ON CONFLICT (path) DO NOTHING"
BY_PATH = "SELECT id FROM projects WHERE path = :path"
PATH_OF = "SELECT path FROM projects WHERE id = :id"


async def find(tx: Tx, path: str) -> str | None:
    """The id of the project at the real path `path`, or None where nothing has run there."""
    row = await tx.one(BY_PATH, path=path)
    return row["id"] if row else None


async def find_or_add(tx: Tx, path: str, *, fresh: str) -> str:
    """The id of the project at the real path `path`; `fresh` (random, `p-…`) becomes it where there is none yet."""
    known = await find(tx, path)
    if known is not None:
        return known
    await tx.execute(ADD, id=fresh, path=path)
    return fresh


async def path_of(tx: Tx, project: str) -> str | None:
    row = await tx.one(PATH_OF, id=project)
    return row["path"] if row else None
