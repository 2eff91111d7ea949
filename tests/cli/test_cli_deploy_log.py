"""`sparki logs DEPLOYMENT` against a stand-in: steps with their times, what was printed, and why it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_stories import Program, Reply, Request, StandIn

from sparki_daemon.model.deployment import STEPS

CREATED, ENDED = "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:09.000Z"
LOG = (
    f"{CREATED} release_command > run the release command\n"
    "migrating\n"
    "2026-01-02T03:04:06.500Z release_command = failed: the release command ended with 3\n"
).encode()


def shown(status: str, reason: str = "", finished: str | None = None) -> dict[str, Any]:
    empty = {"status": "pending", "reason": "", "started": None, "finished": None, "took_ms": None}
    steps = [{"name": rule.name, "does": rule.does, **empty} for rule in STEPS]
    about = {"id": "d-7", "environment": "staging", "release": "v-1", "number": 7, "commit": "c" * 40, "waits": [], "run": None}
    times = {"created": CREATED, "started": CREATED, "finished": finished, "step": None}
    return {**about, **times, "status": status, "reason": reason, "steps": steps}


class Deployment:
    """What the engine says of one; each look at it brings the next status and `piece` bytes more of its log."""

    def __init__(self, stand_in: StandIn, *looks: dict[str, Any], piece: int = len(LOG)) -> None:
        self.looks, self.piece, self.there = list(looks), piece, 0
        stand_in.on("GET", "/v1/deployments/d-7", self.show)
        stand_in.on("GET", "/v1/deployments/d-7/log", self.log)

    def show(self, request: Request, reply: Reply) -> None:
        reply.json(self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])

    def log(self, request: Request, reply: Reply) -> None:
        self.there += self.piece
        reply.begin()
        if data := LOG[int(request.values("from")[0]) : self.there]:
            reply.chunk(data)
        reply.end()


@pytest.fixture
def sparki(sparki: Program) -> Program:
    sparki.env["TZ"] = "UTC"
    return sparki


FAILED = shown("failed", "the release command ended with 3", ENDED)


def test_each_step_has_its_time_commands_stand_among_them_and_the_end_has_its_reason(sparki: Program, stand_in: StandIn) -> None:
    Deployment(stand_in, FAILED)

    done = sparki("logs", "d-7")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "d-7: release 7 (cccccccccc) to staging, 2026-01-02",
        "03:04:05.000  run the release command",
        "                │ migrating",
        "03:04:06.500    failed: the release command ended with 3",
        "✗ release 7 (cccccccccc) did not go live in staging; what served before serves on",
        "  the release command ended with 3",
    ]


def test_as_json_each_line_has_step_number_and_time_and_the_last_one_is_the_end(sparki: Program, stand_in: StandIn) -> None:
    Deployment(stand_in, FAILED)

    lines = [json.loads(line) for line in sparki("logs", "d-7", "--json").stdout.splitlines()]
    assert [(one["step"], one["line"], one["time"], one["kind"], one["text"]) for one in lines] == [
        ("release_command", 1, CREATED, "begun", "run the release command"),
        ("release_command", 2, CREATED, "printed", "migrating"),
        ("release_command", 3, "2026-01-02T03:04:06.500Z", "ended", "failed: the release command ended with 3"),
        (None, None, ENDED, "finished", "failed: the release command ended with 3"),
    ]
    assert {(one["deployment"], one["job"]) for one in lines} == {("d-7", None)}


def test_followed_it_is_told_as_it_comes_in_whole_lines_to_its_end(sparki: Program, stand_in: StandIn) -> None:
    waiting = {**shown("waiting"), "waits": [{"for": "run", "runs": ["r-1"]}]}
    Deployment(stand_in, waiting, shown("running"), shown("running"), FAILED, piece=len(LOG) // 4 + 1)

    lines = sparki("logs", "d-7", "-f").stdout.splitlines()
    assert lines[1] == "              waits for run r-1"
    assert [line.strip() for line in lines[2:5]] == [
        "03:04:05.000  run the release command",
        "│ migrating",
        "03:04:06.500    failed: the release command ended with 3",
    ]
    assert lines[-1] == "  the release command ended with 3"


def test_one_that_goes_on_has_no_end_yet(sparki: Program, stand_in: StandIn) -> None:
    Deployment(stand_in, shown("running"))

    assert sparki("logs", "d-7").stdout.splitlines()[-1] == "03:04:06.500    failed: the release command ended with 3"
