"""Installing is all or nothing, whatever systemctl does; tests/slow has it with a real systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SPARKI = [sys.executable, "-m", "sparki_cli.main", "daemon"]
# Does to the files what systemctl does, notes what it was asked, and fails at what a file names
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$LAB/asked"
units="$HOME/.config/systemd/user"
case "$2" in
  show) [ -e "$LAB/no-bus" ] && { echo "Failed to connect to bus: No medium found" >&2; exit 1; }; echo "/etc/systemd/user $units" ;;
  "$(cat "$LAB/fails" 2>/dev/null)") echo "it is not to be" >&2; exit 1 ;;
  enable) mkdir -p "$units/default.target.wants" && ln -sf "../$3" "$units/default.target.wants/$3" ;;
  disable) rm -f "$units/default.target.wants/$3" ;;
esac
"""


class Lab:
    """A home with a systemctl that is the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.path = ":/usr/bin:/bin"
        self.home.mkdir()
        (folder / "bin").mkdir()
        self.systemctl(SYSTEMCTL)

    def systemctl(self, text: str) -> None:
        program = self.folder / "bin" / "systemctl"
        program.write_text(text)
        program.chmod(0o755)

    def sparki(self, *words: str, code: int = 0) -> dict[str, object]:
        environ = {"HOME": str(self.home), "LAB": str(self.folder), "PATH": f"{self.folder / 'bin'}{self.path}", "LANG": "C.UTF-8"}
        done = subprocess.run([*SPARKI, *words, "--json"], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        told: dict[str, object] = json.loads(done.stdout)
        return told

    def files(self) -> list[str]:
        return sorted(os.path.relpath(path, self.home) for path in self.home.rglob("*") if not path.is_dir() or path.is_symlink())

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


UNIT = ".config/systemd/user/sparki.service"
WANTED = ".config/systemd/user/default.target.wants/sparki.service"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_installing_twice_is_as_once_and_uninstalling_leaves_no_trace(lab: Lab) -> None:
    assert lab.sparki("install")["new"] is True
    text = (lab.home / UNIT).read_bytes()
    assert lab.files() == [WANTED, UNIT]
    assert lab.sparki("install")["new"] is False
    assert (lab.home / UNIT).read_bytes() == text

    assert lab.sparki("uninstall")["removed"] is True
    assert list(lab.home.rglob("systemd")) == []
    assert lab.sparki("uninstall")["removed"] is False


def test_others_units_stay(lab: Lab) -> None:
    other = lab.home / ".config/systemd/user/default.target.wants/other.service"
    other.parent.mkdir(parents=True)
    other.write_text("")
    lab.sparki("install")
    lab.sparki("uninstall")
    assert lab.files() == [str(other.relative_to(lab.home))]


def test_without_a_session_of_systemd_nothing_is_written_and_the_way_to_one_is_told(lab: Lab) -> None:
    (lab.folder / "no-bus").touch()
    error = lab.sparki("install", code=3)["error"]
    assert isinstance(error, dict)
    assert error["code"] == "no_user_services"
    assert "No medium found" in error["message"]
    assert "enable-linger" in error["hint"]
    assert lab.files() == []


def test_a_machine_without_systemd_is_told_as_such(lab: Lab) -> None:
    (lab.folder / "bin" / "systemctl").unlink()
    lab.path = ""
    error = lab.sparki("install", code=3)["error"]
    assert isinstance(error, dict)
    assert "there is no systemctl" in error["message"]
    assert lab.files() == []


@pytest.mark.parametrize("what", ["daemon-reload", "enable", "start"])
def test_what_fails_half_way_leaves_nothing(lab: Lab, what: str) -> None:
    (lab.folder / "fails").write_text(what)
    error = lab.sparki("install", code=1)["error"]
    assert isinstance(error, dict)
    assert error["code"] == "not_installed"
    assert "it is not to be" in error["message"]
    assert lab.files() == []


def test_an_older_unit_is_renewed_and_comes_back_where_that_fails(lab: Lab) -> None:
    lab.sparki("install")
    (lab.home / UNIT).write_text("[Service]\nExecStart=/bin/old\n")
    (lab.folder / "fails").write_text("start")
    lab.sparki("install", code=1)
    assert "/bin/old" in (lab.home / UNIT).read_text()
    (lab.folder / "fails").unlink()
    assert lab.sparki("install")["new"] is True
    assert "/bin/old" not in (lab.home / UNIT).read_text()


def test_uninstalling_needs_no_systemd_that_answers(lab: Lab) -> None:
    lab.sparki("install")
    lab.systemctl("#!/bin/sh\nexit 1\n")
    lab.sparki("uninstall")
    assert lab.files() == []


def test_what_would_be_written_can_be_seen_and_nothing_is_asked_or_written(lab: Lab) -> None:
    told = lab.sparki("install", "--print")
    assert told["path"] == str(lab.home / UNIT)
    assert "[Install]" in str(told["text"])
    assert (lab.files(), (lab.folder / "asked").exists()) == ([], False)
