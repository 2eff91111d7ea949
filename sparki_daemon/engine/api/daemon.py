"""The routes of the daemon itself."""

from __future__ import annotations

from starlette.responses import Response

from sparki_daemon.engine.api import shapes
from sparki_daemon.engine.api.ports import EnginePort
from sparki_daemon.engine.api.shapes import ref
from sparki_daemon.engine.api.table import IDEMPOTENCY_KEY, Answer, Asked, Operation, json_answer


async def status(engine: EnginePort, _: Asked) -> Response:
    return json_answer(await engine.daemon_status())


async def stop(engine: EnginePort, asked: Asked) -> Response:
    await engine.stop_daemon(force=asked.body["force"])
    return json_answer({"accepted": True}, 202)


async def prune(engine: EnginePort, asked: Asked) -> Response:
    return json_answer(await engine.prune(dry_run=asked.body["dry_run"]))


async def restart(engine: EnginePort, _: Asked) -> Response:
    await engine.restart_daemon()
    return json_answer({"accepted": True}, 202)


ROUTES = (
    Operation(
        method="GET",
        path="/v1/daemon",
        name="daemonStatus",
        about="Version, processes, queues and room on disk; while the disk is `full`, jobs that write wait.",
        handler=status,
        answers={200: Answer("The daemon.", ref("Daemon"))},
    ),
    Operation(
        method="POST",
        path="/v1/daemon/stop",
        name="stopDaemon",
        about="End the daemon; with `force` also when runs are active.",
        handler=stop,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.STOP,
        answers={202: Answer("It ends.", ref("Accepted")), 409: Answer("`runs_active`")},
    ),
    Operation(
        method="POST",
        path="/v1/prune",
        name="prune",
        about="Drop now what is no longer kept; with `dry_run` only say what would go.",
        handler=prune,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.PRUNE,
        answers={200: Answer("What went.", ref("Pruned"))},
    ),
    Operation(
        method="POST",
        path="/v1/daemon/restart",
        name="restartDaemon",
        about="Execute the daemon anew; runs go on.",
        handler=restart,
        parameters=(IDEMPOTENCY_KEY,),
        body=shapes.NOTHING,
        answers={202: Answer("It restarts.", ref("Accepted"))},
    ),
)
