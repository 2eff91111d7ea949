"""What every queue promises: ids in order, with the transaction, each one once while it waits."""

from __future__ import annotations

import asyncio

import pytest

from sparki_daemon.queue.protocol import BUILDS, DEPLOYMENTS, Queue
from sparki_daemon.store.protocol import Store, Tx


async def take(store: Store, queue: Queue, limit: int = 100, name: str = BUILDS, skip: frozenset[str] = frozenset()) -> list[str]:
    return await store.write(lambda tx: queue.take(tx, name, limit, skip=skip))


async def put(store: Store, queue: Queue, *ids: str, name: str = BUILDS) -> None:
    await store.write(lambda tx: queue.put(tx, name, list(ids)))


async def depth(store: Store, queue: Queue, name: str = BUILDS) -> int:
    return await store.read(lambda tx: queue.depth(tx, name))


async def test_ids_come_out_oldest_first(store: Store, queue: Queue) -> None:
    await put(store, queue, "c", "a")
    await put(store, queue, "b")

    assert await take(store, queue, 2) == ["c", "a"]
    assert await take(store, queue, 2) == ["b"]
    assert await take(store, queue, 2) == []


async def test_an_id_that_waits_already_stays_where_it_is(store: Store, queue: Queue) -> None:
    await put(store, queue, "a", "b")
    await put(store, queue, "b", "a", "c")

    assert await take(store, queue) == ["a", "b", "c"]


async def test_an_id_that_was_taken_may_be_queued_again_and_comes_last(store: Store, queue: Queue) -> None:
    await put(store, queue, "a", "b")
    assert await take(store, queue, 1) == ["a"]
    await put(store, queue, "a")

    assert await take(store, queue) == ["b", "a"]


async def test_what_is_skipped_keeps_its_place_and_does_not_count(store: Store, queue: Queue) -> None:
    await put(store, queue, "a", "b", "c", "d")

    assert await take(store, queue, 2, skip=frozenset({"a", "c", "elsewhere"})) == ["b", "d"]
    assert await take(store, queue) == ["a", "c"]


async def test_what_was_dropped_is_not_given_to_anyone(store: Store, queue: Queue) -> None:
    await put(store, queue, "a", "b", "c")
    await store.write(lambda tx: queue.drop(tx, BUILDS, ["b", "unknown"]))
    await store.write(lambda tx: queue.drop(tx, BUILDS, []))

    assert await depth(store, queue) == 2
    assert await take(store, queue) == ["a", "c"]


async def test_queues_are_apart(store: Store, queue: Queue) -> None:
    await put(store, queue, "a")
    await put(store, queue, "a", "b", name=DEPLOYMENTS)

    assert (await depth(store, queue), await depth(store, queue, DEPLOYMENTS)) == (1, 2)
    assert await take(store, queue) == ["a"]
    assert await take(store, queue, name=DEPLOYMENTS) == ["a", "b"]


async def test_queueing_nothing_and_taking_from_an_empty_queue_are_fine(store: Store, queue: Queue) -> None:
    await put(store, queue)

    assert await take(store, queue) == []
    assert await depth(store, queue) == 0


async def test_an_id_stays_queued_where_its_taker_failed(store: Store, queue: Queue) -> None:
    await put(store, queue, "a", "b")

    async def failing(tx: Tx) -> None:
        await queue.take(tx, BUILDS, 1)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await store.write(failing)

    assert await take(store, queue) == ["a", "b"]


async def test_an_id_is_not_queued_where_its_transaction_failed(store: Store, queue: Queue) -> None:
    async def failing(tx: Tx) -> None:
        await queue.put(tx, BUILDS, ["a"])
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await store.write(failing)

    assert await depth(store, queue) == 0


async def test_takers_at_once_share_what_waits(store: Store, queue: Queue) -> None:
    await put(store, queue, *(f"j-{n:03d}" for n in range(100)))

    taken = await asyncio.gather(*(take(store, queue, 15) for _ in range(10)))

    assert sorted(one for ids in taken for one in ids) == [f"j-{n:03d}" for n in range(100)]
