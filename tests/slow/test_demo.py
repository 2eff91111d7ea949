"""The deploy demo does what it says, also after one that was interrupted, and leaves no process but the daemon's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROGRAM = TOP / ".venv" / "bin" / "sparki"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.skipif(not PROGRAM.exists(), reason="make install makes it")]


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    found = {**os.environ, "SPARKI_HOME": str(tmp_path / "home")}
    yield found
    subprocess.run([PROGRAM, "daemon", "stop", "--force"], env=found, capture_output=True, check=False)


def demo(environ: dict[str, str]) -> subprocess.Popen[str]:
    command = ["sh", str(TOP / "examples" / "demo_deploy.sh")]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def processes(home: str) -> list[str]:
    """The command lines of all processes that name that state folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return [line for line in found if home in line]


def test_the_deploy_demo_ends_well_and_leaves_the_daemon_alone(environ: dict[str, str]) -> None:
    first = demo(environ)
    assert first.stdout is not None
    while "is live in local" not in (line := first.stdout.readline()):
        assert line
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)

    said, _ = demo(environ).communicate(timeout=200)

    assert "Hello, Ada!" in said
    assert "requests were answered meanwhile" in said
    assert "ModuleNotFoundError" in said
    assert said.splitlines()[-1] == "unbound: the remote sparki is gone"
    home = environ["SPARKI_HOME"]
    assert not [line for line in processes(home) if " keeper " in line or " front " in line or "ask.py" in line]
    assert not list((Path(home) / "bound").iterdir())
    assert [line for line in processes(home) if " supervisor " in line]  # the daemon alone is there
