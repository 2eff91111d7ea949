"""Idempotency keys: a request that comes twice is answered once, and answered the same."""

from __future__ import annotations

import json
from typing import Any

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.protocol import Tx

RECALL = "SELECT digest, response FROM idempotency WHERE key = :key"
REMEMBER = "INSERT INTO idempotency (key, digest, response, created) VALUES (:key, :digest, :response, :created)"
FORGET = "DELETE FROM idempotency WHERE created < :before"


async def recall(tx: Tx, key: str, digest: str) -> Any | None:
    """The response that was given to `key`, or None where it is new. `digest` is of the request.

    Raises SparkiError `idempotency_conflict` where the key came with another request before.
    """
    row = await tx.one(RECALL, key=key)
    if row is None:
        return None
    if row["digest"] != digest:
        message = f"the idempotency key {key!r} was used for another request"
        raise SparkiError(Problem(code="idempotency_conflict", message=message, hint="use a new key"), exit_code=ExitCode.USAGE)
    return json.loads(row["response"])


async def remember(tx: Tx, key: str, digest: str, response: Any) -> None:
    """Keep `response` (JSON, not null) for `key`, in the transaction that does what was asked; `recall` comes first in it."""
    await tx.execute(REMEMBER, key=key, digest=digest, response=json.dumps(response), created=tx.now)


async def forget(tx: Tx, before: str) -> int:
    """Drop the keys older than the moment `before` (as `stamp` writes it); how many."""
    return await tx.execute(FORGET, before=before)
