"""`sparki run --watch`: again at each change of the tree, and what has become outdated is cancelled."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from select import POLLIN, poll

import watchfiles

from sparki_cli.interrupts import Interrupts
from sparki_cli.render import Output
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.source import snapshot
from sparki_daemon.source.repository import find

STEP_MS = 100  # so long nothing must happen for a change to be over
DEBOUNCE_MS = 1600  # and so long it is waited for at most
FIRST_LOOK_MS = 500
STOPPED_WATCHING = 7


class Changes:
    """Whether the tree of the repository at `here` is still what it was when `take` was called last; entered, it watches.

    `fileno` becomes readable when something under the root has changed, but for `.git`. What git ignores wakes it too: it is the tree's
    id that counts, and that does not change with it.
    """

    def __init__(self, here: str) -> None:
        self._here = here
        self._root = find(here).root
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stop = threading.Event()
        self._trouble = ""
        self._tree = ""

    def __enter__(self) -> Changes:  # noqa: PYI034  # `Self` costs an import
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # the pipe stays open: the thread may still write to it

    def fileno(self) -> int:
        return self._read

    def take(self) -> None:
        """From now on, a change is what differs from the tree as it is now."""
        self._drain()
        self._tree = self._present()

    def happened(self) -> bool:
        """Whether the tree differs now. Raises SparkiError `cannot_watch` where changes can't be seen any more."""
        self._drain()
        if self._trouble:
            message = f"changes in {self._root} can't be watched: {self._trouble}"
            hint = "the system may watch too few folders: fs.inotify.max_user_watches"
            raise SparkiError(Problem(code="cannot_watch", message=message, hint=hint), exit_code=ExitCode.RED)
        return self._present() != self._tree

    def _present(self) -> str:
        """The id of the tree that a run would get now; what is wrong with it where none can be taken."""
        try:
            with tempfile.TemporaryDirectory(prefix="sparki-watch-") as scratch:
                return snapshot.take(find(self._here), f"{scratch}/objects").tree
        except SparkiError as error:
            return str(error)

    def _drain(self) -> None:
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            return

    def _watch(self) -> None:
        try:
            # The first turn tells also where nothing was seen: the tree may have changed before the watch had begun
            for number, seen in enumerate(self._turns()):
                if seen or number == 0:
                    self._wake()
        except Exception as error:
            self._trouble = str(error)
            self._wake()

    def _turns(self) -> Iterable[object]:
        return watchfiles.watch(
            self._root,
            watch_filter=lambda _, path: not is_of_git(path),
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self._stop,
            rust_timeout=FIRST_LOOK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )

    def _wake(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # nobody has looked for long: what is in the pipe says enough


def is_of_git(path: str) -> bool:
    """Whether a path is git's own, of a repository or of one within it."""
    return ".git" in path.split("/")


def again(output: Output, here: str, interrupts: Interrupts, once: Callable[[Changes], int]) -> int:
    """Do `once`, and again at each change, until Ctrl-C. What a change of a file can mend is told and waited for."""
    with Changes(here) as changes:
        first = True
        while not interrupts.count:
            changes.take()
            try:
                if once(changes) == STOPPED_WATCHING:
                    return STOPPED_WATCHING
            except SparkiError as error:
                if error.exit_code is not ExitCode.USAGE or (first and not any(problem.at for problem in error.problems)):
                    raise
                output.error(error)
            first = False
            if not interrupts.count and not changes.happened():
                output.note("waiting for a change; Ctrl-C ends")
                _wait(changes, interrupts)
    return 130


def _wait(changes: Changes, interrupts: Interrupts) -> None:
    """Come back when the tree has changed, or Ctrl-C was pressed."""
    waiter = poll()
    waiter.register(changes.fileno(), POLLIN)
    waiter.register(interrupts.fileno(), POLLIN)
    while not interrupts.count:
        ready = {fd for fd, _ in waiter.poll()}
        interrupts.drain()
        if changes.fileno() in ready and changes.happened():
            return
