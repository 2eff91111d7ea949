"""The gate: one at a time, each in turn, and never held by the dead."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from sparki_daemon.store.gate import Gate, GateHeld


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def test_a_gate_that_is_held_is_refused_after_the_limit(path: str) -> None:
    one, other = Gate(path), Gate(path)
    one.enter(1)

    with pytest.raises(GateHeld):
        other.enter(0.01)

    one.leave()
    other.enter(1)
    other.leave()
    one.close()
    other.close()


def test_whoever_gave_up_waiting_is_in_nobodys_way(path: str) -> None:
    holder, impatient, patient = Gate(path), Gate(path), Gate(path)
    holder.enter(1)
    for _ in range(3):
        with pytest.raises(GateHeld):
            impatient.enter(0)
    holder.leave()

    patient.enter(1)

    for gate in (holder, impatient, patient):
        gate.close()


def test_a_process_that_dies_lets_go(path: str) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        Gate(path).enter(1)
        os.write(writing, b"in")
        os._exit(0)
    os.read(reading, 2)
    os.waitpid(child, 0)
    gate = Gate(path)

    gate.enter(1)

    gate.close()
    os.close(reading)
    os.close(writing)


def test_whoever_waits_comes_before_the_one_that_has_just_left(path: str) -> None:
    busy, waiting, order = Gate(path), Gate(path), []

    def wait() -> None:
        waiting.enter(20)
        order.append("waiting")
        waiting.leave()

    busy.enter(1)
    thread = threading.Thread(target=wait)
    thread.start()
    while not is_held(path + ".turn"):
        time.sleep(0.001)
    busy.leave()
    busy.enter(20)
    order.append("busy")
    thread.join()

    assert order == ["waiting", "busy"]
    busy.close()
    waiting.close()


def is_held(path: str) -> bool:
    with open(path, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_note_is_read_back_by_the_next_process(path: str) -> None:
    gate = Gate(path)
    assert gate.noted() == 0
    gate.note(41)
    gate.note(7_000_000_000)
    gate.close()

    again = Gate(path)

    assert again.noted() == 7_000_000_000
    again.close()


def test_a_note_that_makes_no_sense_proves_nothing(path: str) -> None:
    gate = Gate(path)
    Path(path + ".gate").write_bytes(b"\x00\xff garbage")

    assert gate.noted() == 0
    gate.close()


def test_the_locks_are_for_their_owner_only(path: str) -> None:
    Gate(path).close()

    assert [os.stat(path + end).st_mode & 0o777 for end in (".gate", ".turn")] == [0o600, 0o600]
