from __future__ import annotations

import json
import select
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_in import Reply, Request, StandIn, event, text

from sparki_daemon.client import engine as engine_module
from sparki_daemon.client.engine import Engine
from sparki_daemon.client.follow import Following
from sparki_daemon.model.problem import SparkiError

# A run as the engine tells it: text lies between the events as the API promises.
STORY: list[dict[str, Any]] = [
    event(5, "run.created"),
    event(6, "job.started", job="build", uid="j-build"),
    event(8, "step.started", job="build", step=0, name="a"),
    text(0, "one\n"),
    text(4, "two\nthr"),
    text(11, "ee\né"),
    event(9, "step.finished", job="build", step=0, name="a"),
    event(12, "run.finished", status="success"),
]
WORDS = "one\ntwo\nthree\né"


def resumed(story: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """What an engine sends after `since` and `at`: whole text items again where `at` lies within one."""
    since = int(request.values("since")[0])
    at = dict(value.split(":") for value in request.values("at"))
    out = []
    for item in story:
        if "log" in item:
            if item["log"]["from"] + len(item["log"]["text"].encode()) > int(at.get(item["log"]["uid"], 0)):
                out.append(item)
        elif item["seq"] > since:
            out.append(item)
    return out


def everything(following: Following) -> list[dict[str, Any]]:
    items = []
    while not following.ended:
        if not following.waiting:
            assert select.select([following], [], [], 20)[0]
        items += [item for item, _ in following.receive()]
    following.close()
    return items


def told(items: list[dict[str, Any]]) -> tuple[list[int], str]:
    return [item["seq"] for item in items if "seq" in item], "".join(item["log"]["text"] for item in items if "log" in item)


def told_whole(story: list[dict[str, Any]]) -> Any:
    def handler(_: Request, reply: Reply) -> None:
        reply.begin()
        reply.lines(*story)
        reply.end()

    return handler


def tells(story: list[dict[str, Any]], cuts: list[int] | None = None) -> Any:
    """Each connection gets that many items and no end; the last one gets all."""
    left = list(cuts or [])

    def handler(request: Request, reply: Reply) -> None:
        items = resumed(story, request)
        reply.begin()
        if left:
            count = left.pop(0)
            if count:
                reply.lines(*items[:count])
            return
        reply.lines(*items)
        reply.end()

    return handler


def test_a_run_is_told_to_its_end(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/r-1/follow", tells(STORY))
    assert told(everything(Following(engine, "r-1", 4, log=True))) == ([5, 6, 8, 9, 12], WORDS)
    assert stand_in.requests[0].query == "since=4&log=true"


@pytest.mark.parametrize("cut", range(len(STORY)))
def test_a_connection_lost_anywhere_loses_nothing_and_doubles_nothing(engine: Engine, stand_in: StandIn, cut: int) -> None:
    stand_in.on("GET", "/v1/runs/r-1/follow", tells(STORY, [cut]))
    following = Following(engine, "r-1", 4, log=True)
    assert told(everything(following)) == ([5, 6, 8, 9, 12], WORDS)
    assert following.reconnects == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 4), max_size=6))
def test_many_lost_connections_lose_nothing(engine: Engine, stand_in: StandIn, cuts: list[int]) -> None:
    stand_in.on("GET", "/v1/runs/r-1/follow", tells(STORY, cuts))
    assert told(everything(Following(engine, "r-1", 4, log=True))) == ([5, 6, 8, 9, 12], WORDS)


def test_a_line_cut_in_the_middle_is_not_taken(engine: Engine, stand_in: StandIn) -> None:
    first = [True]

    def handler(request: Request, reply: Reply) -> None:
        if first:
            first.clear()
            reply.begin()
            reply.lines(STORY[0])
            reply.chunk(b'{"seq": 6, "ki')
            return
        tells(STORY)(request, reply)

    stand_in.on("GET", "/v1/runs/r-1/follow", handler)
    assert told(everything(Following(engine, "r-1", 4, log=True)))[0] == [5, 6, 8, 9, 12]


def test_an_item_in_small_pieces_is_put_together(engine: Engine, stand_in: StandIn) -> None:
    def handler(_: Request, reply: Reply) -> None:
        reply.begin()
        for byte in b"".join(json.dumps(item).encode() + b"\n" for item in STORY):
            reply.chunk(bytes([byte]))
        reply.end()

    stand_in.on("GET", "/v1/runs/r-1/follow", handler)
    assert told(everything(Following(engine, "r-1", 4, log=True))) == ([5, 6, 8, 9, 12], WORDS)


def test_text_that_overlaps_what_is_known_is_cut(engine: Engine, stand_in: StandIn) -> None:
    story = [text(0, "abc"), text(1, "bcdé"), text(2, "cd"), event(5, "run.finished", status="success")]
    stand_in.on("GET", "/v1/runs/r-1/follow", told_whole(story))
    assert told(everything(Following(engine, "r-1", 4, log=True)))[1] == "abcdé"


def test_the_end_of_a_text_counts_as_the_engine_says_it(engine: Engine, stand_in: StandIn) -> None:
    """Bytes that are no UTF-8 are shown as other bytes: only the engine knows how many they were."""
    odd = text(0, "\ufffd\n")
    odd["log"]["to"] = 2
    stand_in.on("GET", "/v1/runs/r-1/follow", tells([odd, text(2, "b\n"), event(5, "run.finished", status="success")], [1]))
    everything(Following(engine, "r-1", 4, log=True))
    assert stand_in.requests[1].values("at") == ["j-build:2"]


def test_a_job_that_is_queued_again_begins_a_new_text(engine: Engine, stand_in: StandIn) -> None:
    story = [
        text(0, "old\n"),
        event(5, "job.queued", job="build", uid="j-build"),
        text(0, "new\n"),
        event(6, "run.finished", status="success"),
    ]
    stand_in.on("GET", "/v1/runs/r-1/follow", told_whole(story))
    assert told(everything(Following(engine, "r-1", 4, log=True)))[1] == "old\nnew\n"


def test_a_follower_that_was_dropped_comes_back_at_its_cursor(engine: Engine, stand_in: StandIn) -> None:
    first = [True]

    def handler(request: Request, reply: Reply) -> None:
        reply.begin()
        items = resumed(STORY, request)
        if first:
            first.clear()
            reply.lines(*items[:2], {"dropped": {"since": 6}})
        else:
            reply.lines(*items)
        reply.end()

    stand_in.on("GET", "/v1/runs/r-1/follow", handler)
    assert told(everything(Following(engine, "r-1", 4, log=False)))[0] == [5, 6, 8, 9, 12]
    assert stand_in.requests[1].values("since") == ["6"]


def test_a_stream_that_never_gets_on_is_given_up(engine: Engine, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FRUITLESS_LIMIT", 3)
    stand_in.on("GET", "/v1/runs/r-1/follow", lambda _, reply: reply.begin())
    with pytest.raises(SparkiError, match="hangs up"):
        everything(Following(engine, "r-1", 4, log=True))


def test_what_the_engine_refuses_is_told(engine: Engine, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/r-1/follow", lambda _, reply: reply.problem("events_pruned", 410, 5))
    with pytest.raises(SparkiError) as caught:
        Following(engine, "r-1", 4, log=True).connect()
    assert caught.value.problems[0].code == "events_pruned"
