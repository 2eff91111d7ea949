"""Runs a deployment's command once, in a process that outlives loco, and keeps a record of its end: it can be told whether it happened.

In the folder that it is given: `attempt` names the one attempt that may run; the recorder holds `lock` while it lives, writes `begun`
before the command and `exit` after it. A recorder that comes late, of an attempt that was given up, finds another name and leaves.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from sparki_daemon.loco.protocol import Seen
from sparki_daemon.runner.mask import Masker
from sparki_daemon.system import files, held, nonce, process

GRACE_S = 5.0
CHUNK_BYTES = 64 * 1024
START = f"import sys; from {__name__} import record; record(*sys.argv[1:5], hidden=sys.argv[5:])"


def begin(
    folder: str, command: str, cwd: str, environment: Mapping[str, str], log: str, *, hidden: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the command's recorder. Secrets' values go by its environment and to no file; `hidden` names them, for the log."""
    files.make_folder(folder, parents=2)
    files.make_folder(os.path.dirname(log), parents=1)
    attempt = secrets.token_hex(8)
    files.write_atomic(os.path.join(folder, "attempt"), attempt.encode())
    own = {name: value for name, value in os.environ.items() if name != nonce.VARIABLE}
    with open(log, "ab") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", START, folder, attempt, command, cwd, *hidden],
            env={**own, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def seen(folder: str) -> tuple[Seen | None, int]:
    """What the folder tells, and the command's exit code. None: it runs."""
    if held.holder(os.path.join(folder, "lock")) is not None:
        return None, 0
    try:
        with open(os.path.join(folder, "exit"), "rb") as file:
            code = int(json.loads(file.read()))
        return (Seen.FAILED if code else Seen.DONE), code
    except (OSError, ValueError):
        return (Seen.UNCLEAR if os.path.exists(os.path.join(folder, "begun")) else Seen.ABSENT), 0


def end(folder: str) -> None:
    """Have nothing of the command run any more, blocking: SIGTERM to its tree, SIGKILL after a grace; no late recorder begins it either."""
    if not os.path.isdir(folder):
        return
    files.write_atomic(os.path.join(folder, "attempt"), b"")
    deadline, tree = time.monotonic() + GRACE_S, set[process.Identity]()
    while (recorder := held.holder(os.path.join(folder, "lock"))) is not None or any(process.alive(who) for who in tree):
        tree |= _tree_of(recorder.pid) if recorder else set()  # kept: an orphan is no descendant any more
        _signal(tree, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.05)


def _tree_of(pid: int) -> set[process.Identity]:
    found = set()
    for child in process.descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            found.add(process.identity(child))
    return found


def _signal(tree: set[process.Identity], number: int) -> None:
    for who in tree:
        with contextlib.suppress(ProcessLookupError):
            if process.alive(who):
                os.kill(who.pid, number)


def record(folder: str, attempt: str, command: str, cwd: str, *, hidden: Sequence[str] = ()) -> None:
    """The recorder's life."""
    lock = held.take(os.path.join(folder, "lock"))
    if lock is None or os.path.exists(os.path.join(folder, "begun")):
        return
    with open(os.path.join(folder, "attempt"), encoding="ascii") as file:
        if file.read() != attempt:
            return
    files.write_atomic(os.path.join(folder, "begun"), b"")
    masker = Masker(os.environ[name] for name in hidden)
    code = _run(command, cwd) if not hidden else _run_masked(command, cwd, masker)
    files.write_atomic(os.path.join(folder, "exit"), json.dumps(code).encode())


def _run(command: str, cwd: str, output: int | None = None) -> int:
    return subprocess.run(["/bin/sh", "-c", command], cwd=cwd, stdout=output, stderr=output, check=False).returncode


def _run_masked(command: str, cwd: str, masker: Masker) -> int:
    """Run it with its output through the masker. What it leaves behind when it ends is not waited for."""
    read_fd, write_fd = os.pipe()
    end_read, end_write = os.pipe()
    codes: list[int] = []

    def run() -> None:
        try:
            codes.append(_run(command, cwd, write_fd))
        finally:
            os.close(write_fd)
            os.close(end_write)  # after the last byte of its own

    running = threading.Thread(target=run)
    running.start()
    ready = select.poll()
    for fd in (read_fd, end_read):
        ready.register(fd, select.POLLIN)
    while end_read not in (found := [fd for fd, _ in ready.poll()]):
        if read_fd in found:
            _show(masker.feed(os.read(read_fd, CHUNK_BYTES)))
    running.join()
    os.set_blocking(read_fd, False)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(read_fd, CHUNK_BYTES):
            _show(masker.feed(data))
    _show(masker.flush())
    return codes[0] if codes else 127


def _show(data: bytes) -> None:
    with contextlib.suppress(OSError):  # a full disk: the command's end matters more than its words
        while data:
            data = data[os.write(1, data) :]
