"""Watch one deployment to its end. Ctrl-C, or a limit of time, stops the watching only: the deployment goes on."""

from __future__ import annotations

import os
import time
from select import POLLIN, poll

from sparki_cli.deploy_view import DeployView, now_line, step_line, summary, waits_line
from sparki_cli.render import printable
from sparki_daemon.client.deploy import Watching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_cli.interrupts import Interrupts
    from sparki_cli.render import Output
    from sparki_daemon.client.deploy import Deployments

EXIT_CODES = {"live": 0, "unknown": 6}  # the rest: 1
STOPPED_WATCHING = 7
FRAME_S = 0.1
EXCERPT_LINES, EXCERPT_BYTES = 20, 8192  # of its log, where it did not go well
HEARTBEAT_S = 30.0  # where nothing can be painted over, a line now and then says that it is alive


class Follow:
    """One deployment on one terminal, or as lines of JSON."""

    def __init__(
        self, output: Output, deployments: Deployments, shown: dict[str, Any], since: int, *, leave_at: tuple[str, ...] = ()
    ) -> None:
        self._output = output
        self._deployments = deployments
        self._view = DeployView(shown)
        self._watching = Watching(deployments.engine, shown["id"], since)
        self._leave_at = leave_at  # the waits that end the following
        self._painted = False
        self._said = ""
        self._spoke_s = time.monotonic()

    def to_the_end(self, interrupts: Interrupts, *, limit_s: float | None = None) -> int:
        """Follow it; the exit code. Raises SparkiError when the daemon can't be reached, BrokenPipeError."""
        deadline = None if limit_s is None else time.monotonic() + limit_s
        try:
            while not self._watching.ended and self._view.status != "unknown":
                if interrupts.count:
                    return self._stopped("stopped watching")
                if any(one["for"] in self._leave_at for one in self._view.waits):
                    return self._stopped(waits_line(self._view.waits))
                if deadline is not None and time.monotonic() > deadline:
                    return self._stopped(f"stopped watching after {limit_s:g} s")
                self._turn(interrupts, deadline)
        except KeyboardInterrupt:
            return self._stopped("stopped watching")
        finally:
            self._wipe()
            self._watching.close()
        if not self._output.as_json:
            if self._view.status in ("failed", "reverted", "unknown"):
                self._excerpt()
            self._output.raw(summary(self._output, self._view))
        return EXIT_CODES.get(self._view.status, 1)

    def _turn(self, interrupts: Interrupts, deadline: float | None) -> None:
        if not self._watching.waiting:
            waiter = poll()
            waiter.register(interrupts.fileno(), POLLIN)
            waiter.register(self._watching.fileno(), POLLIN)
            ready = waiter.poll(int(self._wait_s(deadline) * 1000))
            interrupts.drain()
            if self._watching.fileno() in {fd for fd, _ in ready}:
                self._take()
        else:
            interrupts.patience = 1 if self._watching.fileno() < 0 else 3  # a call that waits must be left at once
            self._take()
            interrupts.patience = 3
        self._tick()

    def _wait_s(self, deadline: float | None) -> float:
        wait = FRAME_S if self._output.live else HEARTBEAT_S
        return wait if deadline is None else max(0.0, min(wait, deadline - time.monotonic() + 0.001))

    def _take(self) -> None:
        for event, line in self._watching.receive():
            ended = self._view.apply(event)
            if self._output.as_json:
                self._output.json_lines([line])
                continue
            for step in ended:
                if step.get("asked", True):
                    self._print(step_line(self._output, step))
            of_run = all(one["for"] == "run" for one in self._view.waits)  # told before the following began
            if event["kind"] == "deployment.waiting" and not of_run and not self._output.live:  # the painted line says it anyway
                self._print(f"  {self._output.glyph('waiting')} {waits_line(self._view.waits)}")

    def _tick(self) -> None:
        """What is going on: painted over and over in a terminal, else said now and then."""
        if self._output.as_json or self._output.quiet or self._watching.ended:
            return
        line = now_line(self._output, self._view, int(time.time() * 1000))
        if self._output.live:
            self._output.raw(f"\r{_cut(line)}\x1b[K")
            self._painted = True
        elif time.monotonic() - self._spoke_s > HEARTBEAT_S and self._view.step is not None:
            self._print(line)

    def _print(self, line: str) -> None:
        self._wipe()
        if line != self._said and not self._output.quiet:
            self._output.line(line)
        self._said = line
        self._spoke_s = time.monotonic()

    def _wipe(self) -> None:
        if self._painted:
            self._output.raw("\r\x1b[K")
            self._painted = False

    def _excerpt(self) -> None:
        """What its steps said and its commands printed last; that steps began and ended was told as it came."""
        from sparki_daemon.model.deploy_log import LogLines, Mark  # noqa: PLC0415  # only where it did not go well

        lines = LogLines()
        data = b"".join(self._deployments.log_bytes(self._view.id, last=EXCERPT_BYTES))
        data = data.partition(b"\n")[2] if len(data) == EXCERPT_BYTES else data  # no half a line
        told = [line.text for line in (*lines.feed(data), *lines.end()) if line.mark in (Mark.SAID, Mark.PRINTED)]
        for text in told[-EXCERPT_LINES:]:
            self._output.line(f"    {self._output.bar} {printable(text)}")

    def _stopped(self, why: str) -> int:
        self._wipe()
        view = self._view
        self._output.note(f"{why}: {view.id} goes on ({view.status}). To end it: sparki cancel {view.id}; to see it: sparki show {view.id}")
        return STOPPED_WATCHING


def _cut(line: str) -> str:
    """As much of a styled line as fits the terminal, so that it stays on one row."""
    from sparki_cli.render import visible  # noqa: PLC0415  # not where nothing is painted

    try:
        columns = os.get_terminal_size(1).columns or 80
    except OSError:
        columns = 80
    while visible(line) >= columns:
        line = line[: -max(1, visible(line) - columns + 1)]
    return line
