"""PID namespaces: a process whose death ends all that it ever started, whatever those did to escape."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000


_outside: list[int] = []  # what the innermost namespace's parent calls this process: its own /proc can't tell


def outer_pid() -> int:
    """The pid of this process as its parent sees it; without a namespace it is its pid."""
    return _outside[-1] if _outside and os.getpid() == 1 else os.getpid()


def pid_namespaces_work() -> bool:
    """Can this process give its children PID namespaces? Tried, not guessed: hosts refuse for many reasons. Takes about 5 ms."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        pid = fork_in_pid_namespace(lambda: os._exit(0 if os.getpid() == 1 else 1))
    except OSError:
        return False
    return os.waitpid(pid, 0)[1] == 0


def fork_in_pid_namespace(child: Callable[[], None]) -> int:
    """Fork a child that is pid 1 of a namespace of its own, with a /proc of its own, and runs `child`.

    Returns the child's pid as this process sees it; the child is an ordinary child of this process, and never returns from here:
    it exits with 0 after `child`, with 70 when that raised or the namespace could not be finished.
    In the child `outer_pid` tells what it is called outside. The caller must have one thread and be root.
    Raises OSError when the system refuses.
    """
    libc = _libc()
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(libc.setns(home, _CLONE_NEWPID), "setns")  # whoever may not come back had better not leave
        _check(libc.unshare(_CLONE_NEWPID), "unshare")  # counts for the next children only
        try:
            pid = os.fork()
        except OSError:
            _check(libc.setns(home, _CLONE_NEWPID), "setns")
            raise
        if pid == 0:
            code = 70
            try:
                os.close(home)
                _outside.append(int(os.readlink("/proc/self")))  # this /proc is still the parent's
                if _own_proc(libc):
                    child()
                    code = 0
            except BaseException:
                with contextlib.suppress(BaseException):
                    sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        _check(libc.setns(home, _CLONE_NEWPID), "setns")  # later children of this process are ordinary again
        return pid
    finally:
        os.close(home)


def _own_proc(libc: Any) -> bool:
    """Mount a /proc that shows this namespace, invisible to everybody else. False: the system refuses, as in many containers."""
    call = libc.mount
    if libc.unshare(_CLONE_NEWNS) or call(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    mounted: int = call(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    return mounted == 0


def _libc() -> Any:
    import ctypes  # noqa: PLC0415  # 3 ms, and only a supervisor comes here

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
    return libc


def _check(result: int, what: str) -> None:
    if result != 0:
        import ctypes  # noqa: PLC0415  # as above

        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
