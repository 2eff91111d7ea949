"""Say what will not be as on GitHub's runner: a plan and its file against what is known of this machine. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sparki_daemon.model.plan import JobPlan, Plan, StepPlan, Template
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline import codes, script, tools
from sparki_daemon.pipeline.actions import HONOURED, native
from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.hosts import missing_hardware, own_labels, skip_reason
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.step_differences import absent_shell, absent_versions, unkept_environments, unrun_scripts
from sparki_daemon.pipeline.triggers import DISPATCH

_HAPPENING = frozenset({"push", "pull_request", "schedule", "workflow_call", DISPATCH})
_HERE = {"repository": "github.repository", "run-id": "github.run_id"}


def differences(plan: Plan, document: Document, machine: Machine, known: Mapping[str, Any] | None = None) -> list[Problem]:
    """Each difference with its code (`pipeline.codes`), its place and what it is about, in file order; of equal ones a job's first.

    Only the plan's jobs count, and of jobs that are skipped here for their system that alone. Codes in `machine.silence` are left out.
    `known` are contexts that have their values already: github, inputs, vars.
    """
    legs = {job.base: job for job in reversed(plan.jobs) if not skip_reason(job, machine.system)}
    going = [job for job in plan.jobs if legs.get(job.base) is job]
    places = _Places(document)
    found = [
        *_of_labels(plan, machine),
        *_of_file(document, [job.base for job in going]),
        *_of_secrets(document, [job.base for job in going], machine),
        *(problem for job in going for problem in _of_steps(job, plan, places, machine)),
        *absent_versions((job for job in plan.jobs if not skip_reason(job, machine.system)), plan, machine, known or {}),
        *unrun_scripts(going, machine),
    ]
    told = dict.fromkeys(problem for problem in found if problem.code not in machine.silence)
    return sorted(told, key=lambda problem: (problem.at is None, problem.at, problem.code))


def in_short(found: Sequence[Problem]) -> list[Problem]:
    """One for each code: the first of its kind, and how many more there are."""
    by_code: dict[str, list[Problem]] = {}
    for problem in found:
        by_code.setdefault(problem.code, []).append(problem)
    short = []
    for code, group in sorted(by_code.items()):
        first, more = group[0], len(group) - 1
        places = f"{first.at}, and {more} more place{'' if more == 1 else 's'}" if more else str(first.at)
        short.append(Problem(code=code, message=f"{code} {first.message} ({places})", at=first.at, hint=first.hint))
    return short


def _of_labels(plan: Plan, machine: Machine) -> Iterator[Problem]:
    for job in plan.jobs:
        at = Position(plan.file, job.line, job.column)
        if reason := skip_reason(job, machine.system):
            yield Problem(code=codes.OTHER_SYSTEM, message=f"job '{job.id}' is skipped: {reason}", at=at)
            continue
        hardware = missing_hardware(job.runs_on, machine.arch)
        for label in hardware:
            message = f"job '{job.base}' asks for '{label}', and runs on this machine's {machine.arch}"
            yield Problem(code=codes.OTHER_HARDWARE, message=message, at=at)
        for label in own_labels(job.runs_on):
            if label not in hardware:
                message = f"job '{job.base}' asks for a runner '{label}', and runs on this machine"
                yield Problem(code=codes.OWN_LABEL, message=message, at=at)


def _of_file(document: Document, going: Sequence[str]) -> Iterator[Problem]:
    """What the keys of the file ask for that does not happen here."""
    for trigger in document.triggers:
        if trigger.event == "schedule":
            yield Problem(code=codes.SCHEDULE, message="nothing starts the pipeline at set times here", at=trigger.at)
        elif trigger.event not in _HAPPENING:
            yield Problem(code=codes.NEVER_STARTED, message=f"'{trigger.event}' does not happen here", at=trigger.at)
    for keys in (document.keys, *(job.keys for job in document.jobs if job.id in going)):
        if at := keys.get("permissions"):
            yield Problem(code=codes.PERMISSIONS, message="there is no token whose permissions could be limited", at=at)
        if at := keys.get("concurrency"):
            yield Problem(code=codes.CONCURRENCY, message="runs and jobs of one concurrency group may run side by side", at=at)
    for job in document.jobs:
        if (group := job.runner_group) and job.id in going:
            message = f"job '{job.id}' asks for a runner of the group '{group.text}', and runs on this machine"
            yield Problem(code=codes.RUNNER_GROUP, message=message, at=Position(document.file, group.line, group.column))


def _of_secrets(document: Document, going: Sequence[str], machine: Machine) -> Iterator[Problem]:
    """What is read and has no value here."""
    ignored = {at.line for job in document.jobs for step in job.steps for at, _, _ in _ignored_inputs(step, document.file)}
    reads = [read for read in document.reads if not ((read.job and read.job not in going) or read.at.line in ignored)]
    there = set(machine.secrets()) if reads else set()
    for read in reads:
        if read.path.lower() in {"github.token", "secrets.github_token"}:
            if "GITHUB_TOKEN" not in there:
                yield Problem(code=codes.EMPTY_TOKEN, message=f"'{read.path}' is empty", at=read.at)
            continue
        name = read.path.partition(".")[2].upper()
        if name in there or (name in ("", "*") and there):
            continue
        hint = f"sparki secret set {name}" if name and name != "*" else "sparki secret set NAME"
        yield Problem(code=codes.EMPTY_SECRET, message=f"'{read.path}' is not set: {hint}", at=read.at, hint=hint)


def _of_steps(job: JobPlan, plan: Plan, places: _Places, machine: Machine) -> Iterator[Problem]:
    provided: set[str] = set()
    seen: set[tuple[str, str]] = set()
    for step in job.steps:
        yield from _of_action(step, places.file, machine)
        yield from unkept_environments(step, places.file)
        yield from absent_shell(step, job, plan, machine, provided)
        for code, message, word, offset in _of_script(step, step.shell or job.shell, machine, provided):
            if (code, message) not in seen and step.run is not None:
                seen.add((code, message))
                yield Problem(code=code, message=message, at=places.of(step.run, word, offset))
        if action := native(step.uses):
            provided.update(action.provides)


def _ignored_inputs(step: StepPlan, file: str) -> Iterator[tuple[Position, str, str]]:
    """(place, name, why) of each input that does nothing here."""
    action = native(step.uses)
    for name, template in step.inputs if action else ():
        why = next((why for known, why in action.inputs.items() if known.lower() == name.lower()), HONOURED) if action else HONOURED
        if why != HONOURED:
            yield Position(file, template.line, template.column), name, why


def _of_action(step: StepPlan, file: str, machine: Machine) -> Iterator[Problem]:
    action = native(step.uses)
    if action is None:
        return
    for at, name, why in _ignored_inputs(step, file):
        yield Problem(code=codes.IGNORED_INPUT, message=f"'{name}' of '{step.uses}' does nothing here: {why}", at=at)
    for name, template in step.inputs:
        if name.lower() in action.elsewhere and not _is_here(name.lower(), template.text, machine):
            at = Position(file, template.line, template.column)
            message = f"'{step.uses}' asks for the {name} '{template.text}', and only this one's is here"
            yield Problem(code=codes.ELSEWHERE, message=message, at=at)


def _is_here(name: str, text: str, machine: Machine) -> bool:
    own = text.replace(" ", "").lower() == f"${{{{{_HERE[name]}}}}}"
    return own or not text.strip() or (name == "repository" and text.lower() == machine.repository.lower())


def _of_script(step: StepPlan, shell: Template | None, machine: Machine, provided: Iterable[str]) -> Iterator[tuple[str, str, str, int]]:
    """(code, message, word, its offset in the script) of all that a `run` does differently here."""
    if step.run is None or _is_other_language(shell):
        return
    text = step.run.text
    for word, offset in script.programs(text):
        found = _of_program(word, machine, provided)
        if found is not None:
            yield *found, word, offset
    for word, offset in script.ports(text):
        yield codes.FIXED_PORT, f"port {word} is this machine's", word, offset
    for word, offset in script.temp_paths(text):
        yield codes.FIXED_TEMP, f"'{word}' is shared with all other jobs", word, offset


def _is_other_language(shell: Template | None) -> bool:
    """Whether a script is plainly for no shell of this family: `shell: python` and the like."""
    return shell is not None and shell.text.split(" ")[0] not in {"bash", "sh", "zsh", "dash", "ksh"}


def _of_program(word: str, machine: Machine, provided: Iterable[str]) -> tuple[str, str] | None:
    if word == "sudo":
        return codes.SUDO, _if_there(word, machine, "would change this machine")
    if word in tools.PACKAGES:
        return codes.SYSTEM_PACKAGES, _if_there(word, machine, "installs packages for this whole machine")
    if word in tools.DOCKER:
        return codes.DOCKER, _if_there(word, machine, "is this machine's own")
    if word in tools.BROUGHT and machine.exists is not None and word not in provided and not machine.exists(word):
        return codes.MISSING_TOOL, f"'{word}' is not installed here"
    return None


def _if_there(word: str, machine: Machine, what: str) -> str:
    return f"'{word}' {what}" if machine.exists is None or machine.exists(word) else f"'{word}' is not installed here"


class _Places:
    """Where in a file the words of its scripts stand."""

    def __init__(self, document: Document) -> None:
        self.file = document.file
        self._lines = document.text.split("\n")

    def of(self, run: Template, word: str, offset: int) -> Position:
        """The place of a word of a `run`; the `run` itself where that can't be told."""
        lines, first = self._lines, run.line - 1
        if 0 <= first < len(lines):
            if lines[first][run.column - 1 : run.column] == "|":  # each line of the text is one of the file, further right
                first += 1 + run.text.count("\n", 0, offset)
                last, after = first + 1, offset - run.text.rfind("\n", 0, offset) - 1
            else:
                last, after = first + run.text.count("\n") + 2, run.column - 1
            for line in range(first, min(last, len(lines))):
                column = lines[line].find(word, after if line == first else 0)
                if column >= 0:
                    return Position(self.file, line + 1, column + 1)
        return Position(self.file, run.line, run.column)
