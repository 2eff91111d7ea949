from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_stories import PROGRAM, RED, Program, shown
from stand_in import StandIn, answers

from sparki_cli.completion import SCRIPTS, candidates
from sparki_cli.options import COMMANDS


def test_commands_are_completed_and_so_are_those_of_a_group() -> None:
    assert candidates(["ru"]) == ["run", "runs"]
    assert {command.name.split()[0] for command in COMMANDS} <= set(candidates([""]))
    assert candidates(["daemon", "st"]) == ["start", "stop", "status"]
    assert candidates(["nonsense", ""]) == []


def test_options_are_completed_once_unless_they_repeat() -> None:
    assert candidates(["run", "--jo"]) == ["--job", "--jobs"]
    assert candidates(["run", "--jobs", "3", "--job", "a", "--jo"]) == ["--job"]
    assert candidates(["run", "-q", "--qui"]) == []
    assert "--help" in candidates(["show", "--"])


def test_the_values_of_an_option_are_completed() -> None:
    assert candidates(["run", "--workspace", ""]) == ["empty", "source"]
    assert candidates(["run", "-C", ""]) == [], "the shell knows folders itself"
    assert candidates(["completion", ""]) == ["bash", "zsh", "fish"]


def complete(sparki: Program, *words: str) -> list[str]:
    done = sparki("completion", "words", "--", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_runs_and_their_jobs_are_completed(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs", answers({"runs": [{"id": "r-12"}, {"id": "r-34"}]}))
    stand_in.on("GET", "/v1/runs/", answers(shown("r-12", RED)))
    assert complete(sparki, "show", "") == ["latest", "r-12", "r-34"]
    assert complete(sparki, "logs", "-f", "r-1") == ["r-12"]
    assert complete(sparki, "logs", "r-12", "") == ["build", "lint", "after"]
    assert complete(sparki, "run", "--job", "b") == ["build"]
    assert complete(sparki, "show", "r-12", "") == []


def test_pipelines_are_completed_from_anywhere_in_the_repository(sparki: Program, folder: Path) -> None:
    (folder / ".git").mkdir()
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True)
    for name in ("ci.yml", "docs.yaml", "notes.txt"):
        (workflows / name).write_text("")
    sparki.cwd = workflows
    assert complete(sparki, "run", "") == ["ci", "docs"]
    assert complete(sparki, "run", "ci", "d") == ["docs"]


def test_without_a_daemon_there_is_nothing_to_complete_and_none_is_started(sparki: Program, home: Path) -> None:
    assert complete(sparki, "show", "") == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_one_that_its_shell_can_read(sparki: Program, shell: str) -> None:
    script = sparki("completion", shell).stdout
    assert script == SCRIPTS[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    assert subprocess.run([shell, "-n"], input=script.encode(), check=False).returncode == 0


def test_bash_completes_by_the_script(sparki: Program, folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "sparki").write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    (folder / "bin" / "sparki").chmod(0o755)
    asked = 'COMP_WORDS=(sparki run --works); COMP_CWORD=2; _sparki; echo "${COMPREPLY[@]}"'
    script = f"PATH={folder}/bin:$PATH\n{SCRIPTS['bash']}\n{asked}\n"
    done = subprocess.run(["bash", "-c", script], env=sparki.environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "--workspace\n"


def test_an_unknown_shell_is_told(sparki: Program) -> None:
    done = sparki("completion", "tcsh")
    assert (done.returncode, done.stderr) == (2, "error: no script for the shell 'tcsh'\nhint: there are: bash, zsh, fish\n")


SETTINGS = """\
project: shop
environments:   # where it goes
    # the first
    staging:
        adapter: process
        variables:
            LOG: info
    "production": {after: staging}
branches:
    main: {run: [ci]}
"""


def test_environments_are_completed_by_the_settings_alone(sparki: Program, folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "sparki.yml").write_text(SETTINGS)

    assert complete(sparki, "deploy", "") == ["staging", "production"]
    assert complete(sparki, "rollback", "pro") == ["production"]
    assert complete(sparki, "promote", "staging", "") == ["staging", "production"]
    assert complete(sparki, "env", "show", "s") == ["staging"]
    assert complete(sparki, "deployments", "--env", "") == ["staging", "production"]
    (folder / "sparki.yml").unlink()
    assert complete(sparki, "deploy", "") == []


def test_releases_of_the_environment_that_is_named_and_deployments_are_completed(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/environments/staging/releases", answers({"releases": [{"id": "v-2"}, {"id": "v-1"}]}))
    stand_in.on("GET", "/v1/deployments", answers({"deployments": [{"id": "d-7"}]}))

    assert complete(sparki, "rollback", "staging", "") == ["v-2", "v-1"]
    assert complete(sparki, "deploy", "staging", "--release", "") == ["v-2", "v-1"]
    assert complete(sparki, "deploy", "--release", "") == []
    assert complete(sparki, "approve", "d") == ["d-7"]
