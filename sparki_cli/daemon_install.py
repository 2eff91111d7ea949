"""`sparki daemon install` and `uninstall`: the daemon as a service of the user's system."""

from __future__ import annotations

import os
import sys

from sparki_cli.connect import own_paths
from sparki_cli.render import Output
from sparki_daemon.boot import installing
from sparki_daemon.boot.installing import System
from sparki_daemon.boot.unit import boot_of
from sparki_daemon.client.paths import find_paths


def install(output: Output, *, print_only: bool) -> int:
    """Have the system start the daemon from now on; with `print_only` show what would be written, and write nothing."""
    system = _system()
    if print_only:
        text = system.text.decode("utf-8", "replace")
        if output.as_json:
            output.document({"path": system.path, "text": text})
        else:
            output.note(f"{system.path}:")
            output.raw(text)
        return 0
    done = installing.install(system)
    if output.as_json:
        output.document({"installed": True, "new": done.new, "unit": done.unit, "path": done.path, "at_boot": done.at_boot})
        return 0
    when = "when this machine starts" if done.at_boot else "when you log in"
    output.line(f"{'installed' if done.new else 'installed already'}: {done.unit} starts the daemon {when}, and the daemon what was live")
    output.line(f"  {done.path}")
    if not done.at_boot and sys.platform == "linux":
        output.note("hint: to have it before you log in, and after you log out: loginctl enable-linger")
    return 0


def uninstall(output: Output) -> int:
    """Take it away; a daemon that runs goes on."""
    system = _system()
    there = installing.uninstall(system)
    if output.as_json:
        output.document({"installed": False, "removed": there, "unit": system.unit, "path": system.path})
    elif there:
        output.line(f"uninstalled: {system.unit} is gone; a daemon that runs goes on until `sparki daemon stop`")
    else:
        output.line(f"not installed: there is no {system.path}")
    return 0


def _system() -> System:
    paths, home = own_paths(), os.path.expanduser("~")
    usual = find_paths({}, cwd="/", account_home=home).state == paths.state
    return installing.system_of(boot_of(paths.state, usual=usual, python=sys.executable, environ=os.environ), os.environ, home)
