"""actions/setup-python: a virtual environment of the job's own, so that `pip install` never touches the user's Python."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from typing import Any

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.toolchains.python import Interpreter, ask, choose, installed, versions_of_file

# What a fresh Python of GitHub's has beside its standard library; all but pip belong to it up to 3.11 only.
_SEED = re.compile(r"pip\Z|pip-[^/]+\.dist-info\Z")
_OLD_SEED = re.compile(
    r"(?:pip|setuptools|pkg_resources|_distutils_hack|distutils-precedence\.pth)\Z|(?:pip|setuptools)-[^/]+\.dist-info\Z"
)
_PIP = """#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def main(call: Call) -> int:
    """Make an environment of each Python that is asked for; `python` is that of the last, as on GitHub."""
    try:
        pythons = installed(call.env, call.run["user_home"])
        chosen = [choose(text, pythons) for text in _texts(call)]
        made = [_environment(call, interpreter) for interpreter in chosen]
        update = call.flag("update-environment", default=True)
    except (ValueError, OSError) as error:
        return call.fail(str(error))
    for folder, version, prefix in made:
        if update:
            call.add_path(f"{folder}/bin")
            for name in ("pythonLocation", "Python_ROOT_DIR", "Python3_ROOT_DIR"):
                call.export(name, folder)
            call.export("PKG_CONFIG_PATH", f"{prefix}/lib/pkgconfig")
        call.output("python-version", version)
        call.output("python-path", f"{folder}/bin/python")
    code = _bring_packages(call, *made[-1][:2])
    return code or _register(call)


def _register(call: Call) -> int:
    from sparki_daemon.runner.actions import problem_matchers  # noqa: PLC0415  # in the fork, where nobody else pays

    try:
        problem_matchers.register(call, problem_matchers.PYTHON)
    except OSError as error:
        return call.fail(f"{error.strerror}: '{error.filename}'")
    return 0


def _bring_packages(call: Call, folder: str, version: str) -> int:
    """Another pip, the cache, and packages, so far as they are asked for. In this order as on GitHub."""
    code = 0
    if wanted := call.inputs.get("pip-version", "").strip():
        code = _pip(call, folder, ["--upgrade", f"pip=={wanted}"])
    if not code and call.inputs.get("cache", "").strip():
        from sparki_daemon.runner.actions import python_packages  # noqa: PLC0415  # only jobs with a cache pay for it

        try:
            python_packages.bring(call, version, [f"{folder}/bin"])
        except (ValueError, OSError) as error:
            code = call.fail(str(error))
    words = shlex.split(call.inputs.get("pip-install", ""))
    return code or (_pip(call, folder, words) if words else 0)


def _pip(call: Call, folder: str, words: list[str]) -> int:
    """Install into the environment; pip's own output is the step's."""
    command = [f"{folder}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", *words]
    return subprocess.run(command, env=call.env, cwd=call.workspace, stdin=subprocess.DEVNULL, check=False).returncode


def save_at_end(call: Call) -> int:
    """Keep what the package manager has fetched."""
    if "CACHE_KEY" not in call.state:
        return 0
    from sparki_daemon.runner.actions import package_cache  # noqa: PLC0415  # only jobs with a cache pay for it

    return package_cache.save_at_end(call)


def _texts(call: Call) -> list[str]:
    """The versions asked for: of `python-version`, of a file, or any."""
    if text := call.inputs.get("python-version", "").strip():
        return [line.strip() for line in text.splitlines() if line.strip()]
    name = call.inputs.get("python-version-file", "").strip()
    if not name and os.path.exists(os.path.join(call.workspace, ".python-version")):
        name = ".python-version"
    if not name:
        call.say("Neither python-version nor python-version-file is given: the newest Python is taken")
        return [">=3"]
    with open(os.path.join(call.workspace, name), encoding="utf-8") as file:
        texts = versions_of_file(name, file.read())
    call.say(f"{name} asks for {', '.join(texts)}")
    return texts


def _environment(call: Call, interpreter: Interpreter) -> tuple[str, str, str]:
    """Make an environment: its folder, its Python's whole version and prefix. Made by hand: `venv` with pip takes seconds."""
    about = ask(interpreter.path)
    version = ".".join(map(str, about["version"]))
    minor = ".".join(map(str, about["version"][:2]))
    folder = os.path.join(call.work, "tools", "Python", version)
    packages = f"{folder}/lib/python{minor}/site-packages"
    if not os.path.isdir(packages):
        os.makedirs(packages)
        os.makedirs(f"{folder}/bin")
        os.makedirs(f"{folder}/include")
        if about["platlibdir"] != "lib":
            os.symlink("lib", f"{folder}/{about['platlibdir']}")
        base = about["executable"]
        settings = f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\nversion = {version}\nexecutable = {base}\n"
        _write(f"{folder}/pyvenv.cfg", settings, 0o644)
        os.symlink(base, f"{folder}/bin/python")
        for name in ("python3", f"python{minor}"):
            os.symlink("python", f"{folder}/bin/{name}")
        seeded = _seed(packages, about)
        for name in ("pip", "pip3", f"pip{minor}") if seeded else ():
            _write(f"{folder}/bin/{name}", _PIP.format(python=f"{folder}/bin/python"), 0o755)
        if not seeded:
            call.say(f"Warning: Python {version} has no pip to take along: `python -m pip` will not work")
    call.say(f"Python {version} of {about['prefix']}, in an environment of this job")
    return folder, version, about["prefix"]


def _seed(packages: str, about: dict[str, Any]) -> bool:
    """Bring pip into an environment: a copy of the Python's own, compiled already, else the one that is packed in ensurepip."""
    import shutil  # noqa: PLC0415  # its compression modules are a megabyte in every runner

    pattern = _SEED if tuple(about["version"]) >= (3, 12) else _OLD_SEED
    origin = os.path.dirname(os.path.dirname(about["pip"])) if about["pip"] else ""
    if os.path.basename(origin) == "site-packages":  # a distribution's own pip, in dist-packages, is no whole one
        for name in _matching(origin, pattern):
            copy = shutil.copytree if os.path.isdir(f"{origin}/{name}") else shutil.copy2
            copy(f"{origin}/{name}", f"{packages}/{name}")
        return True
    if about["ensurepip"]:
        bundled = os.path.join(os.path.dirname(about["ensurepip"]), "_bundled")
        wheels = [name for name in _names(bundled) if name.endswith(".whl") and (name.startswith("pip-") or pattern is _OLD_SEED)]
        for name in wheels:
            shutil.unpack_archive(f"{bundled}/{name}", packages, "zip")
        return bool(wheels)
    return False


def _matching(folder: str, pattern: re.Pattern[str]) -> Iterable[str]:
    return (name for name in _names(folder) if pattern.match(name))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _write(path: str, text: str, mode: int) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.chmod(path, mode)
