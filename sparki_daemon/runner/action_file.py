"""Reads the action.yml of a local or mapped action: what it takes, what it gives, what it runs.

Source: actions/runner, Runner.Worker/action_yaml.json and ActionManifestManager.cs; GitHub's metadata syntax for actions.
Loaded by the first step that uses such an action: YAML costs other jobs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.plan import Pairs, StepPlan, Template
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.actions import action_name, is_local, native
from sparki_daemon.pipeline.document import template_of
from sparki_daemon.pipeline.mapped import Remote, is_mapped
from sparki_daemon.pipeline.schema import Anything, Flag, Key, ListOf, MapOf, OneOf, Place, Record, Text
from sparki_daemon.pipeline.shape import Shape
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText
from sparki_daemon.pipeline.yaml_reader import load

NAMES = ("action.yml", "action.yaml")
NODES = ("node12", "node16", "node20", "node24")

_CONTEXTS = ("github", "inputs", "strategy", "matrix", "steps", "job", "runner", "env")
_HASH_FILES = {"hashFiles": (1, 255)}
_STATUS = {"always": (0, 0), "cancelled": (0, 0), "success": (0, 0), "failure": (0, 0)}
_STEP = Place(_CONTEXTS, _HASH_FILES)
_STEP_IF = Place(_CONTEXTS, {**_STATUS, **_HASH_FILES})
_OUTPUT = Place(_CONTEXTS)
_DEFAULT = Place(("github", "strategy", "matrix", "job", "runner"), _HASH_FILES)

_TEXT = Text(place=_STEP)
_ANY_STEP = {
    "name": Key(_TEXT, "What the step is called in logs."),
    "id": Key(Text(nonempty=True), "How later steps refer to it."),
    "if": Key(Text(place=_STEP_IF, condition=True), "Run the step only when this is true."),
    "env": Key(MapOf(value=Text(), place=_STEP), "Variables of the step."),
    "continue-on-error": Key(Flag(place=_STEP), "Go on when the step fails."),
}
_STEPS = ListOf(
    item=OneOf(
        options=(
            Record(
                keys={
                    **_ANY_STEP,
                    "run": Key(_TEXT, "Commands for the shell.", required=True),
                    "shell": Key(Text(place=_STEP, nonempty=True), "The shell that runs them.", required=True),
                    "working-directory": Key(_TEXT, "The folder in which they run."),
                }
            ),
            Record(
                keys={
                    **_ANY_STEP,
                    "uses": Key(Text(nonempty=True), "The action to run.", required=True),
                    "with": Key(MapOf(value=Text(), place=_STEP), "Inputs of the action."),
                }
            ),
        )
    ),
    each="step",
)
_USING = Key(Text(nonempty=True), "What runs the action.", required=True)
_COMPOSITE = Record(keys={"using": _USING, "steps": Key(_STEPS, "What the action does.", required=True)})
_FILE, _WHEN = Text(nonempty=True), Text(place=Place(("github", "runner", "job", "env", "strategy", "matrix"), _STATUS), condition=True)
_NODE = Record(
    keys={
        "using": _USING,
        "main": Key(_FILE, "The script that does the work.", required=True),
        "pre": Key(_FILE, "A script for the job's beginning; a local action's is not run."),
        "pre-if": Key(_WHEN, "When that runs."),
        "post": Key(_FILE, "A script for the job's end."),
        "post-if": Key(_WHEN, "When that runs."),
    }
)


def _root(runs: Record, output: Text | Anything) -> Record:
    value = Record(keys={"value": Key(output, "The output's value.")}, lenient=True)
    given = Record(keys={"default": Key(Text(place=_DEFAULT), "The value where none is given.")}, lenient=True)
    return Record(
        keys={
            "inputs": Key(MapOf(value=OneOf(options=(given, Anything())), each="input"), "What the action takes."),
            "outputs": Key(MapOf(value=OneOf(options=(value, Anything())), each="output"), "What it gives."),
            "runs": Key(runs, "What it does.", required=True),
        },
        lenient=True,
    )


@dataclass(frozen=True, slots=True)
class Input:
    """An input that an action declares. `required` says nothing: GitHub does not enforce it."""

    name: str
    default: Template | None
    deprecated: str  # the message, or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAction:
    """An action of the workspace, or of a folder that stands for its repository; either `steps` or `main` is there."""

    folder: str  # absolute
    file: str  # of its metadata, as messages name it
    inputs: tuple[Input, ...] = ()
    outputs: Pairs = ()
    steps: tuple[StepPlan, ...] = ()
    pre: str = ""  # which is run of a mapped action only
    pre_if: Template | None = None
    main: str = ""  # relative to the folder
    post: str = ""
    post_if: Template | None = None


def read_action(workspace: str, uses: str, mapped: Container[str] = ()) -> LocalAction:
    """The action in the folder that `uses` names, as it is now. Raises SparkiError with all that is wrong with it.

    `mapped`: keys of the repositories that folders stand for: it may use their actions.
    """
    return _action(workspace, uses, os.path.normpath(os.path.join(workspace, uses.replace("\\", "/"))), "", mapped)


def read_mapped(root: str, named: Remote, mapped: Container[str]) -> LocalAction:
    """The action that `named` is, of the repository that is at `root`. Raises as `read_action` does."""
    return _action(root, f"{named.repository}/{named.path}".rstrip("/"), os.path.join(root, named.path), f"{named.repository}/", mapped)


def _action(root: str, uses: str, folder: str, label: str, mapped: Container[str]) -> LocalAction:
    for name in NAMES:
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise SparkiError(Problem(code="unreadable_action", message=f"'{uses}/{name}' can't be read: {error.strerror}")) from None
        return _read(data, f"{label}{os.path.relpath(path, root)}", os.path.normpath(folder), mapped)
    raise SparkiError(_missing(uses, folder))


def _missing(uses: str, folder: str) -> Problem:
    if os.path.exists(os.path.join(folder, "Dockerfile")):
        return Problem(code="unsupported_action", message=f"'{uses}' is a Docker action, and there is no container engine here")
    message = f"there is no action '{uses}' in the workspace: neither action.yml nor action.yaml is in that folder"
    hint = "the folder is looked for when its step runs: has the job checked the source out?" if not os.path.isdir(folder) else ""
    return Problem(code="no_such_action", message=message, hint=hint)


def _read(data: bytes, file: str, folder: str, mapped: Container[str]) -> LocalAction:
    root, text = load(data, file)
    if not isinstance(root, MappingNode):
        raise SparkiError(Problem(code="wrong_type", message="an action is a mapping with the key 'runs'", at=Position(file, 1, 1)))
    runs = root.get("runs")
    using = runs.get("using") if isinstance(runs, MappingNode) else None
    kind = using.text.lower() if isinstance(using, ScalarNode) else ""
    composite = kind == "composite"
    if isinstance(using, ScalarNode) and not composite and kind not in NODES:
        raise SparkiError(_bad_using(using, file))
    shape = Shape(file, SourceText(text))
    shape.check(root, _root(_COMPOSITE if composite else _NODE, Text(place=_OUTPUT) if composite else Anything()), "the action")
    items = runs.get("steps") if isinstance(runs, MappingNode) else None
    nodes = [item for item in items.items if isinstance(item, MappingNode)] if isinstance(items, SequenceNode) else []
    problems = [*shape.problems, *_uses_problems(nodes, file, mapped)]
    if problems:
        raise SparkiError(*sorted(dict.fromkeys(problems), key=lambda problem: (problem.at is None, problem.at)))
    assert isinstance(runs, MappingNode)  # the shape is right
    return LocalAction(
        folder=folder,
        file=file,
        inputs=tuple(_inputs(root.get("inputs"))),
        outputs=tuple(_outputs(root.get("outputs"))) if composite else (),
        steps=tuple(_step(index, node) for index, node in enumerate(nodes)),
        pre=_text(runs, "pre"),
        pre_if=template_of(runs.get("pre-if")),
        main=_text(runs, "main"),
        post=_text(runs, "post"),
        post_if=template_of(runs.get("post-if")),
    )


def _bad_using(using: ScalarNode, file: str) -> Problem:
    at = Position(file, using.line, using.column)
    if using.text.lower() == "docker":
        hint = "jobs run on this machine, with no container engine"
        return Problem(code="unsupported_action", message="Sparki can't run a Docker action", at=at, hint=hint)
    known = ("composite", "docker", *NODES)
    hint = did_you_mean(using.text, known) or f"known are {', '.join(known)}"
    return Problem(code="wrong_value", message=f"'using' can't be '{using.text}'", at=at, hint=hint)


def _uses_problems(steps: list[MappingNode], file: str, mapped: Container[str]) -> Iterator[Problem]:
    for step in steps:
        uses = step.get("uses")
        if isinstance(uses, ScalarNode) and not (is_local(uses.text) or native(uses.text) or is_mapped(uses.text, mapped)):
            names = "an action of the workspace (./FOLDER) or a native one is needed"
            message = f"Sparki can't run the action '{uses.text}'" if action_name(uses.text) else f"'{uses.text}' names no action"
            yield Problem(code="unsupported_action", message=message, at=Position(file, uses.line, uses.column), hint=names)


def _inputs(node: Node | None) -> Iterator[Input]:
    for name, value in node.pairs if isinstance(node, MappingNode) else ():
        given = value if isinstance(value, MappingNode) else MappingNode(0, 0)
        yield Input(name.text, template_of(given.get("default")), _text(given, "deprecationMessage"))


def _outputs(node: Node | None) -> Iterator[tuple[str, Template]]:
    for name, value in node.pairs if isinstance(node, MappingNode) else ():
        found = template_of(value.get("value")) if isinstance(value, MappingNode) else None
        if found is not None:
            yield name.text, found


def _text(node: MappingNode, key: str) -> str:
    value = node.get(key)
    return value.text if isinstance(value, ScalarNode) else ""


def _pairs(node: MappingNode, key: str) -> Pairs:
    value = node.get(key)
    found = ((name.text, template_of(item)) for name, item in value.pairs) if isinstance(value, MappingNode) else ()
    return tuple((name, template) for name, template in found if template is not None)


def _step(index: int, node: MappingNode) -> StepPlan:
    return StepPlan(
        index=index,
        line=node.line,
        column=node.column,
        id=_text(node, "id"),
        name=template_of(node.get("name")),
        condition=template_of(node.get("if")),
        run=template_of(node.get("run")),
        uses=_text(node, "uses"),
        inputs=_pairs(node, "with"),
        shell=template_of(node.get("shell")),
        working_directory=template_of(node.get("working-directory")),
        env=_pairs(node, "env"),
        continue_on_error=template_of(node.get("continue-on-error")),
    )
