"""Cursors, idempotency keys and projects: small tables that others' promises stand on."""

from __future__ import annotations

import asyncio

import pytest

from sparki_daemon.model.problem import ExitCode, SparkiError
from sparki_daemon.store import cursors, keys, projects
from sparki_daemon.store.protocol import Store, Tx


async def test_a_cursor_moves_forward_only(store: Store) -> None:
    moved = [await store.write(lambda tx, offset=offset: cursors.advance(tx, "7", offset)) for offset in (10, 30, 30, 20, 31)]

    assert moved == [True, True, False, False, True]
    assert await store.read(lambda tx: cursors.get(tx, "7")) == 31


async def test_a_runner_never_heard_of_is_at_zero(store: Store) -> None:
    assert await store.read(lambda tx: cursors.get(tx, "7")) == 0


async def test_cursors_are_listed_and_forgotten(store: Store) -> None:
    for runner in ("7", "8"):
        await store.write(lambda tx, runner=runner: cursors.advance(tx, runner, int(runner)))
    await store.write(lambda tx: cursors.delete(tx, "7"))
    await store.write(lambda tx: cursors.delete(tx, "9"))

    assert await store.read(cursors.all_of_them) == {"8": 8}


async def test_a_cursor_stays_where_the_records_before_it_were_not_kept(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await cursors.advance(tx, "7", 10)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await store.write(work)

    assert await store.read(lambda tx: cursors.get(tx, "7")) == 0


async def test_one_key_submitted_twice_at_once_is_answered_once(store: Store) -> None:
    done = []

    async def submit(number: int) -> dict[str, int]:
        async def work(tx: Tx) -> dict[str, int]:
            known = await keys.recall(tx, "k", "digest")
            if known is not None:
                return known
            done.append(number)
            await keys.remember(tx, "k", "digest", {"run": number})
            return {"run": number}

        return await store.write(work)

    answers = await asyncio.gather(*(submit(number) for number in range(10)))

    assert len(done) == 1
    assert answers == [{"run": done[0]}] * 10


async def test_a_key_that_comes_with_another_request_is_refused(store: Store) -> None:
    await store.write(lambda tx: keys.remember(tx, "k", "digest", {"run": 1}))

    with pytest.raises(SparkiError) as refused:
        await store.read(lambda tx: keys.recall(tx, "k", "other"))

    assert refused.value.problems[0].code == "idempotency_conflict"
    assert refused.value.exit_code is ExitCode.USAGE


async def test_keys_are_forgotten_by_age(store: Store) -> None:
    await store.write(lambda tx: keys.remember(tx, "k", "digest", {"run": 1}))

    assert await store.write(lambda tx: keys.forget(tx, "2000-01-01T00:00:00.000Z")) == 0
    assert await store.write(lambda tx: keys.forget(tx, "9000-01-01T00:00:00.000Z")) == 1
    assert await store.read(lambda tx: keys.recall(tx, "k", "digest")) is None


async def test_a_project_keeps_its_id_for_its_path(store: Store) -> None:
    found = [await store.write(lambda tx, fresh=fresh: projects.find_or_add(tx, "/a/.git", fresh=fresh)) for fresh in ("p-1", "p-2")]
    other = await store.write(lambda tx: projects.find_or_add(tx, "/b/.git", fresh="p-3"))

    assert (found, other) == (["p-1", "p-1"], "p-3")
    assert await store.read(lambda tx: projects.path_of(tx, "p-1")) == "/a/.git"
    assert await store.read(lambda tx: projects.path_of(tx, "p-2")) is None
    assert await store.read(lambda tx: projects.find(tx, "/c/.git")) is None
