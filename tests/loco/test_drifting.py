"""How a service that runs is told from what was released, with a real keeper and real files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loco_services import until
from place import SECRET

from sparki_daemon.loco.adapters.process.drifting import FILES_SHOWN, changed_files, drift_of
from sparki_daemon.loco.adapters.process.shipping import release_folder, ship
from sparki_daemon.loco.keeper.client import Keeper
from sparki_daemon.loco.protocol import Release

SERVICE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.path.exists("bad") else 200)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {"service.py": SERVICE.encode(), "deep/a.txt": b"one\n", "run.sh": b"#!/bin/sh\n"}


def archive(folder: Path, files: Mapping[str, bytes] = FILES) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    path = folder / "release.tar"
    with tarfile.open(path, "w") as packed:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mtime, about.mode = len(data), 1, 0o755 if name.endswith(".sh") else 0o644
            packed.addfile(about, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "service.py"
        packed.addfile(link)
    return {"kind": "source", "path": str(path), "digest": hashlib.sha256(path.read_bytes()).hexdigest()}


def shipped(folder: Path, files: Mapping[str, bytes] = FILES) -> tuple[dict[str, Any], Path]:
    artifact = archive(folder, files)
    return artifact, Path(ship(str(folder), "r-1", artifact))


def found(folder: Path, artifact: Mapping[str, Any]) -> dict[str, Any]:
    return {one.what: one.live for one in changed_files(release_folder(str(folder), "r-1"), artifact)}


def test_files_are_compared_by_what_is_in_them_and_added_ones_do_not_count(tmp_path: Path) -> None:
    artifact, there = shipped(tmp_path)
    (there / "__pycache__").mkdir()
    os.utime(there / "service.py")  # touched, and as it was
    assert found(tmp_path, artifact) == {}

    (there / "service.py").write_bytes(SERVICE.replace("500", "501").encode())
    (there / "deep" / "a.txt").unlink()
    (there / "run.sh").chmod(0o644)
    (there / "link").unlink()
    (there / "link").symlink_to("/etc/passwd")
    changed = {"files.service.py": "changed", "files.deep/a.txt": "missing", "files.run.sh": "mode changed", "files.link": "changed"}
    assert found(tmp_path, artifact) == changed


def test_of_many_changed_files_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    artifact, there = shipped(tmp_path, {f"{number:03}.txt": b"x" for number in range(FILES_SHOWN + 5)})
    for path in there.glob("*.txt"):
        path.write_text("y")
    told = found(tmp_path, artifact)
    assert len(told) == FILES_SHOWN + 1
    assert told["files"] == "5 more changed"


def test_an_archive_that_is_gone_is_told_and_nothing_breaks(tmp_path: Path) -> None:
    artifact, _ = shipped(tmp_path)
    os.unlink(artifact["path"])
    assert "can't be read" in found(tmp_path, artifact)["files"]


def release_of(place: Any, artifact: Mapping[str, Any], **more: Any) -> Release:
    settings = {
        "command": f"exec {sys.executable} service.py",
        "listen": place.listen,
        "health": {"http": "/healthz"},
        "variables": {"LEVEL": "info", "TOKEN": "as a variable"},
        **more,
    }
    return Release(id="r-1", number=1, commit="c", tree="t", artifact=artifact, settings=settings, secrets=["TOKEN"])


def serve(place: Any, release: Release, cwd: Path) -> None:
    settings = release.settings
    place.keeper.start_service("r-1", settings["command"], str(cwd), variables=settings["variables"], secrets={"TOKEN": SECRET})
    until(lambda: place.service("r-1").listening)
    place.keeper.ensure_front(place.listen)
    place.keeper.set_upstream("r-1")


def told(place: Any, release: Release) -> dict[str, tuple[Any, Any]]:
    return {one.what: (one.released, one.live) for one in drift_of(place.folder, release)}


def test_settings_health_and_processes_that_differ_are_each_told_and_no_secret_is(place: Any) -> None:
    artifact, there = shipped(Path(place.folder))
    release = release_of(place, artifact)
    serve(place, release, there)
    assert told(place, release) == {}

    other = release_of(place, artifact, command="exec true", variables={"LEVEL": "debug", "MORE": "1"}, listen="127.0.0.1:1")
    assert told(place, other) == {
        "command": ("exec true", release.settings["command"]),
        "listen": ("127.0.0.1:1", place.listen),
        "variables.LEVEL": ("debug", "info"),
        "variables.MORE": ("1", None),
    }

    (there / "bad").touch()
    assert told(place, release)["health"] == ("GET /healthz answers 200", "GET /healthz answered 500, not 200")
    (there / "bad").unlink()

    (there / "service.py").write_text("raise SystemExit(3)")
    os.kill(place.service("r-1").pid, signal.SIGKILL)
    until(lambda: place.service("r-1").condition == "crash_looping")
    now = told(place, release)
    assert now["process"][0] == "running"
    assert now["process"][1].startswith("it ends again and again, last with")
    assert now["files.service.py"] == ("as shipped", "changed")
    assert SECRET not in json.dumps(now)


def test_a_process_that_nobody_minds_any_more_is_told(place: Any) -> None:
    artifact, there = shipped(Path(place.folder))
    release = release_of(place, artifact)
    serve(place, release, there)
    place.keeper.stop_service("r-1", grace_s=0)
    assert told(place, release)["process"] == ("running", "none")
    with Keeper(place.folder, deployment="d-1", epoch=1) as keeper:
        keeper.down(grace_s=0)
    assert told(place, release)["process"] == ("running", "none: nothing runs there any more; sparki deploy starts it anew")
