"""What whoever dropped off may ask of the journal."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import ExitCode
from sparki_daemon.store import journal
from sparki_daemon.store.protocol import Store, Tx


@pytest.fixture
async def six(store: Store) -> Store:
    """Six events, by turns of r-1 and r-2."""

    async def work(tx: Tx) -> None:
        for n in range(6):
            await tx.append("tick", stream=f"r-{n % 2 + 1}", n=n)

    await store.write(work)
    return store


async def seqs(store: Store, seq: int, **options: object) -> list[int]:
    return [event.seq for event in await store.read(lambda tx: journal.since(tx, seq, **options))]


async def test_events_since_a_seq_come_in_order_without_that_one(six: Store) -> None:
    assert await seqs(six, 0) == [1, 2, 3, 4, 5, 6]
    assert await seqs(six, 4) == [5, 6]
    assert await seqs(six, 6) == []


async def test_asking_ahead_of_the_journal_gives_nothing(six: Store) -> None:
    assert await seqs(six, 99) == []


async def test_a_limit_gives_the_first_ones_so_that_asking_on_misses_none(six: Store) -> None:
    assert await seqs(six, 0, limit=4) == [1, 2, 3, 4]
    assert await seqs(six, 4, limit=4) == [5, 6]


async def test_a_stream_has_only_its_own_events(six: Store) -> None:
    assert await seqs(six, 0, stream="r-1") == [1, 3, 5]
    assert await seqs(six, 2, stream="r-2", limit=1) == [4]
    assert await seqs(six, 0, stream="r-9") == []


async def test_what_was_dropped_is_refused_with_the_first_one_kept(six: Store) -> None:
    assert await six.write(lambda tx: journal.drop_before(tx, 4)) == 3

    with pytest.raises(journal.EventsPruned) as refused:
        await seqs(six, 2)

    assert refused.value.first == 4
    assert refused.value.problems[0].code == "events_pruned"
    assert refused.value.exit_code is ExitCode.NOT_FOUND
    assert await seqs(six, 3) == [4, 5, 6]
    assert await six.read(journal.first_kept) == 4


async def test_a_stream_whose_beginning_was_dropped_is_refused_too(six: Store) -> None:
    await six.write(lambda tx: journal.drop_before(tx, 4))

    with pytest.raises(journal.EventsPruned):
        await seqs(six, 1, stream="r-2")


async def test_the_last_event_is_never_dropped_and_seqs_go_on_after_it(six: Store) -> None:
    await six.write(lambda tx: journal.drop_before(tx, 1000))

    assert await seqs(six, 5) == [6]
    assert await six.read(journal.head) == 6
    assert (await six.write(lambda tx: tx.append("tick", stream="r-1"))).seq == 7


async def test_the_first_kept_of_an_empty_journal_is_the_one_to_come(store: Store) -> None:
    assert await store.read(journal.first_kept) == 1
    assert await seqs(store, 0) == []
