"""Prepares what a step starts: a script and its shell, or a native action, with its variables and its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sparki_daemon.model.plan import StepPlan
from sparki_daemon.runner import shells
from sparki_daemon.runner.actions import ACTIONS, Call, action_name
from sparki_daemon.runner.child import fork, spawn
from sparki_daemon.runner.environment import with_paths

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job

Start = Callable[[], int]  # gives the pid


def script(job: Job, plan: StepPlan) -> tuple[Start, str]:
    """How to start a step's script, and the path of the file that it is in.

    Raises BadValue, ShellError, and OSError for a shell or folder that is not there and a disk that is full.
    """
    assert plan.run is not None  # a step without `uses` has it
    scope = job.scope
    text = scope.text(plan.run, "run")
    env = environment(job, plan)
    shell = _shell(job, plan, env)
    template = plan.working_directory or job.plan.working_directory
    folder = os.path.join(job.workspace, scope.text(template, "working-directory")) if template else job.workspace
    if not os.path.isdir(folder):
        raise OSError(f"there is no folder '{os.path.relpath(folder, job.workspace)}' in the workspace")
    program = job.host.programs.find(shell.program, env)
    if program is None:
        raise OSError(f"there is no '{shell.program}' in PATH")
    path = f"{job.temp}/step-{plan.index}{shell.ending}"
    write(path, f"{shell.before}{text}{shell.after}")
    command = [program, *shell.command(path)[1:]]
    return (lambda: spawn(command, env, folder, job.output.write_fd)), path


def action(job: Job, plan: StepPlan) -> tuple[Start, str]:
    """How to start a native action; it has no file. Raises BadValue, and ValueError for an action that is not there."""
    main = ACTIONS.get(action_name(plan.uses))
    if main is None:
        raise ValueError(f"there is no '{plan.uses}' here: it is none of {', '.join(sorted(ACTIONS))}")
    inputs = {name.lower(): value for name, value in job.scope.pairs(plan.inputs, "with").items()}
    env = environment(job, plan)
    call = Call(inputs=inputs, env=env, workspace=job.workspace, work=job.work, temp=job.temp, run=job.run_file.spec)
    return (lambda: fork(lambda: main(call), env, job.workspace, job.output.write_fd)), ""


def environment(job: Job, plan: StepPlan) -> dict[str, str]:
    """All variables of a step's process. Source for the order: actions/runner, ScriptHandler."""
    env = {**job.base_env, **job.scope.env, **job.fixed_env, "GITHUB_ACTION": plan.id or job.default_action(plan)}
    with_paths(env, job.added_paths)
    return env


def _shell(job: Job, plan: StepPlan, env: dict[str, str]) -> shells.Shell:
    template = plan.shell or job.plan.shell
    if template:
        return shells.named(job.scope.text(template, "shell"))
    return shells.default(has_bash=job.host.programs.find("bash", env) is not None)


def write(path: str, text: str) -> None:
    """A new file, for the owner only. Raises OSError; what was begun of it is gone then."""
    data = text.encode("utf-8", "surrogateescape")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        remove(path)
        raise
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(path)
    except OSError:  # the step removed it, or its folder: that is its right
        return


def why(error: Exception) -> str:
    """The reason in an exception, without its number and its path."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
