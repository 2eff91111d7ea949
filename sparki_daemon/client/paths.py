"""Where things are: the folders of settings, state and cache, and the address of the daemon's socket.

Rules: SPARKI_HOME holds everything when set; else the XDG base directories, where a relative path is invalid and ignored.
Source: the public interface, "Where things are"; XDG Base Directory Specification 0.8.
Pure: what the environment holds is passed in. Cheap to import, for every command does.
"""

# ruff: noqa: PLC0415  # what only errors and rare turns need is imported there: a short command pays for every import

from __future__ import annotations

import posixpath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET_LIMIT_BYTES = 100  # an address of the kernel's holds 107; some room for a suffix


class Paths:
    """Absolute folders; `state` is the daemon's identity."""

    __slots__ = ("cache", "config", "state")

    def __init__(self, state: str, config: str, cache: str) -> None:
        self.state = state
        self.config = config
        self.cache = cache

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Paths) and (self.state, self.config, self.cache) == (other.state, other.config, other.cache)

    def __hash__(self) -> int:
        return hash((self.state, self.config, self.cache))

    @property
    def daemon_file(self) -> str:
        """What a running daemon says of itself: {"socket", "pid", "start", "boot", "version"}."""
        return f"{self.state}/daemon.json"

    @property
    def daemon_log(self) -> str:
        """Standard output and error of the supervisor and its children."""
        return f"{self.state}/daemon.log"

    @property
    def start_lock(self) -> str:
        """Held under flock by whoever starts a daemon, until it is up."""
        return f"{self.state}/start.lock"


def find_paths(environ: Mapping[str, str], *, cwd: str, account_home: str) -> Paths:
    """The folders that `environ` asks for.

    `cwd` is what a relative SPARKI_HOME counts from; `account_home` is the account's own folder, used when HOME is not set.
    Raises SparkiError `no_home` when nothing says where the user's files live.
    """
    root = environ.get("SPARKI_HOME", "")
    if root:
        state = _absolute(root, cwd)
        return Paths(state, f"{state}/config", f"{state}/cache")
    return Paths(
        _xdg(environ, "XDG_STATE_HOME", ".local/state", account_home),
        _xdg(environ, "XDG_CONFIG_HOME", ".config", account_home),
        _xdg(environ, "XDG_CACHE_HOME", ".cache", account_home),
    )


def socket_path(state: str, *, uid: int) -> str:
    """The address of the daemon's socket: in the state folder, or in a short folder of the user's own when that is too long.

    The short folder must be 0700 and the user's own: `launch.private_folder` makes and checks it.
    """
    path = f"{state}/daemon.sock"
    if len(path.encode("utf-8", "surrogateescape")) <= SOCKET_LIMIT_BYTES:
        return path
    from hashlib import blake2b  # rarely needed, and dear to load

    digest = blake2b(state.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return f"/tmp/sparki-{uid}/{digest}.sock"


def _xdg(environ: Mapping[str, str], variable: str, default: str, account_home: str) -> str:
    folder = environ.get(variable, "")
    if folder.startswith("/"):
        return f"{_trimmed(folder)}/sparki"
    home = environ.get("HOME", "") or account_home
    if not home.startswith("/"):
        from sparki_daemon.model.problem import Problem, SparkiError

        message = "can't tell where your files live: HOME is not set, and the account has no home folder"
        raise SparkiError(Problem(code="no_home", message=message, hint="set HOME or SPARKI_HOME"))
    return f"{_trimmed(home)}/{default}/sparki"


def _absolute(path: str, cwd: str) -> str:
    return posixpath.normpath(posixpath.join(cwd, path))


def _trimmed(path: str) -> str:
    return path.rstrip("/")
