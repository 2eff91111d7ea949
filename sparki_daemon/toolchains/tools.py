"""Says which version of a program is in a PATH; a program is asked once, and again when its file is another."""

from __future__ import annotations

import os

LIMIT_S = 10.0
_ARGUMENTS = {"go": ["version"], "java": ["-version"], "javac": ["-version"], "kubectl": ["version", "--client"]}  # all else: --version


class Tools:
    """Versions of programs, remembered by the file's path, time and size."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def version(self, name: str, path: str) -> str:
        """The first words that the program `name` of the PATH `path` says of its version, else the digest of its file; `absent`: none."""
        import shutil  # noqa: PLC0415  # most runs ask for no version

        program = shutil.which(name, path=path)
        if program is None:
            return "absent"
        real = os.path.realpath(program)
        try:
            about = os.stat(real)
        except OSError:
            return "absent"
        stamp = (program, about.st_mtime_ns, about.st_size)
        if stamp not in self._known:
            self._known[stamp] = _ask(program, path) or f"a file of digest {_digest(real)}"
        return self._known[stamp]


def _ask(program: str, path: str) -> str:
    """The first line that names a number; empty where the program says nothing of the kind, or not in time."""
    import subprocess  # noqa: PLC0415  # as above

    arguments = _ARGUMENTS.get(os.path.basename(program), ["--version"])
    env = {"PATH": path, "LC_ALL": "C", "HOME": "/nonexistent"}
    try:
        done = subprocess.run(  # a program that the project names, found in the user's PATH
            [program, *arguments], env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode != 0:
        return ""
    lines = (done.stdout or done.stderr).decode("utf-8", "replace").splitlines()
    return next((line.strip()[:200] for line in lines if any(char.isdigit() for char in line)), "")


def _digest(path: str) -> str:
    import hashlib  # noqa: PLC0415  # as above

    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError:
        return "unknown"
