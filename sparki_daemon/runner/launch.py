"""Prepares what a step starts: a script and its shell, or an action's process, with its variables and its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from sparki_daemon.runner import shells, tracer
from sparki_daemon.runner.actions import ACTIONS, Call, Native, action_name
from sparki_daemon.runner.child import fork, spawn
from sparki_daemon.runner.environment import with_paths

if TYPE_CHECKING:
    from sparki_daemon.model.plan import StepPlan, Template
    from sparki_daemon.runner.action_file import LocalAction
    from sparki_daemon.runner.frame import Frame
    from sparki_daemon.runner.job import Job
    from sparki_daemon.runner.programs import Programs
    from sparki_daemon.runner.step import Step

Start = Callable[[], int]  # gives the pid


def script(step: Step) -> tuple[Start, str]:
    """How to start a step's script, and the path of the file that it is in.

    Raises BadValue, ShellError, and OSError for a shell or folder that is not there and a disk that is full.
    """
    job, plan = step.job, step.plan
    assert plan.run is not None  # a step without `uses` has it
    text = step.scope.text(plan.run, "run")
    env = environment(step)
    chosen, program = shell(plan, step.frame, lambda template: step.scope.text(template, "shell"), job.host.programs, env)
    template = plan.working_directory or step.frame.working_directory
    folder = os.path.join(job.workspace, step.scope.text(template, "working-directory")) if template else job.workspace
    if not os.path.isdir(folder):
        _refuse_lost(job.workspace)
        raise OSError(f"there is no folder '{os.path.relpath(folder, job.workspace)}' in the workspace")
    if program is None:
        raise OSError(f"there is no '{chosen.program}' in PATH")
    path = script_path(job, step.frame, plan, chosen)
    step.ran_with = env, folder
    script = f"{chosen.before}{text}{chosen.after}".encode("utf-8", "surrogateescape")
    command = tracer.traced(job, [program, *chosen.command(path)[1:]])
    waiting = job.ahead.take(plan.index, command, env, folder, path, script) if step.is_own else None
    if waiting is not None:
        return (lambda: waiting), path
    write(path, script)
    return (lambda: spawn(command, env, folder, job.output.write_fd)), path


def script_path(job: Job, frame: Frame, plan: StepPlan, chosen: shells.Shell) -> str:
    """Where the script of a step lies while it runs. One within an action has another name: that of the job's next may be in use."""
    within = f"-{frame.depth}" if frame.depth else ""
    return f"{job.temp}/step-{plan.index}{within}{chosen.ending}"


def find_native(uses: str) -> Native:
    """The native action that `uses` names. Raises ValueError for one that is not there."""
    found = ACTIONS.get(action_name(uses))
    if found is None:
        raise ValueError(f"there is no '{uses}' here: it is none of {', '.join(sorted(ACTIONS))}")
    return found


def native(step: Step, action: Native, *, post: bool) -> Start:
    """How to start a native action, or what it does at the job's end. Raises BadValue, and ValueError for a name with a secret in it."""
    job = step.job
    inputs = {name.lower(): value for name, value in step.scope.pairs(step.plan.inputs, "with").items()}
    for name in action.kept:
        if job.output.masker.contains(inputs.get(name, "")):
            raise ValueError(f"'{name}' of '{step.plan.uses}' holds a secret, and would stay in the name of what is kept")
    env = environment(step)
    call = Call(
        inputs=inputs, env=env, workspace=job.workspace, work=job.work, temp=job.temp, run=job.run_file.spec, job=job.spec, state=step.state
    )
    _refuse_lost(job.workspace)
    step.ran_with = env, job.workspace
    return lambda: fork(lambda: action.work(post=post)(call), env, job.workspace, job.output.write_fd)


def javascript(step: Step, action: LocalAction, inputs: Mapping[str, str], script: str) -> Start:
    """How to start a script of a JavaScript action with the machine's node, whichever it asks for. Raises OSError.

    Source: actions/runner, Handlers/Handler.cs and NodeScriptActionHandler.cs.
    """
    job = step.job
    path = os.path.join(action.folder, script)
    if not os.path.isfile(path):
        raise OSError(f"{action.file} names the script '{script}', which is not there")
    env = environment(step)
    # GitHub's runner brings its own node, whatever a step has put into PATH.
    program = job.host.programs.find("node", job.base_env) or job.host.programs.find("node", env)
    if program is None:
        raise OSError("there is no 'node' in PATH, and a JavaScript action needs one")
    env |= {f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in inputs.items()}
    env |= {f"STATE_{name}": value for name, value in step.state.items()}
    step.ran_with = env, job.workspace
    command = tracer.traced(job, [program, path])
    return lambda: spawn(command, env, job.workspace, job.output.write_fd)


def _refuse_lost(workspace: str) -> None:
    if not os.path.isdir(workspace):
        raise OSError("the workspace is gone: a step has removed it")


def environment(step: Step) -> dict[str, str]:
    """All variables of a step's process."""
    return variables(step.job, step.frame, step.plan, step.scope.env)


def variables(job: Job, frame: Frame, plan: StepPlan, context: Mapping[str, str]) -> dict[str, str]:
    """All variables of the process of `plan`, where the env context is `context`. Source for the order: actions/runner, ScriptHandler."""
    env = {**job.base_env, **context, **job.fixed_env, **action_variables(plan.uses)}
    env["GITHUB_ACTION"] = frame.action_name(plan)
    if frame.folder:
        env["GITHUB_ACTION_PATH"] = frame.folder
    with_paths(env, job.added_paths)
    return env


@lru_cache(maxsize=256)  # each step asks three times
def action_variables(uses: str) -> Mapping[str, str]:
    """Which action of another repository a step runs; empty for any other step."""
    remote = bool(action_name(uses))
    name, _, ref = uses.partition("@") if remote else ("", "", "")
    return MappingProxyType({"GITHUB_ACTION_REPOSITORY": "/".join(name.split("/")[:2]), "GITHUB_ACTION_REF": ref})


def shell(
    plan: StepPlan, frame: Frame, text: Callable[[Template], str], programs: Programs, env: Mapping[str, str]
) -> tuple[shells.Shell, str | None]:
    """The shell of a step, and its program where there is one. `text` gives what its `shell` comes to.

    Raises ShellError, and what `text` raises.
    """
    template = plan.shell or frame.shell
    if template:
        chosen = shells.named(text(template))
        return chosen, programs.find(chosen.program, env)
    bash = programs.find("bash", env)
    chosen = shells.default(has_bash=bash is not None)
    return chosen, bash or programs.find(chosen.program, env)


def write(path: str, data: bytes) -> None:
    """A new file, for the owner only. Raises OSError; what was begun of it is gone then."""
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
