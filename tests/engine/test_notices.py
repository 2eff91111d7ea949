"""Who is told of what, by a real command or a real webhook; a slow one holds nobody up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sparki_daemon.engine.subsystems import notices
from sparki_daemon.engine.subsystems.notices import Notices
from sparki_daemon.model.event import Event
from sparki_daemon.model.run import RunEvent
from sparki_daemon.store import runs
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.sqlite import SqliteStore


class House:
    """A repository with notices, a store with runs in it, and what the notices left in a file."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.root, self.told, self.store = folder / "repo", folder / "told", store
        self.notices = Notices(store)
        self.root.mkdir()
        subprocess.run(["git", "init", "-q", "."], cwd=self.root, check=True)
        self.events: list[Event] = []
        self.count = 0
        store.on_commit(self.events.extend)

    def settings(self, text: str) -> None:
        (self.root / "sparki.yml").write_text(text)

    def command(self, *on: str, line: str = "$SPARKI_STATUS: $SPARKI_SUMMARY") -> None:
        self.settings(f"notify: [{{on: [{', '.join(on)}], command: 'echo \"{line}\" >> {self.told}'}}]\n")

    async def run(self, how: RunEvent, branch: str = "main") -> Event:
        """A run that ended so: its last event."""
        self.count += 1
        name = f"r-{self.count}"

        async def work(tx: Tx) -> None:
            await runs.create(
                tx,
                name,
                project="p-1",
                pipeline="ci",
                file="ci.yml",
                source={"branch": branch, "commit": "c"},
                plan="{}",
                spec={},
                options={"directory": str(self.root)},
                title=f"number {self.count}",
            )
            await runs.move(tx, name, how)

        await self.store.write(work)
        return next(event for event in reversed(self.events) if event.kind == "run.finished")

    async def tell(self, event: Event) -> list[str]:
        self.notices.tell(event)
        await self.settle()
        return self.told.read_text().splitlines() if self.told.exists() else []

    async def settle(self) -> None:
        while self.notices._tasks:
            await asyncio.sleep(0.005)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore.open(str(tmp_path / "state.db"))
    made = House(tmp_path, store)
    yield made
    await made.notices.close()
    await store.close()


async def test_a_run_that_went_red_is_told_to_those_who_ask_for_failures(house: House) -> None:
    house.command("failure")

    assert await house.tell(await house.run(RunEvent.FAILED)) == ["failure: ci failed: number 1"]
    assert await house.tell(await house.run(RunEvent.PASSED)) == ["failure: ci failed: number 1"]


async def test_the_first_green_run_after_a_red_one_has_recovered(house: House) -> None:
    house.command("recovered")
    await house.run(RunEvent.FAILED)
    await house.run(RunEvent.CANCELLED)
    await house.run(RunEvent.PASSED, branch="other")

    assert await house.tell(await house.run(RunEvent.PASSED)) == ["success: ci recovered: number 4"]
    assert len(await house.tell(await house.run(RunEvent.PASSED))) == 1


async def test_a_cancelled_run_is_told_to_nobody(house: House) -> None:
    house.command("success", "failure", "recovered")

    assert await house.tell(await house.run(RunEvent.CANCELLED)) == []


async def test_a_command_that_takes_too_long_is_ended_with_its_children(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "COMMAND_LIMIT_S", 0.3)
    house.settings(f"notify: [{{on: failure, command: 'sleep 600 & echo $! > {house.told}; wait'}}]\n")

    (child,) = await house.tell(await house.run(RunEvent.FAILED))

    for _ in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{child} lives")


async def test_settings_that_can_not_be_read_and_folders_that_are_gone_are_told_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.settings("notify: nonsense\n")
    assert await house.tell(await house.run(RunEvent.FAILED)) == []
    assert "nobody is told of an end" in caplog.text
    assert "sparki.yml:1:9" in caplog.text
    house.root.rename(house.root.with_name("elsewhere"))
    assert await house.tell(await house.run(RunEvent.FAILED)) == []


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook on loopback, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/key", got
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_webhook_gets_the_same_as_json(house: House, hook: tuple[str, list[dict[str, Any]]]) -> None:
    address, got = hook
    house.settings(f"notify: [{{on: [success], webhook: '{address}'}}]\n")

    await house.tell(await house.run(RunEvent.PASSED))

    facts = {"summary": "ci passed: number 1", "status": "success", "run": "r-1", "pipeline": "ci", "reason": "", "commit": "c"}
    assert got == [{"on": ["success"], **facts}]


async def test_a_webhook_that_can_not_be_reached_is_logged_without_its_path(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.settings("notify: [{on: [failure], webhook: 'http://127.0.0.1:9/secret-key'}]\n")

    await house.tell(await house.run(RunEvent.FAILED))

    assert "127.0.0.1:9" in caplog.text
    assert "secret-key" not in caplog.text


async def test_a_webhook_that_refuses_is_logged_with_its_answer(
    house: House, hook: tuple[str, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    address = hook[0].replace("/key", "/broken")
    house.settings(f"notify: [{{on: [failure], webhook: '{address}'}}]\n")

    await house.tell(await house.run(RunEvent.FAILED))

    assert f"the webhook at {address.split('/')[2]} answered 500" in caplog.text
