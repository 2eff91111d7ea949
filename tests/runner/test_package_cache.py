"""`cache` of setup-node and setup-python: keys of lock files, folders of the job's own that are kept, the user's that are not copied."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from driver import Done, Driver, step

MAIN = {"repository": "o/r", "ref": "refs/heads/main", "run_attempt": "1"}
EVENT = {"repository": {"default_branch": "main"}}
OUTPUTS = "echo [${{ steps.s.outputs.cache-hit }}] [${{ steps.s.outputs.cache-primary-key }}] [${{ steps.s.outputs.cache-matched-key }}]"
ARCH = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, "")

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


def digest(*texts: str) -> str:
    """What hashFiles gives for files with these texts, each with a line end."""
    return hashlib.sha256(b"".join(hashlib.sha256(f"{text}\n".encode()).digest() for text in texts)).hexdigest()


def setup(language: str, **inputs: str) -> dict:
    return step(uses=f"actions/setup-{language}@v6", id="s", inputs={name.replace("_", "-"): text for name, text in inputs.items()})


def do(runner: Driver, *steps: dict | str, path: str = "") -> Done:
    """A job, with the user's home where Pythons are looked for, and a folder before PATH."""
    env = {"PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]}
    if root := os.environ.get("PYENV_ROOT"):
        env["PYENV_ROOT"] = root
    return runner.do(*steps, run_github=MAIN, run_event=EVENT, run_env=env)


def last(done: Done, index: int) -> str:
    return done.text(index).splitlines()[-1]


@needs_node
def test_npms_cache_is_the_users_and_a_key_remembers_who_has_filled_it(runner: Driver) -> None:
    steps = ("echo one > package-lock.json", setup("node", cache="npm"), OUTPUTS)
    first, second = do(runner, *steps), do(runner, *steps)
    third = do(runner, "echo two > package-lock.json", *steps[1:])
    prefix = f"node-cache-Linux-{ARCH}-npm"

    assert last(first, 2) == f"[false] [{prefix}-{digest('one')}] []"
    assert f"The cache of this machine is used as it is: {runner.home}/user/.npm" in first.text(1)
    assert first.steps[-1]["name"] == "Post Run actions/setup-node@v6"
    assert last(second, 2) == f"[true] [{prefix}-{digest('one')}] [{prefix}-{digest('one')}]"
    assert last(third, 2) == f"[true] [{prefix}-{digest('two')}] [{prefix}-{digest('one')}]"  # a prefix is a hit, as on GitHub
    assert not (runner.home / "user" / ".npm").exists()


@needs_node
def test_a_job_that_fails_remembers_nothing(runner: Driver) -> None:
    lock = "echo one > package-lock.json"
    do(runner, lock, setup("node", cache="npm"), "exit 1")

    assert last(do(runner, lock, setup("node", cache="npm"), OUTPUTS), 2).startswith("[false]")


@needs_node
def test_a_store_in_the_jobs_home_is_kept_and_brought_back(runner: Driver, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pnpm"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "store path --silent" ] && echo "$HOME/.pnpm-store"\n')
    program.chmod(0o755)
    steps = (
        "echo x > pnpm-lock.yaml",
        setup("node", cache="pnpm"),
        "cat ~/.pnpm-store/p || { mkdir ~/.pnpm-store; echo kept > ~/.pnpm-store/p; }",
    )
    first, second = (do(runner, *steps, path=str(program.parent)) for _ in range(2))

    assert "Saved the cache 'node-cache-Linux" in first.log
    assert last(second, 2) == "kept"
    assert "Nothing is saved: the cache" in second.log


@needs_node
@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (
            {"cache": "npm"},
            "'cache: npm' needs a lock file in the workspace, and there is none of package-lock.json, npm-shrinkwrap.json, yarn.lock",
        ),
        ({"cache": "bun"}, "caching for 'bun' is not supported: npm, yarn, pnpm are known"),
        ({"cache": "npm", "cache_dependency_path": "no/*.json"}, "no file in the workspace is 'no/*.json' ('cache-dependency-path')"),
        ({"cache": "pnpm"}, "'pnpm store path --silent' failed"),
    ],
)
def test_a_cache_without_a_key_fails_the_step(runner: Driver, inputs: dict[str, str], why: str) -> None:
    if inputs["cache"] == "pnpm" and shutil.which("pnpm"):
        pytest.skip("there is a pnpm on this machine")
    done = do(runner, setup("node", **inputs))

    assert done.conclusions == ["failure", "skipped"]
    assert why in done.log


@needs_node
@pytest.mark.parametrize(
    ("package", "inputs", "cached"),
    [
        ('{"packageManager": "npm@10.1.0"}', {}, True),
        ('{"packageManager": "npm@10.1.0"}', {"package_manager_cache": "false"}, False),
        ('{"packageManager": "pnpm@9"}', {}, False),
        ('{"name": "x"}', {}, False),
        ("[", {}, False),
    ],
)
def test_npm_is_cached_by_itself_where_the_package_names_it(runner: Driver, package: str, inputs: dict[str, str], cached: bool) -> None:
    done = do(runner, f"echo '{package}' > package.json; echo > package-lock.json", setup("node", **inputs), OUTPUTS)

    assert last(done, 2).startswith("[false] [node-cache" if cached else "[] []")


def test_pips_key_has_system_version_and_lock_files(runner: Driver) -> None:
    lock = "mkdir sub; echo a > requirements.txt; echo b > sub/requirements.txt"
    steps = (lock, setup("python", python_version="3.x", cache="pip"), OUTPUTS, "echo ${{ steps.s.outputs.python-version }}")
    first, second = do(runner, *steps), do(runner, *steps)
    key = last(first, 2).split("[")[2].split("]")[0]

    assert key.startswith(f"setup-python-Linux-{ARCH}-")
    assert key.endswith(f"-python-{last(first, 3)}-pip-{digest('a', 'b')}")
    assert last(first, 2) == f"[false] [{key}] []"
    assert last(second, 2) == f"[true] [{key}] [{key}]"


def test_pip_takes_pyproject_where_there_are_no_requirements(runner: Driver) -> None:
    done = do(runner, "echo p > pyproject.toml", setup("python", python_version="3.x", cache="pip"), OUTPUTS)
    none = do(runner, setup("python", python_version="3.x", cache="pip"))

    assert f"-pip-{digest('p')}]" in last(done, 2)
    assert none.conclusions == ["failure", "skipped"]
    assert "'cache: pip' needs files for its key, and none in the workspace is **/requirements.txt or **/pyproject.toml" in none.log


def test_what_poetry_has_fetched_is_kept_and_never_a_hit(runner: Driver) -> None:
    fetch = "cat ~/.cache/pypoetry/artifacts/p || { mkdir -p ~/.cache/pypoetry/artifacts; echo wheel > ~/.cache/pypoetry/artifacts/p; }"
    steps = ("echo p > poetry.lock", setup("python", python_version="3.x", cache="poetry"), fetch, OUTPUTS)
    do(runner, *steps)
    done = do(runner, *steps)

    assert last(done, 2) == "wheel"
    assert last(done, 3).startswith("[false] [setup-python-Linux-")
