"""What the builder asks of the store's side: one transaction a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes of a runner's spool, whole lines, from `offset` on."""

    runner: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """A runner that is dead; everything of its spool has arrived before, and `held` is what it said it had, if it said."""

    runner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A runner that was met again: the job that it holds (uid, epoch), or none."""

    runner: str
    job: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A job that is to be cancelled where it runs."""

    runner: str
    job: str
    epoch: int
    force: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """A job that was given ahead to a runner that is still busy, while another one has nothing to do."""

    runner: str
    job: str
    epoch: int


@dataclass(slots=True)
class Turn:
    """What one transaction decided; to be done once it has committed."""

    cursors: dict[str, int] = field(default_factory=dict)  # runner → bytes of its spool that are in the journal
    ended: set[str] = field(default_factory=set)  # jobs (uid) that their runners have ended, or given back
    assign: list[tuple[str, JobSpec]] = field(default_factory=list)
    stop: list[Stop] = field(default_factory=list)
    recall: list[Recall] = field(default_factory=list)
    waiting: int = 0  # jobs that wait for a runner


class Ledger(Protocol):
    """The journal's side of a turn, which the engine brings."""

    async def turn(
        self,
        arrived: list[Arrived],
        gone: list[Gone],
        attached: list[Attached],
        holding: Mapping[str, Sequence[str]],
        *,
        committed: Callable[[Turn], None],
    ) -> Turn:
        """Take what arrived into the journal, judge the dead, and give runners queued jobs: all in one transaction.

        `holding`: runner → the jobs (uid) that it was given and has not ended, none for an idle one; it works on the first.
        `committed` is called as soon as the turn is on disk.
        """
        ...

    async def cursor(self, runner: str) -> int:
        """How many bytes of a runner's spool are in the journal."""
        ...

    async def forget(self, runner: str) -> None:
        """Drop the cursor of a runner whose spool is gone, and what else it kept."""
        ...
