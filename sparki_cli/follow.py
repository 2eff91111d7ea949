"""Watch runs to their end: events in, a sink's picture out; Ctrl-C cancels, a second one kills."""

from __future__ import annotations

import time
from select import POLLIN, poll

from sparki_cli.interrupts import Interrupts
from sparki_cli.sink import Sink
from sparki_cli.view import RunView, worst
from sparki_daemon.client.engine import Engine
from sparki_daemon.client.follow import Following

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sparki_cli.watching import Changes

FORCE_LIMIT_S = 2.0  # from the second Ctrl-C to the end, whatever the engine says
CANCEL_LIMIT_S = 1.5


class Watch:
    """The runs that one command follows; `since` is the event to begin after. One that `looks` opens a shell at steps that are held."""

    def __init__(
        self, engine: Engine, sink: Sink, views: list[RunView], since: int, changes: Changes | None = None, *, looks: bool = False
    ) -> None:
        self.engine = engine
        self.sink = sink
        self.views = views
        self.last_seq = since
        self._open = {view.run: (Following(engine, view.run, since, log=sink.wants_text), view) for view in views}
        self._answered = 0  # interrupts that were acted upon
        self._deadline_s: float | None = None
        self._looks = looks
        self._changes = changes  # what may make the runs outdated; None too once it has

    def to_the_end(self, interrupts: Interrupts) -> int:
        """Follow until every run has ended; the exit code. Raises SparkiError when the daemon can't be reached, BrokenPipeError."""
        try:
            for following, _ in self._open.values():
                following.connect()
            if self.sink.wants_jobs:
                for view in (view for view in self.views if not view.jobs):  # an engine of before may not have told with its answer
                    view.learn(self.engine.show_run(view.run, None))
            self.sink.begin(self.views)
            while self._open:
                if interrupts.count > self._answered:
                    self._interrupted(interrupts)
                if self._deadline_s is not None and time.monotonic() > self._deadline_s:
                    self.sink.say("the run is being ended; `sparki show` tells when it was")
                    break
                self._turn(interrupts)
        except KeyboardInterrupt:
            self.sink.say("interrupted")
        finally:
            self.sink.end()
            for following, _ in self._open.values():
                following.close()
        if interrupts.count:
            return 130
        return 0 if worst(view.status for view in self.views) == "success" else 1

    def _turn(self, interrupts: Interrupts) -> None:
        """Wait for something, and take it."""
        waiting = [following for following, _ in self._open.values() if following.waiting]
        if not waiting:
            waiter = poll()
            waiter.register(interrupts.fileno(), POLLIN)
            if self._changes:
                waiter.register(self._changes.fileno(), POLLIN)
            by_fd = {following.fileno(): following for following, _ in self._open.values()}
            for fd in by_fd:
                waiter.register(fd, POLLIN)
            ready = waiter.poll(self._wait_ms())
            waiting = [by_fd[fd] for fd, _ in ready if fd in by_fd]
            interrupts.drain()
            if self._changes and self._changes.fileno() in {fd for fd, _ in ready} and self._changes.happened():
                self._changes = None
                self.sink.say("the tree has changed: cancelling what is outdated")
                self._cancel(force=False)
        for following in waiting:
            self._receive(following, interrupts)
        self.sink.tick()

    def _wait_ms(self) -> int | None:
        waits = [wait_s for wait_s in (self.sink.tick_s, 0.1 if self._deadline_s else None) if wait_s is not None]
        return int(min(waits) * 1000) if waits else None

    def _receive(self, following: Following, interrupts: Interrupts) -> None:
        view = self._open[following.run][1]
        interrupts.patience = 2 if following.fileno() < 0 else 3  # a call that waits must be left at the second Ctrl-C
        items = following.receive()
        interrupts.patience = 3
        for item, line in items:
            self._take(view, item, line, interrupts)
        if following.ended:
            following.close()
            del self._open[following.run]

    def _take(self, view: RunView, item: dict[str, Any], line: bytes, interrupts: Interrupts) -> None:
        if "log" in item:
            self.sink.text(view, item["log"])
            return
        self.last_seq = max(self.last_seq, item["seq"])
        view.apply(item)
        self.sink.event(view, item, line)
        if item["kind"] == "step.held" and self._looks:
            self._look(item["data"], interrupts)

    def _look(self, held: dict[str, Any], interrupts: Interrupts) -> None:
        from sparki_cli.debugging import look  # noqa: PLC0415  # for --debug-on-failure alone

        self.sink.make_room()
        look(self.sink.output, held, interrupts, lambda: self._interrupted(interrupts))

    def _interrupted(self, interrupts: Interrupts) -> None:
        """Cancel what still runs; the second time with force, and a time limit."""
        self._answered = interrupts.count
        force = interrupts.count > 1
        if force:
            self._deadline_s = time.monotonic() + FORCE_LIMIT_S
        self.sink.say("ending everything at once" if force else "cancelling: Ctrl-C again ends everything at once")
        self._cancel(force=force)

    def _cancel(self, *, force: bool) -> None:
        from sparki_daemon.model.problem import SparkiError  # noqa: PLC0415  # Ctrl-C is rare

        for run in list(self._open):
            try:
                self.engine.cancel_run(run, force=force, limit_s=CANCEL_LIMIT_S)
            except SparkiError as error:
                if error.problems[0].code != "run_finished":
                    self.sink.say(f"can't cancel {run}: {error}")
