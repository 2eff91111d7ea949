"""What the result of a job depends on, part by part, and the key that the parts make. Pure.

A part has a name that a person understands, such as `file src/a.py` or `step 2`, and a short value; two results may stand for
each other where all parts are equal. `changes` tells two sets of parts apart in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.plan import JobPlan, Pairs, StepPlan, Template
from sparki_daemon.pipeline.actions import is_local
from sparki_daemon.pipeline.cache_inputs import SourceFiles
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.references import DYNAMIC, Reference, references
from sparki_daemon.pipeline.expression.template import OPEN, condition, trees

FORMAT = "1"  # another program that keeps other things gives other keys

Parts = Mapping[str, str]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTEXTS = ("github", "inputs", "vars", "needs")  # the others say what the definition says, or where the job runs
# What differs with each run by its nature, and is no more than a place or a file.
_PLACES = frozenset({"workspace", "event_path", "output", "env", "path", "state", "step_summary", "action", "action_path", "job", "token"})
_ENCODE = json.JSONEncoder(sort_keys=True, default=str).encode  # made once: `json.dumps` makes one for each value
_EVERYBODYS = frozenset({"PATH", "HOME", "PWD", "TERM", "USER", "LOGNAME", "SHELL", "COLORTERM"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a job meets beside its definition. `variables`: those of the client that are let in. `tools`: name → version.

    `artifacts`: of the run so far, name → digest, counted for a job that downloads some.
    """

    contexts: Mapping[str, Any]  # github with its event, inputs, vars, needs
    files: SourceFiles
    system: str  # operating system and architecture
    settings: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)


def key_of(parts: Parts) -> str:
    """The key of a set of parts."""
    return _digest(json.dumps([FORMAT, *sorted(parts.items())]), 20)


def secret_of(env: Pairs, job: JobPlan) -> str:
    """The secret that a job reads, as its file names it; empty: none. Such a job is never cached."""
    for reference in _references(env, job):
        if reference.path[0] == "secrets" or (reference.path[0] == "github" and reference.path[1:2] in {(), (DYNAMIC,), ("token",)}):
            return str(reference) if reference.path[0] == "secrets" else "github.token"
    return ""


def parts_of(env: Pairs, job: JobPlan, around: Around) -> dict[str, str]:
    """Everything that the result of a job that declares a cache depends on. `env`: the workflow's."""
    assert job.cache is not None
    parts = {"system": around.system}
    parts |= {f"setting {name}": value for name, value in around.settings.items()}
    parts |= {f"tool {name}": around.tools.get(name, "absent") for name in job.cache.tools}
    parts |= _definition(env, job)
    parts |= _files(job, around.files)
    parts |= _values(env, job, around)
    for need, about in around.contexts.get("needs", {}).items():
        parts[f"result of {need}"] = str(about.get("result"))
        parts |= {f"output {need}.{name}": _short(value) for name, value in about.get("outputs", {}).items()}
    if any("download-artifact" in step.uses for step in job.steps):
        parts |= {f"artifact {name}": digest for name, digest in around.artifacts.items()}
    return parts


def _definition(env: Pairs, job: JobPlan) -> dict[str, str]:
    cache = job.cache
    assert cache is not None
    parts = {f"step {step.index + 1}": _short(_step(step)) for step in job.steps}
    if env:
        parts["env of the workflow"] = _short(_texts(env))
    if job.env:
        parts["env of the job"] = _short(_texts(job.env))
    if job.outputs:
        parts["outputs of the job"] = _short(_texts(job.outputs))
    if cache.outputs:
        parts["declared outputs"] = _short(cache.outputs)
    if job.junit:
        parts["test reports"] = _short(job.junit)
    if job.shell or job.working_directory:
        parts["defaults"] = _short([_text(job.shell), _text(job.working_directory)])
    parts |= {f"matrix.{name}": _short(value) for name, value in job.matrix.items()}
    return parts


def _step(step: StepPlan) -> list[Any]:
    texts = [step.name, step.condition, step.run, step.shell, step.working_directory, step.continue_on_error, step.timeout_minutes]
    return [step.id, step.uses, *map(_text, texts), _texts(step.inputs), _texts(step.env)]


