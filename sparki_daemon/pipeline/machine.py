"""What planning is told of the machine and of the source: plain data and questions that somebody else answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sparki_daemon.model.dataclass import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is known of this machine. A question that is None: nobody has looked."""

    system: str = "Linux"  # as RUNNER_OS
    arch: str = "X64"  # as RUNNER_ARCH
    repository: str = ""  # owner/name of what is run
    exists: Callable[[str], bool] | None = None  # whether a program is there
    lacking: Callable[[str, Mapping[str, str]], str] | None = None  # why a setup action with these inputs will fail; empty: it will not
    action_file: Callable[[str], tuple[str, bytes] | None] | None = None  # path and content of the metadata of a local or mapped action
    mapped: Collection[str] = ()  # the repositories that folders stand for, in lower case
    silence: frozenset[str] = field(default_factory=frozenset)
    secrets: Callable[[], Collection[str]] = tuple  # the names of those that have a value, in upper case
