"""`sparki validate`: what GitHub would refuse in pipeline files, and Sparki in `sparki.yml`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sparki_cli.called import Called
from sparki_cli.connect import own_directory
from sparki_cli.given import mapped
from sparki_cli.render import Output, printable
from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.calls import call_problems
from sparki_daemon.pipeline.dialect import dialect_of
from sparki_daemon.pipeline.reader import look
from sparki_daemon.pipeline.schema import Dialect
from sparki_daemon.pipeline.select import rule_problems
from sparki_daemon.pipeline.settings import FILE, read_settings
from sparki_daemon.source import files as source_files
from sparki_daemon.source.repository import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sparki_daemon.pipeline.environments import Environment

INVALID = 2
NOWHERE = Position("", 0, 0)


@dataclass(frozen=True, slots=True)
class Checked:
    """One file's verdict; `warnings` refuse nothing."""

    file: str
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def _schema(output: Output, here: str, files: list[str]) -> int:
    """Print the schema of what FILE is: sparki.yml, a pipeline of ours, else a workflow."""
    from sparki_daemon.pipeline.json_schema import settings_schema, workflow_schema  # noqa: PLC0415  only who asks for it pays for it

    if files and _is_settings(here, files[0]):
        found = settings_schema()
    else:
        dialect = _dialect(here, f"{files[0]}/_" if files and os.path.isdir(os.path.join(here, files[0])) else "".join(files[:1]))
        found = workflow_schema(dialect)
    if output.jq:
        output.document(found)
    else:
        output.raw(json.dumps(found, indent=1) + "\n")
    return 0


def validate(output: Output, *, files: list[str], form: str | None, schema: bool, actions: list[str], directory: str | None) -> int:
    """Check files, or all pipelines and the settings of this repository; exit code 2 when one has an error.

    `actions`: `OWNER/REPO=DIR` words, the folders that stand for others' repositories. `schema`: print that for editors instead, of the
    dialect that the first of `files` is in, a file or a folder.
    """
    here = own_directory(directory)
    if schema:
        return _schema(output, here, files)
    called = Called(here, mapped(actions, here))
    checked = list(_named(here, files, called) if files else _all(here, called))
    errors = sum(len(one.errors) for one in checked)
    if output.as_json or form == "json":
        output.document({"files": [_verdict(one) for one in checked]})
    elif form == "github":
        output.raw("".join(annotation(problem, one.file, "error") for one in checked for problem in one.errors))
        output.raw("".join(annotation(problem, one.file, "warning") for one in checked for problem in one.warnings))
    else:
        _tell(output, checked, errors)
    return INVALID if errors else 0


def check(data: bytes, file: str, called: Called | None = None, dialect: Dialect | None = None) -> Checked:
    """The verdict on a file's content. What this machine can't run is no error. `called`: finds what it calls.

    `dialect` None: the one that the file's folder says.
    """
    try:
        document, wrong = look(data, file, dialect)
    except SparkiError as error:
        return Checked(file, error.problems)
    if wrong or called is None:
        return Checked(file, wrong, document.warnings)
    errors = (*called.problems(document), *call_problems(document, called.find))
    return Checked(file, errors, (*document.warnings, *called.warnings(document)))


def _named(here: str, names: list[str], called: Called) -> Iterator[Checked]:
    for name in names:
        try:
            with open(os.path.join(here, name), "rb") as file:
                data = file.read()
        except OSError as error:
            yield Checked(name, (Problem(code="unreadable_file", message=f"can't read {name}: {error.strerror}"),))
            continue
        yield check_settings(data, name) if _is_settings(here, name) else check(data, name, called, _dialect(here, name))


def _is_settings(here: str, name: str) -> bool:
    """A file of that name is the project's settings, unless it lies where pipelines do."""
    folder = "/".join(os.path.normpath(os.path.join(here, name)).split(os.sep)[-3:-1])
    return os.path.basename(name) == FILE and folder not in source_files.PIPELINE_FOLDERS


