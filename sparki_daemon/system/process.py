"""Processes as the kernel knows them: who one is, whether it still lives, whose children they are, what they take."""

from __future__ import annotations

import os
import signal
import sys

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.system.namespace import fork_in_pid_namespace, outer_pid, pid_namespaces_work

__all__ = [
    "Identity",
    "alive",
    "become_subreaper",
    "boot_id",
    "children",
    "descendants",
    "die_with",
    "environment",
    "fork_in_pid_namespace",
    "identity",
    "is_zombie",
    "name_of",
    "outer_pid",
    "pid_namespaces_work",
    "pss_bytes",
    "start_time",
]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_STATE, _PARENT, _START = 0, 1, 19  # fields of /proc/<pid>/stat, counted after the name


@dataclass(frozen=True, slots=True)
class Identity:
    """One process and no other: a pid is used again, and after a boot so are start times."""

    pid: int
    start: int  # clock ticks between the boot and the process's start
    boot: str


def system_name() -> str:
    """The operating system, as GitHub's RUNNER_OS has it. Source: GitHub's docs, "Variables reference"."""
    return "macOS" if sys.platform == "darwin" else "Linux"


def boot_id() -> str:
    """The random id of this boot; empty where the system has none (then no pid of the past is believed)."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def start_time(pid: int) -> int | None:
    """Clock ticks between the boot and the start of `pid`. None: no such process, or it has ended and waits to be reaped."""
    fields = _stat(pid)
    return int(fields[_START]) if fields and fields[_STATE] not in "ZX" else None


def identity(pid: int) -> Identity:
    """Who `pid` is now. Raises ProcessLookupError where nobody is."""
    start = start_time(pid)
    if start is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return Identity(pid, start, boot_id())


def alive(who: Identity) -> bool:
    """Tell whether this very process still runs."""
    return bool(who.boot) and who.boot == boot_id() and start_time(who.pid) == who.start


def name_of(pid: int) -> str:
    """The short name of a process, at most 15 bytes; empty when it is gone."""
    return _read(f"/proc/{pid}/comm").rstrip("\n")


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none where it is gone."""
    return _read(f"/proc/{pid}/cmdline").split("\0")[:-1]


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; empty where it can't be read: it is gone, another user's, or there is no /proc."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            pairs = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def children(pid: int | str = "self") -> list[int]:
    """The living and unreaped children of a process (its own by default), of all its threads."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        for thread in threads:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if not os.path.exists("/proc/self/task/self/children") and os.path.exists(f"/proc/{pid}"):
            return _children_by_scan(os.getpid() if pid == "self" else int(pid))
    except ProcessLookupError:
        pass
    return found


def _children_by_scan(parent: int) -> list[int]:
    """The same on kernels without CONFIG_PROC_CHILDREN: a look at every process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields and int(fields[_PARENT]) == parent:
                found.append(int(name))
    return found


def descendants(pid: int | str = "self") -> list[int]:
    """Children, their children and so on, parents first. A snapshot: what forks meanwhile may be missing."""
    found = children(pid)
    for child in found:  # grows while it is walked: breadth first
        found += children(child)
    return found


def is_zombie(pid: int) -> bool:
    """Tell whether `pid` has ended and waits to be reaped."""
    fields = _stat(pid)
    return bool(fields) and fields[_STATE] in "ZX"


def become_subreaper() -> bool:
    """Make this process the new parent of every descendant whose parent dies. False: the system has no such thing (macOS)."""
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415  # 3 ms, and every command line call loads this module

    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def die_with(parent: int) -> None:
    """Have this process killed when `parent` dies, its parent; at once where it has died already. Does nothing on macOS."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  # as above

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def pss_bytes(pid: int | str = "self") -> int | None:
    """Memory of a process, shared pages divided among their users. None: it is gone, or isn't ours to ask."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _stat(pid: int) -> list[str]:
    text = _read(f"/proc/{pid}/stat")
    return text[text.rfind(")") + 2 :].split() if text else []  # the name may hold spaces and brackets


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
