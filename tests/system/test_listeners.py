"""Who listens at a port is told by the kernel, asked for it or by its table, and both say the same."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from sparki_daemon.system import listeners


def inode(sock: socket.socket) -> str:
    return os.readlink(f"/proc/self/fd/{sock.fileno()}").removeprefix("socket:[").removesuffix("]")


@pytest.mark.parametrize("ask", [listeners.inodes, listeners.in_table])
def test_the_sockets_that_listen_at_a_port_are_found_and_no_connection_of_it(ask: object) -> None:
    assert callable(ask)
    with contextlib.ExitStack() as open_ones:
        first = open_ones.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = first.getsockname()[1]
        wanted = {inode(first)}
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                wanted.add(inode(open_ones.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6))))
        other = open_ones.enter_context(socket.create_server(("127.0.0.1", 0)))
        open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
        open_ones.enter_context(first.accept()[0])

        assert ask(port) == wanted
        assert ask(other.getsockname()[1]) == {inode(other)}
    assert ask(port) == set()


def test_where_the_kernel_can_not_be_asked_its_table_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listeners.inodes(server.getsockname()[1]) == {inode(server)}
