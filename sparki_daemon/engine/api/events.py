"""The routes of events: the whole journal after a seq, then live, as lines or over a WebSocket."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.problems import refusal
from sparki_daemon.engine.api.stream import CHUNK_BYTES, Chunks, Stalled, Stream, batches, sent, while_connected
from sparki_daemon.engine.api.table import NDJSON, SINCE, Answer, Asked, Operation, Parameter, checked_query, following
from sparki_daemon.engine.feed import Subscription
from sparki_daemon.model.event import Event
from sparki_daemon.model.problem import Problem, SparkiError

KEPT_FRAMES = 8


async def refuse_the_future(engine: EnginePort, since: int) -> None:
    """A cursor beyond the journal belongs to another state folder: waiting for it would be waiting in vain. Raises SparkiError."""
    if since > engine.feed.last and since > await engine.head():
        raise refusal("since_beyond_head", f"the journal has no event {since} yet", hint="begin again with since=0")


async def events(engine: EnginePort, asked: Asked) -> Response:
    query = asked.query
    await refuse_the_future(engine, query["since"])
    subscription = engine.feed.subscription(query["since"], query["stream"])
    first = await subscription.page()  # a pruned `since` is answered before the stream begins
    return Stream(_lines(engine, subscription, first, follow=query["follow"]), since=query["since"])


async def _lines(engine: EnginePort, subscription: Subscription, page: list[Event], *, follow: bool) -> Chunks:
    wake = asyncio.Event()
    feed = engine.feed
    with feed.waking(wake.set):
        while True:
            wake.clear()
            while page := page or await subscription.page():
                for chunk in batches([(feed.line(event), event.seq) for event in page]):
                    yield chunk
                page = []
            if not follow:
                return
            await wake.wait()


class Frames:
    """The last frames, shared by clients that are equally far; a frame is a JSON array of up to 256 events."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, int], list[tuple[str, int]]] = OrderedDict()

    def of(self, engine: EnginePort, page: list[Event]) -> list[tuple[str, int]]:
        """(frame, seq of its last event) for a page of events."""
        key = page[0].seq, page[-1].seq, len(page)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = list(_frames([(engine.feed.line(event), event.seq) for event in page]))
            if len(self._kept) > KEPT_FRAMES:
                self._kept.popitem(last=False)
        return found


def _frames(lines: list[tuple[bytes, int]]) -> list[tuple[str, int]]:
    frames: list[tuple[str, int]] = []
    held: list[bytes] = []
    for line, seq in lines:
        held.append(line)
        if sum(map(len, held)) >= CHUNK_BYTES or seq == lines[-1][1]:
            frames.append(((b"[" + b",".join(held) + b"]").decode(), seq))
            held = []
    return frames


async def events_socket(socket: WebSocket) -> None:
    """Every event after `since` in frames, until the client leaves. One that takes nothing is closed with 1013 and its cursor."""
    state = socket.scope["state"]
    engine: EnginePort = state["engine"]
    problems: list[Problem] = []
    query = checked_query(EVENTS, socket, problems)
    if problems:
        raise SparkiError(*problems)
    await refuse_the_future(engine, query["since"])
    subscription = engine.feed.subscription(query["since"], query["stream"])
    page = await subscription.page()
    await socket.accept()
    sending = _Sending(engine, socket, state["frames"], query["since"])
    try:
        await while_connected(socket.receive, "websocket.disconnect", sending.run(subscription, page))
    except (Stalled, SparkiError):  # the second: so slow that the journal was pruned behind it
        state["connection"].drop(f"since={sending.since}")
    except WebSocketDisconnect:
        pass


class _Sending:
    """One client's frames; `since` is the seq up to which it was sent everything."""

    def __init__(self, engine: EnginePort, socket: WebSocket, frames: Frames, since: int) -> None:
        self._engine = engine
        self._socket = socket
        self._frames = frames
        self.since = since

    async def run(self, subscription: Subscription, page: list[Event]) -> None:
        wake = asyncio.Event()
        with self._engine.feed.waking(wake.set):
            while True:
                wake.clear()
                while page := page or await subscription.page():
                    for text, seq in self._frames.of(self._engine, page):
                        await sent(self._socket.send, {"type": "websocket.send", "text": text})
                        self.since = seq
                    page = []
                await wake.wait()


STREAM = Parameter("stream", "query", {"type": "string", "minLength": 1, "maxLength": 200}, "Events of this run alone.")

EVENTS = Operation(
    method="GET",
    path="/v1/events",
    name="events",
    about=(
        "Every event after `since`, in order, none lost, none twice, then live. Lines of JSON; upgraded to a WebSocket, frames:"
        " arrays of up to 256 events. A client that takes nothing for 20 s is dropped with its cursor: {dropped: {since}} as the last"
        " line, or close code 1013 with the reason `since=SEQ`."
    ),
    handler=events,
    parameters=(SINCE, STREAM, following("Stay for what comes; otherwise end at the journal's head.")),
    answers={
        101: Answer("The connection is a WebSocket now."),
        200: Answer("Events.", media=NDJSON),
        409: Answer("`since_beyond_head`: the journal has no such event."),
        410: Answer("`events_pruned`: the journal begins at `first_kept`."),
    },
)
ROUTES = (EVENTS,)
