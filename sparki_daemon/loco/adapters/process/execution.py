"""Runs a person's command in the live release's folder and environment; nothing of it outlives who asked."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Sequence

from sparki_daemon.loco.adapters.process.door import live_environment
from sparki_daemon.loco.adapters.process.shipping import release_folder
from sparki_daemon.loco.protocol import StepFailed
from sparki_daemon.runner.mask import Masker

CHUNK_BYTES = 64 * 1024
LINE_LIMIT_BYTES = 1024 * 1024  # a longer one is told in pieces
# What a shell makes of a command that it can't start. Source: POSIX.1-2017, Shell & Utilities, 2.8.2
CODES = {errno.ENOENT: 127, errno.EACCES: 126, errno.EPERM: 126, errno.ENOEXEC: 126, errno.ENOTDIR: 126}


async def execute(folder: str, command: Sequence[str], tell: Callable[[str], None]) -> int:
    """The command's exit code; its lines are told with the values of secrets replaced. As in a shell, 127: not found, 126: not executable.

    Raises StepFailed: nothing is live, or nothing can be started there.
    """
    release, environment, hidden = await asyncio.to_thread(live_environment, folder)
    cwd = release_folder(folder, release)
    try:
        running = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        if error.errno in CODES and await asyncio.to_thread(os.path.isdir, cwd):
            tell(f"'{command[0]}' can't be started there: {error.strerror}")
            return CODES[error.errno]
        raise StepFailed(f"'{command[0]}' can't be started there: {error.strerror}") from error
    assert running.stdout is not None
    try:
        await _tell_lines(running.stdout, Masker(environment[name] for name in hidden), tell)
        return await running.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


async def _tell_lines(output: asyncio.StreamReader, masker: Masker, tell: Callable[[str], None]) -> None:
    held = b""
    while data := await output.read(CHUNK_BYTES):
        *lines, held = (held + masker.feed(data)).split(b"\n")
        for line in lines:
            tell(line.decode(errors="replace"))
        if len(held) > LINE_LIMIT_BYTES:
            tell(held.decode(errors="replace"))
            held = b""
    if held := held + masker.flush():
        tell(held.decode(errors="replace"))
