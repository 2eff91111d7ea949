"""The summary of a job: the Markdown that its steps write, one after the other in a file beside the log."""

from __future__ import annotations

import os

from sparki_daemon.system.files import write_all


def summary_path(log: str) -> str:
    """Where the summary of the job is whose log is `log`.log."""
    return f"{log}.summary.md"


class Summary:
    """What the steps of one job say of themselves. Made with its first byte."""

    def __init__(self, log: str) -> None:
        self.path = summary_path(log)
        self.size = 0  # bytes

    def add(self, text: str) -> int:
        """Append the Markdown of a step, without secrets, as a paragraph of its own; gives how many bytes that took. Raises OSError."""
        data = text.rstrip("\n").encode("utf-8", "replace") + b"\n"
        if self.size:
            data = b"\n" + data
        first = os.O_TRUNC if not self.size else 0  # an older try at this attempt may have left one
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | first, 0o600)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        self.size += len(data)
        return len(data)

    def finish(self) -> str:
        """Bring it to the disk. Gives why that failed, or nothing."""
        if not self.size:
            return ""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            return error.strerror or str(error)
        return ""
