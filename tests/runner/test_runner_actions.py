"""actions/checkout and actions/setup-python as jobs use them, on a real repository with real interpreters."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.pipeline.actions import NATIVE
from sparki_daemon.runner.actions import ACTIONS
from sparki_daemon.source.repository import find
from sparki_daemon.source.snapshot import take
from sparki_daemon.toolchains.python import Interpreter, best, installed, read_wanted, versions_of_file

WHEEL = """
import zipfile
def build_wheel(folder, *_):
    name = "sparki_probe-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("sparki_probe.py", "")
        wheel.writestr("sparki_probe-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: sparki-probe\\nVersion: 1\\n")
        wheel.writestr("sparki_probe-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("sparki_probe-1.dist-info/RECORD", "")
    return name
"""
CHECKOUT = step(uses="actions/checkout@v5", id="co")
AUTHOR = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", **AUTHOR}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file.txt").write_text("committed\n")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, **GIT})
    return folder


def source(repository: Path, tmp_path: Path) -> dict:
    snapshot = take(find(str(repository)), str(tmp_path / "objects"))
    github = {"repository": "o/r", "sha": snapshot.commit, "ref": "refs/heads/main"}
    return {"run_github": github, "run_source": {"worktree": str(repository), "branch": "refs/heads/main", "snapshot": snapshot.to_json()}}


def test_checkout_brings_the_tree_and_as_much_history_as_is_asked_for(runner: Driver, repository: Path, tmp_path: Path) -> None:
    (repository / "new.txt").write_text("not committed\n")
    keys = source(repository, tmp_path)
    script = "cat *.txt; git log --oneline | wc -l; git status --short; git branch --show-current; echo ${{ steps.co.outputs.commit }}"
    whole = step(uses="actions/checkout@v5", inputs={"Fetch-Depth": "0"})
    done = runner.do(CHECKOUT, script, whole, "git log --oneline | wc -l", **keys)

    assert done.end["result"] == "success"
    assert done.text(0).startswith("▸ Run actions/checkout@v5\nChecked out refs/heads/main at ")
    assert done.text(1).splitlines()[1:] == ["committed", "not committed", "1", "main", keys["run_github"]["sha"]]
    assert done.text(3).splitlines()[1:] == ["2"]


def test_checkout_warns_of_what_it_does_not_know_or_do(runner: Driver, repository: Path, tmp_path: Path) -> None:
    odd = {"Submodules": "bad", "fetch-depht": "0", "persist-credentials": "true", "fetch-depth": "all"}
    done = runner.do(
        step(uses="actions/checkout@v5", inputs=odd),
        step(uses="actions/checkout@v5", inputs={"persist-credentials": "false", "submodules": "", "clean": "True", "token": "x"}),
        **source(repository, tmp_path),
    )

    assert [line for line in done.text(0).splitlines() if line.startswith("Warning")] == [
        "Warning: checkout has no input 'fetch-depht'",
        "Warning: checkout's persist-credentials does nothing here: there are no credentials to keep",
        "Warning: checkout's submodules is 'bad', which it does not know, and counts as false",
        "Warning: checkout's fetch-depth is 'all', which it does not know, and counts as 0, the whole history",
    ]
    assert "Warning" not in done.text(1)
    assert done.conclusions == ["success", "success"]


def test_a_source_of_no_branch_is_checked_out_detached(runner: Driver, repository: Path, tmp_path: Path) -> None:
    keys = source(repository, tmp_path)
    keys["run_source"]["branch"] = None

    done = runner.do(CHECKOUT, 'echo "[$(git branch --show-current)]"; git rev-parse HEAD', **keys)

    assert done.text(1).splitlines()[1:] == ["[]", keys["run_github"]["sha"]]


def test_a_workspace_is_empty_before_checkout(runner: Driver) -> None:
    assert "[0]" in runner.do("echo [$(ls -A | wc -l)]").log


def test_checkout_into_a_folder_and_what_a_job_does_there_changes_nothing_of_the_users(
    runner: Driver, repository: Path, tmp_path: Path
) -> None:
    before = sorted((str(path), path.stat().st_mtime_ns) for path in repository.rglob("*"))
    done = runner.do(
        step(uses="actions/checkout@v5", inputs={"path": "sub"}),
        "cd sub; git config --global user.email x@y.z; git config --global user.name x\n"
        "echo more >> file.txt; git commit -qam two; git log --oneline | wc -l",
        **source(repository, tmp_path),
    )

    assert done.text(1).splitlines()[1:] == ["2"]
    assert sorted((str(path), path.stat().st_mtime_ns) for path in repository.rglob("*")) == before


def test_checkout_of_another_repository_fails_and_says_what_to_do(runner: Driver, repository: Path, tmp_path: Path) -> None:
    done = runner.do(step(uses="actions/checkout@v5", inputs={"repository": "other/one"}), **source(repository, tmp_path))

    assert done.conclusions == ["failure"]
    assert "Error: checkout of other/one: only this repository (o/r) can be checked out here" in done.log
    assert "Traceback" not in done.log


def test_setup_python_gives_an_environment_of_the_jobs_own(runner: Driver) -> None:
    done = runner.do(
        step(uses="actions/setup-python@v5", id="py", inputs={"python-version": "3.x"}),
        "which python; python -c 'import sys; print(sys.prefix != sys.base_prefix)'; pip --version; python -m pip --version; "
        'echo ${{ steps.py.outputs.python-path }}; test "$pythonLocation" = "$(dirname $(dirname $(which python)))"',
        step("import platform; print(platform.python_version(), '${{ steps.py.outputs.python-version }}')", shell="python"),
        run_user_home=os.path.expanduser("~"),
    )  # fmt: skip

    assert done.end["result"] == "success", done.log
    lines = done.text(1).splitlines()[1:]
    assert lines[0] == lines[4]
    assert lines[0].startswith(f"{runner.home}/work/")
    assert lines[1] == "True"
    assert lines[2].startswith("pip ")
    assert f"{runner.home}/work/" in lines[2]
    version, output = done.text(2).splitlines()[1].split()
    assert version == output


def test_an_install_goes_into_the_jobs_environment_and_away_with_it(runner: Driver, tmp_path: Path) -> None:
    package = tmp_path / "sparki_probe"
    package.mkdir()
    (package / "sparki_probe.py").write_text("print('probed')\n")
    script = "import sysconfig, shutil; shutil.copy('{}', sysconfig.get_path('purelib'))".format(package / "sparki_probe.py")
    done = runner.do(
        step(uses="actions/setup-python@v5", inputs={"python-version": "3.x"}),
        f'python -c "{script}"; python -c "import sparki_probe"',
        run_user_home=os.path.expanduser("~"),
    )

    assert "probed" in done.text(1)
    runner.do("true")  # what a job left is removed after its end is told, and before the next one begins
    assert not list((runner.home / "work").glob("r-*/*/tools"))


def test_packages_are_installed_by_setup_python_itself(runner: Driver, tmp_path: Path) -> None:
    package = tmp_path / "pack age"
    package.mkdir()
    (package / "pyproject.toml").write_text('[project]\nname = "sparki-probe"\nversion = "1"\n[build-system]\nrequires = []\n'
                                            'build-backend = "build"\nbackend-path = ["."]\n')  # fmt: skip
    (package / "build.py").write_text(WHEEL)
    install = {"python-version": "3.x", "pip-install": f"--no-index '{package}'"}
    done = runner.do(
        step(uses="actions/setup-python@v5", inputs=install),
        "python -c 'import sparki_probe'",
        step(uses="actions/setup-python@v5", inputs={**install, "pip-install": "--no-index none-such"}),
        run_user_home=os.path.expanduser("~"),
    )

    assert done.conclusions[:3] == ["success", "success", "failure"], done.log
    assert "none-such" in done.text(2)


def test_a_version_that_is_not_there_fails_and_names_those_that_are(runner: Driver) -> None:
    done = runner.do(step(uses="actions/setup-python@v5", inputs={"python-version": "3.2"}), run_user_home=os.path.expanduser("~"))

    assert done.conclusions == ["failure", "skipped"]
    assert "Error: there is no Python 3.2 on this machine, and none is fetched; there: 3." in done.log


def test_the_version_may_stand_in_a_file(runner: Driver) -> None:
    done = runner.do(
        "echo 3.2 > .python-version",
        step(uses="actions/setup-python@v5"),
        run_user_home=os.path.expanduser("~"),
    )

    assert ".python-version asks for 3.2" in done.text(1)
    assert done.conclusions == ["success", "failure", "skipped"]


def test_an_action_is_cancelled_and_timed_like_any_step(runner: Driver) -> None:
    done = runner.do("mkfifo fifo", step(uses="actions/setup-python@v5", inputs={"python-version-file": "fifo"}, timeout_minutes="1"))

    assert done.conclusions == ["success", "failure", "skipped"]
    assert done.steps[1]["reason"] == "timed out after 1 minute"


@pytest.mark.parametrize(
    ("wanted", "fits", "not_"),
    [
        ("3.12", [(3, 12), (3, 12, 4)], [(3, 1), (3, 11, 9), (3, 13, 0)]),
        ("3.12.1", [(3, 12, 1)], [(3, 12, 0), (3, 12)]),
        ("3.x", [(3, 6, 15), (3, 13, 0)], [(2, 7, 18)]),
        ("3", [(3, 9, 1)], [(2, 7, 18)]),
        ("3.12.x", [(3, 12, 4)], [(3, 11, 4)]),
        (">=3.10 <3.13", [(3, 10, 0), (3, 12, 9)], [(3, 9, 9), (3, 13, 0)]),
        (">=3.10,<3.13", [(3, 12, 9)], [(3, 13, 0)]),
        ("~3.11", [(3, 11, 0), (3, 11, 9)], [(3, 12, 0)]),
        ("~=3.11", [(3, 11, 0), (3, 12, 0)], [(3, 10, 0)]),
        ("~3.11.4", [(3, 11, 4), (3, 11, 9)], [(3, 11, 3), (3, 12, 0)]),
        ("^3.11", [(3, 11, 0), (3, 13, 0)], [(3, 10, 0)]),
        ("!=3.12", [(3, 11, 0)], [(3, 12, 0)]),
        ("3.13-dev", [(3, 13, 0)], [(3, 12, 0)]),
    ],
)
def test_which_versions_a_text_means(wanted: str, fits: list, not_: list) -> None:
    read = read_wanted(wanted)

    assert [version for version in fits + not_ if read.fits(version)] == fits


@pytest.mark.parametrize("text", ["", "pypy3.10", "three", "3.12t", "latest", "3.12; import os"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="Python"):
        read_wanted(text)


def test_the_newest_that_fits_is_taken() -> None:
    there = [Interpreter((3, 9, 1), "a"), Interpreter((3, 11, 2), "b"), Interpreter((3, 11, 7), "c"), Interpreter((3, 12, 0), "d")]

    assert best(read_wanted("3.11"), there) == there[2]
    assert best(read_wanted("3.8"), there) is None


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (".python-version", "# ours\n3.12.1\n3.11\n", ["3.12.1", "3.11"]),
        (".tool-versions", "nodejs 20\npython 3.12.1\n", ["3.12.1"]),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.11'\n", [">=3.11"]),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.10'\n", ["^3.10"]),
    ],
)
def test_what_a_version_file_says(name: str, text: str, found: list[str]) -> None:
    assert versions_of_file(name, text) == found


def test_a_version_file_that_says_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="asks for no version"):
        versions_of_file("pyproject.toml", "[project]\nname = 'x'\n")


def test_interpreters_are_found_without_starting_them(tmp_path: Path) -> None:
    def put(path: str) -> str:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\nexit 1\n")
        file.chmod(0o755)
        return str(file)

    pyenv = put("pyenv/versions/3.12.4/bin/python")
    uv = put("uv/cpython-3.13.1-linux-x86_64-gnu/bin/python3")
    plain = put("bin/python3.11")
    put("bin/python3.11-config")
    put("pyenv/shims/python3.9")
    env = {
        "PYENV_ROOT": str(tmp_path / "pyenv"),
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"),
        "PATH": f"{tmp_path}/pyenv/shims:{tmp_path}/bin",
    }
    found = [one for one in installed(env, "/nobody") if one.path.startswith(str(tmp_path))]

    assert found == [Interpreter((3, 12, 4), pyenv), Interpreter((3, 13, 1), uv), Interpreter((3, 11), plain)]


def test_every_native_action_of_the_language_has_its_work_here() -> None:
    assert sorted(ACTIONS) == sorted(NATIVE)
    for action in ACTIONS.values():
        assert callable(action.work(post=False))
        assert not action.post or callable(action.work(post=True))