def _files(job: JobPlan, files: SourceFiles) -> dict[str, str]:
    """The inputs, and the folders of the repository's own actions that the job uses. No inputs: the tree as a whole."""
    assert job.cache is not None
    if not job.cache.inputs:
        return {"source": files.tree}
    actions = [step.uses.removeprefix("./").strip("/") for step in job.steps if is_local(step.uses)]
    patterns = [*job.cache.inputs, *(f"{folder}/**" if folder else "**" for folder in actions)]
    return {f"file {path}": digest for path, digest in files.matching(patterns).items()}


def _values(env: Pairs, job: JobPlan, around: Around) -> Iterator[tuple[str, str]]:
    """The values of contexts that expressions read, and of the variables that scripts name."""
    for path in sorted({reference.path for reference in _references(env, job)}):
        if path[0] in _CONTEXTS and path[0] != "needs" and path[1:2] not in {(place,) for place in _PLACES}:
            known = path[: path.index(DYNAMIC)] if DYNAMIC in path else path
            yield f"value {'.'.join(path)}", _short(_lookup(around.contexts, known))
    github = around.contexts.get("github", {})
    for word in sorted({word for step in job.steps if step.run for word in _WORD.findall(step.run.text)}):
        name = word.removeprefix("GITHUB_").lower()
        if word.startswith("GITHUB_") and name in github and name not in _PLACES:
            yield f"variable {word}", _short(github[name])
        elif word in around.variables and word not in _EVERYBODYS:
            yield f"variable {word}", _short(around.variables[word])


def _lookup(contexts: Mapping[str, Any], path: Iterable[str]) -> Any:
    value: Any = contexts
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name, next((inner for key, inner in value.items() if str(key).lower() == name.lower()), None))
    return value


def _references(env: Pairs, job: JobPlan) -> Iterator[Reference]:
    for template, is_condition in _templates(env, job):
        if is_condition or OPEN in template.text:
            try:
                found = (condition(template.text),) if is_condition else trees(template.text)
            except ExpressionError:  # the job fails of it when it runs, and a failed job is not kept
                continue
            for tree in found:
                yield from references(tree)


def _templates(env: Pairs, job: JobPlan) -> Iterator[tuple[Template, bool]]:
    """Every text that is computed while the job runs; whether it is an `if`."""
    plain: list[Template | None] = [template for pairs in (env, job.env, job.outputs) for _, template in pairs]
    plain += [Template(name) for pairs in (env, job.env, job.outputs) for name, _ in pairs]
    plain += [job.shell, job.working_directory, job.timeout_minutes]
    for step in job.steps:
        plain += [step.name, step.run, step.shell, step.working_directory, step.continue_on_error, step.timeout_minutes]
        plain += [template for pairs in (step.inputs, step.env) for _, template in pairs]
        plain += [Template(name) for pairs in (step.inputs, step.env) for name, _ in pairs]
        if step.condition is not None:
            yield step.condition, True
    yield from ((template, False) for template in plain if template is not None)


def _text(template: Template | None) -> str | None:
    return None if template is None else template.text


def _texts(pairs: Pairs) -> list[list[str]]:
    return [[name, template.text] for name, template in pairs]


def _short(value: Any) -> str:
    """A digest that stands for a value: parts are kept, and may hold what nobody wants to read there."""
    return _digest(_ENCODE(value), 12)


def _digest(text: str, size_bytes: int) -> str:
    from hashlib import blake2b  # noqa: PLC0415  # it loads OpenSSL, 4 ms, and most jobs declare no cache

    return blake2b(text.encode(), digest_size=size_bytes).hexdigest()


# -- why a job ran ---------------------------------------------------------------------------------------------------------


def changes(old: Parts, new: Parts) -> list[str]:
    """In words, what differs between the parts of an earlier result and those of now: files first, then in the parts' order."""
    names = [*(name for name in new if old.get(name) != new[name]), *(name for name in old if name not in new)]
    told = [_told(name, old.get(name), new.get(name)) for name in sorted(names, key=lambda name: not name.startswith("file "))]
    return list(dict.fromkeys(told))


def _told(name: str, old: str | None, new: str | None) -> str:
    kind, _, what = name.partition(" ")
    if kind == "tool":
        return f"tool {what} is {new}, and was {old}" if old and new else f"tool {what} is declared {'now' if new else 'no more'}"
    if kind == "system":
        return f"the system is {new}, and was {old}"
    shown = "the source" if kind == "source" else what if kind == "file" else name
    if old is None:
        return f"{shown} is new"
    return f"{shown} is gone" if new is None else f"{shown} was changed"
