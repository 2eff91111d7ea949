"""What the files say by which a system starts the daemon."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from sparki_daemon.boot.unit import Boot, boot_of, launchd_label, launchd_plist, systemd_unit

ODD = '/home/ann/a "b" c\\d %n $HOME'


def odd_boot() -> Boot:
    return boot_of(ODD, usual=False, python="/usr/bin/python3", environ={"SPARKI_HOME": "x", "PATH": f"{ODD}:/bin", "API_TOKEN": "s"})


def test_the_usual_state_folder_needs_no_name_and_others_have_one_each() -> None:
    usual = boot_of("/a", usual=True, python="p", environ={})
    one, other = (boot_of(state, usual=False, python="p", environ={}) for state in ("/a", "/b"))
    assert usual.name == "sparki"
    assert len({usual.name, one.name, other.name}) == 3


def test_where_the_folders_are_and_the_path_are_kept_and_nothing_else_of_the_shell() -> None:
    boot = odd_boot()
    assert boot.environment == {"SPARKI_HOME": ODD, "PATH": f"{ODD}:/bin"}
    split = boot_of("/a", usual=True, python="p", environ={"PATH": "/bin\nExecStart=/bin/false", "LANG": ""})
    assert split.environment == {}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "sparki-odd.service"
    unit.write_text(systemd_unit(odd_boot()))
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_word_of_the_unit_is_quoted_and_stopping_it_leaves_services_alone() -> None:
    lines = systemd_unit(odd_boot()).splitlines()
    assert '"--home" "/home/ann/a \\"b\\" c\\\\d %%n $$HOME"' in next(line for line in lines if line.startswith("ExecStart="))
    assert 'Environment="SPARKI_HOME=/home/ann/a \\"b\\" c\\\\d %%n $HOME"' in lines
    assert "KillMode=process" in lines


def test_the_agent_of_launchd_is_read_back_as_what_was_meant() -> None:
    told = plistlib.loads(launchd_plist(odd_boot()))
    assert told["ProgramArguments"][-2:] == ["--home", ODD]
    assert told["Label"] == launchd_label(odd_boot())
    assert told["AbandonProcessGroup"] is True
