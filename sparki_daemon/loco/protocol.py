"""The seam of the platforms: what an adapter can do, and what loco hands it. Others may bring theirs (entry point `sparki.adapters`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Position, Problem


class Strategy(StrEnum):
    """How traffic goes from the old release to the new one."""

    RECREATE = "recreate"  # the old one ends, the new one starts
    ROLLING = "rolling"
    BLUEGREEN = "bluegreen"  # both run, and one cut moves all traffic
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform can do; what it can't is refused before a deployment begins."""

    strategies: frozenset[Strategy]
    exec: bool = False  # `sparki env exec`
    logs: bool = False
    maintenance: bool = False
    down: bool = False
    warm: bool = False  # the old release is kept running through the watch window: going back is one cut
    release_command: bool = False
    artifacts: frozenset[str] = frozenset({"source"})  # kinds: source, artifact, image
    limits_s: Mapping[str, float] = field(default_factory=dict)  # step → how long it may take, where `loco.limits` does not fit
    keys: frozenset[str] | None = None  # an environment's keys that are the adapter's own: others are errors. None: it checks them itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is to be brought. `artifact` is JSON as the release has it: its kind, its digest, and where its bytes lie on this machine."""

    id: str
    number: int
    commit: str
    tree: str
    artifact: Mapping[str, Any]
    settings: Mapping[str, Any]  # the environment's, as they were when the release was made: command, health, variables …
    secrets: Sequence[str]  # names


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An environment, as an adapter knows it."""

    project: str
    environment: str
    folder: str  # on this machine, 0700, kept from deployment to deployment; empty where a file is checked and nothing is deployed
    settings: Mapping[str, Any]  # as they are now
    where: Callable[[str], Position | None] = lambda _: None  # key ("health.http") → its place in sparki.yml, while that is checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One deployment at one of its steps. Every external object that a step makes bears `deployment` where the platform lets it."""

    deployment: str
    epoch: int  # the fence: an older one is refused by whoever can tell
    place: Place
    release: Release
    previous: Release | None  # what was live when the deployment began
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # step → what it gave
    secrets: Callable[[], Awaitable[Mapping[str, str]]]  # name → value; asked for when they are needed, never kept
    tell: Callable[[str], None]  # one line of progress, for people
    log: str  # path of the deployment's log, for what commands print

    @property
    def serves(self) -> bool:
        """The release is what was live already when the deployment began."""
        return self.previous is not None and self.previous.id == self.release.id


class Seen(StrEnum):
    """What a look at the platform found of a step that somebody else began."""

    DONE = "done"
    ABSENT = "absent"  # nothing of it happened
    FAILED = "failed"
    UNCLEAR = "unclear"  # it can't be told, and must not be done again


@dataclass(frozen=True, slots=True)
class Sight:
    seen: Seen
    data: Mapping[str, Any] = field(default_factory=dict)  # what the step gave, where it is done
    reason: str = ""


class StepFailed(Exception):  # noqa: N818  # reads as what happened
    """A step did not succeed; the text is for people. What it did half is undone with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a look at an environment found."""

    release: str  # what serves now; empty: nothing, or it can't be told
    healthy: bool | None  # None: it can't be told
    url: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # processes, restarts, counts: shown by `env show`
    settings: Mapping[str, Any] = field(default_factory=dict)  # of what is live, as far as the platform tells: for drift


class Steps(Protocol):
    """Who does the steps of a deployment: those of `model.deployment.STEPS`; one that there is nothing to do for is done at once, with {}.

    `do` may be called again after a death when the step is repeatable, or after `look` said ABSENT; `undo` may be called any number of
    times, also where the step has not begun. Each may be cancelled (asyncio) at any await, when it takes too long (`loco.limits`) or
    somebody asks for its end, and must then leave what `undo` can undo.
    """

    capabilities: Capabilities

    async def do(self, step: str, work: Work) -> Mapping[str, Any]:
        """Do a step; what it gave (JSON), for later steps and for `look`. Raises StepFailed."""
        ...

    async def look(self, step: str, work: Work) -> Sight:
        """Whether a step that was begun, and of whose end nobody heard, has happened."""
        ...

    async def undo(self, step: str, work: Work) -> None:
        """Take a step back. Raises StepFailed: then a person must look."""
        ...


class Adapter(Steps, Protocol):
    """One platform."""

    name: str

    def problems(self, place: Place) -> Sequence[Problem]:
        """What is wrong with an environment's settings, beyond what their schema says, `at=place.where(key)`; asks nobody outside."""
        ...

    async def observe(self, place: Place) -> Observed:
        """What serves now, and how it does."""
        ...

    def logs(self, place: Place, *, release: str, follow: bool) -> AsyncIterator[str]:
        """The service's own lines."""
        ...

    async def execute(self, place: Place, command: Sequence[str], tell: Callable[[str], None]) -> int:
        """Run a command in the live release's folder and environment; its exit code."""
        ...

    async def maintenance(self, place: Place, *, on: bool) -> None:
        """Answer everyone with a notice, or no longer."""
        ...

    async def down(self, place: Place) -> None:
        """End the service and what serves it; releases stay."""
        ...

    async def forget(self, place: Place, release: Release) -> None:
        """A release is pruned: what the platform still has of it may go."""
        ...


@runtime_checkable
class Reviving(Protocol):
    """An adapter whose services nobody but Sparki starts again when their machine has been restarted."""

    async def revive(self, place: Place, values: Callable[[str], Awaitable[Mapping[str, str]]]) -> Sequence[str]:
        """Have what ran in an environment run again; the releases that were waiting for it. Nothing is done to what runs.

        `values` gives the values of a release's secrets. Raises StepFailed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing in which what is live is not what was released. `released` and `live` are JSON."""

    what: str
    released: Any
    live: Any


@runtime_checkable
class Comparing(Protocol):
    """An adapter that can tell more of drift than the settings which `observe` sees."""

    async def drift(self, place: Place, release: Release) -> Sequence[Drift]:
        """How what serves differs from `release`, which is what is to be live; the settings in `Observed` aside. Raises StepFailed."""
        ...
