"""Runs an action of the workspace, or of a folder that stands for its repository.

A composite one runs step by step within its own step, a JavaScript one with node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.runner import launch
from sparki_daemon.runner.action_file import LocalAction, read_action, read_mapped
from sparki_daemon.runner.annotations import annotation
from sparki_daemon.runner.frame import MOST_DEPTH, Frame
from sparki_daemon.runner.others import folder_of, stands_for
from sparki_daemon.runner.scope import FAILURE, CompositeScope
from sparki_daemon.runner.step import ALWAYS, Post, Step

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job
    from sparki_daemon.runner.scope import JobScope


def run(step: Step) -> None:
    """Do what the action says that the step's `uses` names. Raises BadValue, and OSError for a script that can't be started."""
    uses = step.plan.uses
    try:
        action = _read(step.job, uses)
    except SparkiError as error:
        for problem in error.problems:
            step.effects.fail(
                f"{f'{problem.at}: ' if problem.at else ''}{problem.message}" + (f" ({problem.hint})" if problem.hint else "")
            )
        return
    inputs = _inputs(step, action)
    if not action.main:
        _composite(step, action, inputs)
        return
    if action.pre and stands_for(step.job, uses):
        if not step.is_own:
            _warn(step, f"the 'pre' script of '{uses}' is not run: it is used within another action (SPK021)")
    elif action.pre:  # as on GitHub, whose runner learns only here what the action is, and warns too
        _warn(step, f"the 'pre' script of '{uses}' is not run: that is done for actions of other repositories only (SPK021)")
    _leave_post(step, action)
    step.run_process(launch.javascript(step, action, inputs, action.main))


def pre_steps(job: Job, frame: Frame) -> list[Step]:
    """What the mapped actions that a job's own steps use have for its beginning, in the steps' order.

    An action that can't be read has none here: the step that uses it says what is wrong. Source: actions/runner, JobExtension.cs.
    """
    found = []
    for plan in job.plan.steps:
        if not stands_for(job, plan.uses):
            continue
        try:
            action = _read(job, plan.uses)
        except (SparkiError, OSError):
            continue
        if action.pre:
            found.append((plan, action))
    return [Step(job, plan, frame, post=_as_pre(action, at - len(found)), pre=True) for at, (plan, action) in enumerate(found)]


def _as_pre(action: LocalAction, index: int) -> Post:
    return Post("Pre", action.pre_if or ALWAYS, {}, lambda step: _pre(step, action), index)


def _pre(step: Step, action: LocalAction) -> launch.Start:
    _leave_post(step, action)
    return launch.javascript(step, action, _inputs(step, action), action.pre)


def _leave_post(step: Step, action: LocalAction) -> None:
    if action.post and step.plan.index not in step.job.posts_of_pres:
        if step.is_pre:
            step.job.posts_of_pres.add(step.plan.index)
        # The inputs are evaluated anew at the job's end, as on GitHub: the variables may have changed.
        step.leave_for_later(action.post_if or ALWAYS, lambda post: launch.javascript(post, action, _inputs(post, action), action.post))


def _read(job: Job, uses: str) -> LocalAction:
    mapped = job.run_file.spec.get("actions", {})
    named = stands_for(job, uses)
    return read_mapped(folder_of(job, named), named, mapped) if named else read_action(job.workspace, uses, mapped)


def _inputs(step: Step, action: LocalAction) -> dict[str, str]:
    """What the action is given, and the defaults of the rest; says what it does not know. Raises BadValue."""
    inputs = step.scope.pairs(step.plan.inputs, "with")
    given = {name.lower() for name in inputs}
    scope = CompositeScope(step.scope, action.file, {}, {})
    for declared in action.inputs:
        if declared.name.lower() in given:
            if declared.deprecated:
                _warn(step, f"input '{declared.name}' of '{step.plan.uses}' is deprecated: {declared.deprecated}")
        elif declared.default is not None:
            inputs[declared.name] = scope.text(declared.default, f"inputs.{declared.name}.default")
    known = [declared.name for declared in action.inputs]
    for name in sorted(given - {name.lower() for name in known}):
        _warn(step, f"'{step.plan.uses}' has no input '{name}'; it has {', '.join(known) or 'none'}")
    return inputs


def _warn(step: Step, message: str) -> None:
    text = step.job.output.masker.mask_text(message)
    step.effects.annotate(annotation("warning", text, workspace=step.job.workspace))
    step.job.output.line(f"Warning: {text}")


def _composite(step: Step, action: LocalAction, inputs: Mapping[str, str]) -> None:
    """Run the action's steps one after the other; the step fails if one of them does."""
    if step.frame.depth >= MOST_DEPTH:
        step.effects.fail(f"'{step.plan.uses}' is used by an action more than {MOST_DEPTH} deep")
        return
    name = step.frame.action_name(step.plan)
    scope = CompositeScope(step.scope, action.file, inputs, {"action_path": action.folder})
    frame = Frame(scope, action.steps, outer=step.frame, env={**step.frame.env, **step.own_env}, folder=action.folder, action=name)
    try:
        for plan in action.steps:
            if step.job.forced or step.timed_out:
                break
            inner = step.within = Step(step.job, plan, frame, outer=step)
            inner.run()
            step.within = None
            if inner.conclusion == FAILURE:
                step.effects.failed = True
                step.effects.reason = step.effects.reason or f"{inner.title}: {inner.reason}"
        step.effects.outputs.update(_outputs(scope, action))
    finally:
        scope.ended = True


def _outputs(scope: JobScope, action: LocalAction) -> dict[str, str]:
    return {name: scope.text(template, f"outputs.{name}.value") for name, template in action.outputs}
