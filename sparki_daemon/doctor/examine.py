"""All that is looked at, in order; one look that breaks does not keep the others from being taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sparki_daemon.client.paths import Paths
from sparki_daemon.doctor import machine, state
from sparki_daemon.doctor.finding import ERROR, Finding
from sparki_daemon.system.nonce import memory_folder


def examine(paths: Paths) -> list[Finding]:
    """Every finding about this machine and the state folder of `paths`."""
    looks: dict[str, Callable[[], Finding | Iterable[Finding]]] = {
        "git": machine.git,
        "node": machine.node,
        "containers": machine.containers,
        "keyring": machine.secret_store,
        "disk": lambda: machine.room("disk", paths.state),
        "memory": lambda: machine.room("memory", memory_folder(paths.state)),
        "limits": machine.limits,
        "namespaces": machine.namespaces,
        "state": lambda: state.folder(paths),
        "database": lambda: state.database(paths),
        "vault": lambda: state.secrets(paths),
        "socket": lambda: state.socket(paths),
        "daemon": lambda: state.daemon(paths),
        "processes": lambda: state.left_over(paths),
    }
    return [finding for name, look in looks.items() for finding in _taken(name, look)]


def _taken(name: str, look: Callable[[], Finding | Iterable[Finding]]) -> list[Finding]:
    try:
        found = look()
        return [found] if isinstance(found, Finding) else list(found)
    except Exception as error:
        return [Finding(name, ERROR, f"this could not be looked at: {type(error).__name__}: {error}")]
