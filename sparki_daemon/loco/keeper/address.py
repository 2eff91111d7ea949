"""Takes the public address, and tells who has it where that can be told; finds free ports for services."""

from __future__ import annotations

import errno
import os
import random
import socket
import struct

from sparki_daemon.loco.keeper.problem import KeeperError
from sparki_daemon.system import listeners, process

BACKLOG = 1024
PORT_TRIES = 200


def parse(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[v6]:port` or `:port`. Raises KeeperError `bad_address`."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise KeeperError("bad_address", f"'{listen}' is no address to listen at", "write it as 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def bind(listen: str) -> socket.socket:
    """A socket that listens there. Raises KeeperError: `bad_address`, `address_taken`, `address_refused`."""
    host, port = parse(listen)
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise KeeperError("bad_address", f"the host of '{listen}' is unknown: {error.strerror}") from None
    sock = socket.socket(found[0], socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(found[4])
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise _taken(listen, who_listens(port)) from None
        raise KeeperError("address_refused", f"can't listen at {listen}: {error.strerror}", "choose another `listen`") from None
    return sock


def _taken(listen: str, holder: tuple[int, str] | None) -> KeeperError:
    words = process.command_line(holder[0]) if holder else []
    if "sparki_daemon" in words and "--folder" in words[:-1]:  # a keeper or a front: ending it would take it for dead, and start it again
        folder = words[words.index("--folder") + 1]
        home, name = os.path.abspath(os.path.join(folder, "..", "..", "..")), os.path.basename(folder)
        message = f"{listen} is taken by what was deployed to '{name}' with the state folder {home}"
        return KeeperError(
            "address_taken", message, "deploy with that state folder, end it there with `sparki env down`, or choose another `listen`"
        )
    who = f" by {holder[1]} (pid {holder[0]})" if holder else ""
    return KeeperError("address_taken", f"{listen} is taken{who}", "end that process, or choose another `listen`")


def who_listens(port: int) -> tuple[int, str] | None:
    """Pid and name of a process that listens at a TCP port. None: nobody, another user's, or the system does not tell."""
    inodes = listeners.inodes(port)
    if not inodes:
        return None
    for entry in os.listdir("/proc"):
        if entry.isdigit() and holds(int(entry), inodes):
            return int(entry), process.name_of(int(entry))
    return None


def holds(pid: int, inodes: set[str]) -> bool:
    """Tell whether the process has one of these sockets open."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") in wanted:
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False


def listens(port: int, pids: list[int]) -> bool:
    """Tell whether one of these processes listens at the port: a stranger may answer probes there."""
    inodes = listeners.inodes(port)
    return bool(inodes) and any(holds(pid, inodes) for pid in pids)


def is_free(port: int) -> bool:
    """Tell whether a server without SO_REUSEADDR could listen there, on 127.0.0.1 and on all addresses."""
    for host in ("127.0.0.1", ""):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port(taken: set[int]) -> int:
    """A port that is free now and that the system gives to nobody by chance: below or above the range for outgoing connections.

    It can't be held until the service listens (a held port would be refused to servers that don't set SO_REUSEADDR), so a process that
    asks for this very number may still take it: then the service's own start fails, and the next start gets another.
    Raises KeeperError `no_port`.
    """
    low, high = _outgoing_range()
    allowed = range(max(10240, low - 20000), low) if low > 12000 else range(min(high + 1, 64000), 65536)
    for _ in range(PORT_TRIES):
        port = random.choice(allowed)
        if port not in taken and is_free(port):
            return port
    raise KeeperError("no_port", "no free port was found for the service", "end what listens on so many ports")


def _outgoing_range() -> tuple[int, int]:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low, high = map(int, file.read().split())
    except (OSError, ValueError):
        return 49152, 65535  # RFC 6335 §6, and macOS
    return low, high


def peer_uid(connection: socket.socket) -> int:
    """Whose process is at the other end of a Unix socket."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid()  # the folder is 0700
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
