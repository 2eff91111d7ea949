"""Turborepo, as npm has it: installed for a measurement, and gone after it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.clock import Action, command, environment

VERSION = "2.11.11"
WORDS = ("npm", "install", "--no-audit", "--no-fund", "--silent")


def installed(folder: Path) -> Path | None:
    """The program, put into `folder`; None where npm is missing or brings none."""
    if shutil.which("npm") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*WORDS, "--prefix", folder, f"turbo@{VERSION}"], cwd=folder, capture_output=True, check=False)
    # What npm links is a script that starts node, which starts the program: the program alone is what we are measured against.
    found = sorted(folder.glob("node_modules/@turbo/*/bin/turbo"))
    return found[0] if found and not done.returncode else None


def run(program: Path, root: Path, *words: str) -> Action:
    """`turbo run`: nothing is sent anywhere, the cache lies in the repository."""
    env = environment(TURBO_TELEMETRY_DISABLED="1", DO_NOT_TRACK="1", TURBO_NO_UPDATE_NOTIFIER="1", TURBO_CACHE="local:rw")
    return command([program, "run", *words], cwd=root, env=env)
