"""The composition root of the daemon's processes: hands each station the parts that it may not import itself."""

from __future__ import annotations

import argparse
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sparki_daemon.loco.protocol import Adapter


def main(arguments: list[str]) -> int:
    """Be the process that `arguments` name: `supervisor`, `engine`, `keeper` … Started by the client, the system and each other."""
    parser = argparse.ArgumentParser(prog="python -m sparki_daemon")
    stations = parser.add_subparsers(dest="station", required=True)
    supervisor = stations.add_parser("supervisor")
    supervisor.add_argument("--home", required=True)
    supervisor.add_argument("--socket", default="")
    supervisor.add_argument("--resume", default="")
    serve = stations.add_parser("serve")
    serve.add_argument("--home", required=True)
    engine = stations.add_parser("engine")
    engine.add_argument("--home", required=True)
    loco = stations.add_parser("loco")
    loco.add_argument("--home", required=True)
    keeper = stations.add_parser("keeper")
    keeper.add_argument("--folder", required=True)
    front = stations.add_parser("front")
    front.add_argument("--folder", required=True)
    front.add_argument("--number", required=True, type=int)
    chosen = parser.parse_args(arguments)
    if chosen.station == "keeper":
        return _keeper(chosen.folder)
    if chosen.station == "front":
        return _front(chosen.folder, chosen.number)
    if chosen.station == "serve":
        return _serve(chosen.home)
    if chosen.station == "supervisor":
        return _supervisor(chosen.home, chosen.socket, chosen.resume)
    if chosen.station == "loco":
        return _loco(chosen.home)
    return _engine(chosen.home)


def _serve(home: str) -> int:
    from sparki_daemon.boot.serve import serve  # noqa: PLC0415  # as below
    from sparki_daemon.client.paths import Paths  # noqa: PLC0415
    from sparki_daemon.model.problem import SparkiError  # noqa: PLC0415

    try:
        return serve(Paths(home, "", ""), lambda lock: _supervisor(home, "", "", lock))
    except SparkiError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)


def _supervisor(home: str, socket_path: str, resume: str, start_lock: int | None = None) -> int:
    import os  # noqa: PLC0415  # each process loads its own station only: their memory is counted

    from sparki_daemon.client.launch import private_folder  # noqa: PLC0415
    from sparki_daemon.client.paths import socket_path as default_socket_path  # noqa: PLC0415
    from sparki_daemon.client.version import VERSION  # noqa: PLC0415
    from sparki_daemon.runner.actions import preload  # noqa: PLC0415
    from sparki_daemon.runner.main import serve  # noqa: PLC0415
    from sparki_daemon.supervisor.main import main as supervise  # noqa: PLC0415

    address = socket_path or default_socket_path(home, uid=os.getuid())
    if os.path.dirname(address) != home:
        private_folder(os.path.dirname(address))
    preload()
    supervise(home, address, VERSION, serve, resume, start_lock)
    return 0


def _engine(home: str) -> int:
    from sparki_daemon.client.version import VERSION  # noqa: PLC0415
    from sparki_daemon.engine.main import main as run_engine  # noqa: PLC0415
    from sparki_daemon.supervisor.control import CONTROL_FD, LISTEN_FD  # noqa: PLC0415

    return run_engine(home, _cache_folder(home), VERSION, _adapter, listen_fd=LISTEN_FD, control_fd=CONTROL_FD)


def _adapter(name: str) -> Adapter:
    """The adapter of that name, loaded when the engine first looks at an environment. Raises SparkiError `unknown_adapter`."""
    from sparki_daemon.loco.adapters import load  # noqa: PLC0415  # an engine without deployments does not pay for it

    return load(name)


def _loco(home: str) -> int:
    from sparki_daemon.loco.main import main as run_loco  # noqa: PLC0415
    from sparki_daemon.supervisor.control import DEATH_FD  # noqa: PLC0415

    return run_loco(home, DEATH_FD)


def _keeper(folder: str) -> int:
    from sparki_daemon.client.version import VERSION  # noqa: PLC0415
    from sparki_daemon.loco.keeper.main import main as keep  # noqa: PLC0415

    return keep(folder, VERSION)


def _front(folder: str, number: int) -> int:
    import os  # noqa: PLC0415

    from sparki_daemon.loco.front.main import main as stand_in_front  # noqa: PLC0415
    from sparki_daemon.loco.keeper.launch import launch  # noqa: PLC0415

    os.chdir(folder)
    return stand_in_front(number, lambda: launch(folder))


def _cache_folder(home: str) -> str:
    """Where caches lie: as the public interface has it for the user's own state folder, inside any other one."""
    import os  # noqa: PLC0415

    from sparki_daemon.client.paths import find_paths  # noqa: PLC0415

    paths = find_paths(os.environ, cwd="/", account_home=os.path.expanduser("~"))
    return paths.cache if paths.state == home else os.path.join(home, "cache")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
