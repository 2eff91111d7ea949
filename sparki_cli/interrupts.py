"""Ctrl-C and SIGTERM as something to wait for beside sockets, so that the first can cancel a run and the second end it."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Interrupts:
    """Counts them while it is entered; `fileno` becomes readable with each.

    From number `patience` on they raise KeyboardInterrupt instead: the way out of a call that waits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.patience = 3
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:  # noqa: PYI034  # `Self` costs an import
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def drain(self) -> None:
        """Make `fileno` unreadable again."""
        try:
            os.read(self._read, 64)
        except BlockingIOError:
            return

    def _on_signal(self, *_: object) -> None:
        self.count += 1
        try:  # noqa: SIM105  # contextlib would cost 1 ms at each start
            os.write(self._write, b"!")
        except BlockingIOError:  # nobody has looked for very long: one byte says as much as many
            pass
        if self.count >= self.patience:
            raise KeyboardInterrupt