def check_settings(data: bytes, file: str) -> Checked:
    """The verdict on a `sparki.yml`. An adapter that this machine has not is a warning, a misspelt one an error."""
    errors: list[Problem] = []
    try:
        environments = list(read_settings(data, file).deploying.environments.values())
    except SparkiError as error:
        errors += error.problems
        environments = _sound(data, file)
    if not environments:
        return Checked(file, tuple(errors))
    from sparki_daemon.loco.adapters import load, names  # noqa: PLC0415  # most files have no environments
    from sparki_daemon.loco.asking import adapter_problems, not_here  # noqa: PLC0415
    from sparki_daemon.loco.protocol import Place  # noqa: PLC0415

    told = {(problem.code, problem.at) for problem in errors}
    warnings: list[Problem] = []
    for one in environments:
        place = Place(project="", environment=one.name, folder="", settings=one.settings)
        for problem in adapter_problems(one, place, load):
            if (problem.code, problem.at) not in told:
                (warnings if not_here(problem, names, one.settings["adapter"]) else errors).append(problem)
    return Checked(file, tuple(sorted(errors, key=lambda problem: problem.at or NOWHERE)), tuple(warnings))


def _sound(data: bytes, file: str) -> list[Environment]:
    """The environments that their adapters can be asked about, though something else in the file is wrong."""
    from sparki_daemon.pipeline.settings_file import sound_environments  # noqa: PLC0415  # most files are right

    try:
        return sound_environments(data, file)
    except SparkiError:
        return []


def _dialect(here: str, name: str) -> Dialect:
    return dialect_of(os.path.normpath(os.path.join(here, name)))


def _all(here: str, called: Called) -> Iterator[Checked]:
    repository = find(here)
    pipelines = source_files.pipelines(repository)
    for file, data in pipelines.items():
        yield check(data, file, called)
    if (settings := source_files.read_worktree(repository, FILE)) is not None:
        checked = check_settings(settings, FILE)
        yield replace(checked, errors=(*checked.errors, *_of_rules(settings, pipelines)))


def _of_rules(settings: bytes, pipelines: Mapping[str, bytes]) -> Iterator[Problem]:
    """What is wrong with the pipelines that a push would run. A file that can't be read may bear any name: nothing is said then."""
    try:
        rules = read_settings(settings).deploying.branches
        documents = [look(data, file)[0] for file, data in pipelines.items()] if rules else []
    except SparkiError:
        return
    yield from rule_problems(rules, documents)


def _verdict(one: Checked) -> dict[str, Any]:
    return {
        "file": one.file,
        "errors": [_error(problem) for problem in one.errors],
        "warnings": [_error(problem) for problem in one.warnings],
    }


def _error(problem: Problem) -> dict[str, Any]:
    at = problem.at
    return {
        "code": problem.code,
        "message": problem.message,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "hint": problem.hint,
    }


def _tell(output: Output, checked: list[Checked], errors: int) -> None:
    output.raw("".join(output.problem(problem) for one in checked for problem in one.errors))
    for problem in (problem for one in checked for problem in one.warnings):
        place = printable(str(problem.at))
        hint = f"\n{output.styled('hint:', 'cyan')} {printable(problem.hint)}" if problem.hint else ""
        output.note(f"{output.styled('warning:', 'yellow')} {printable(problem.message)}\n  --> {place}{hint}")
    count = f"{len(checked)} file{'' if len(checked) == 1 else 's'}"
    if not checked:
        output.note("this repository has no pipeline files and no sparki.yml")
    elif errors:
        output.note(f"{errors} error{'' if errors == 1 else 's'} in {count}")
    else:
        output.note(f"{output.glyph('success')} {count} without an error")


def annotation(problem: Problem, file: str, level: str) -> str:
    """A problem as a workflow command. Source: GitHub's docs, "Workflow commands"; actions/toolkit, command.ts (escapes)."""
    place = f"file={_property(problem.at.file if problem.at else file)}"
    if problem.at:
        place += f",line={problem.at.line},col={problem.at.column}"
    text = problem.message + (f" ({problem.hint})" if problem.hint else "")
    return f"::{level} {place},title={_property(problem.code)}::{_data(text)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
