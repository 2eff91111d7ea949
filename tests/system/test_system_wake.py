"""A wake-up reaches who listens, is lost where nobody does, and needs no short path."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from sparki_daemon.system import wake


@pytest.mark.parametrize("depth", [0, 12], ids=["a short path", "a long path"])
def test_a_wake_up_is_heard_once_however_often_it_came(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-long-name-of-a-folder"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    server = wake.listen(str(folder), "loco.wake")
    assert server is not None
    try:
        for _ in range(3):
            wake.wake(str(folder), "loco.wake")
        assert select.select([server], [], [], 5)[0]
        wake.drain(server)
        assert not select.select([server], [], [], 0)[0]
    finally:
        server.close()


def test_nobody_need_listen(tmp_path: Path) -> None:
    wake.wake(str(tmp_path), "loco.wake")
    wake.wake(str(tmp_path / "gone"), "loco.wake")


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    first = wake.listen(str(tmp_path), "loco.wake")
    second = wake.listen(str(tmp_path), "loco.wake")
    assert first is not None
    assert second is not None
    first.close()
    wake.wake(str(tmp_path), "loco.wake")

    assert select.select([second], [], [], 5)[0]
    second.close()


def test_a_flood_of_wake_ups_blocks_nobody(tmp_path: Path) -> None:
    server = wake.listen(str(tmp_path), "loco.wake")
    assert server is not None
    for _ in range(2000):
        wake.wake(str(tmp_path), "loco.wake")
    wake.drain(server)
    server.close()
