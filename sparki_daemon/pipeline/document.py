"""What a workflow file says, in plain data: the tree of keys turned into jobs, steps and triggers, nothing computed yet."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from sparki_daemon.model.dataclass import dataclass, field, replace
from sparki_daemon.model.plan import JobCache, Pairs, StepPlan, Template
from sparki_daemon.model.problem import Position, Problem
from sparki_daemon.pipeline.actions import NATIVE, action_name, is_local
from sparki_daemon.pipeline.caching import cache_of, texts_of
from sparki_daemon.pipeline.expression.template import OPEN
from sparki_daemon.pipeline.mapped import is_mapped
from sparki_daemon.pipeline.pairs import WHOLE, is_insert
from sparki_daemon.pipeline.schema import Dialect
from sparki_daemon.pipeline.triggers import Trigger, implied_triggers, triggers_of
from sparki_daemon.pipeline.yaml_node import Literal, MappingNode, Node, ScalarNode, SequenceNode

_STEP_TEXTS = {"name": "name", "condition": "if", "run": "run", "shell": "shell", "working_directory": "working-directory"}
_STEP_TEXTS |= {"continue_on_error": "continue-on-error", "timeout_minutes": "timeout-minutes"}


@dataclass(frozen=True, slots=True)
class Name:
    """A name, and where it stands."""

    text: str
    at: Position


@dataclass(frozen=True, slots=True)
class Read:
    """An expression that reads a secret or the token, which are empty here: `secrets.X`, `github.token`. `job` "": no job's."""

    job: str
    path: str
    at: Position


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a call gives to an input or a secret."""

    name: str
    value: Literal
    at: Position  # of the value


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The workflow that a job calls, and what it gives to it. `secrets` None: all that the caller has."""

    uses: Name
    inputs: tuple[Given, ...] = ()
    secrets: tuple[Given, ...] | None = ()


Permissions = Mapping[str, str] | str
"""What a token may do: levels by scope, or `read-all`, `write-all`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """A job as the file has it, before its matrix makes one or many of it."""

    id: str
    at: Position  # of the id
    name: Template | None = None
    needs: tuple[Name, ...] = ()
    condition: Template | None = None
    strategy: Node | None = None
    continue_on_error: Template | None = None
    timeout_minutes: Template | None = None
    env: Pairs = ()
    shell: Template | None = None
    working_directory: Template | None = None
    outputs: Pairs = ()
    runs_on: tuple[Template, ...] = ()
    runner_group: Template | None = None
    steps: tuple[StepPlan, ...] = ()
    step_ids: tuple[Name, ...] = ()
    call: Call | None = None
    permissions: Permissions | None = None
    cache: JobCache | None = None
    junit: tuple[str, ...] = ()
    keys: Mapping[str, Position] = field(default_factory=dict)  # where each of its keys stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A workflow file that GitHub would accept.

    `unsupported` is what Sparki can't run of it: a plan is refused with these. `warnings` refuse nothing: names in expressions
    that nothing bears, which GitHub reads as empty.
    """

    file: str
    name: str  # `name`, else the file's path
    jobs: tuple[JobSource, ...]
    triggers: tuple[Trigger, ...] = ()
    run_name: Template | None = None
    env: Pairs = ()
    unsupported: tuple[Problem, ...] = ()
    foreign: Mapping[Position, str] = field(default_factory=dict)  # the actions among these, by the problem's place
    warnings: tuple[Problem, ...] = ()
    permissions: Permissions | None = None
    reads: tuple[Read, ...] = ()
    keys: Mapping[str, Position] = field(default_factory=dict)  # where each key of the whole stands
    text: str = field(default="", repr=False)
    dialect: Dialect = Dialect.GITHUB


def template_of(node: Node | None) -> Template | None:
    """A scalar as a template with its place; None where there is no scalar."""
    return Template(node.text, node.line, node.column) if isinstance(node, ScalarNode) else None


def steps_of(job: Node) -> list[ScalarNode | MappingNode]:
    """The steps of a job in the tree; a scalar is a command, in the dialect that allows it."""
    items = job.get("steps") if isinstance(job, MappingNode) else None
    return [item for item in items.items if isinstance(item, ScalarNode | MappingNode)] if isinstance(items, SequenceNode) else []


class Builder:
    """Turns a checked tree into a Document, and skips what is misshapen: the check has told of that."""

    def __init__(self, file: str, dialect: Dialect = Dialect.GITHUB) -> None:
        self.file = file
        self.dialect = dialect
        self.problems: list[Problem] = []
        self._foreign: dict[Position, str] = {}

    def document(self, root: MappingNode) -> Document:
        shell, folder = self._defaults(root)
        name = root.get("name")
        jobs = root.get("jobs")
        return Document(
            file=self.file,
            name=name.text if isinstance(name, ScalarNode) and name.text else self.file,
            jobs=tuple(self._jobs(jobs, shell, folder)) if isinstance(jobs, MappingNode) else (),
            triggers=tuple(self._triggers(root)),
            run_name=template_of(root.get("run-name")),
            env=self._pairs(root, "env"),
            permissions=_permissions(root.get("permissions")),
            keys=self._keys(root),
            dialect=self.dialect,
            foreign=self._foreign,  # filled by the jobs
        )

    def _triggers(self, root: MappingNode) -> Iterator[Trigger]:
        on = root.get("on")
        return implied_triggers(self._at(root)) if on is None and self.dialect is Dialect.SPARKI else triggers_of(on, self.file)

    def _at(self, node: Node) -> Position:
        return Position(self.file, node.line, node.column)

    def _keys(self, mapping: MappingNode) -> dict[str, Position]:
        return {key.text: self._at(key) for key, _ in mapping.pairs}

    def _pairs(self, mapping: MappingNode, key: str) -> Pairs:
        value = mapping.get(key)
        if isinstance(value, MappingNode):
            pairs = ((name.text, template_of(item)) for name, item in value.pairs)
            return tuple((WHOLE if is_insert(name) else name, found) for name, found in pairs if found is not None)
        whole = template_of(value)
        return ((WHOLE, whole),) if whole is not None and OPEN in whole.text else ()

    def _names(self, node: Node | None) -> Iterator[Name]:
        if isinstance(node, ScalarNode):
            yield Name(node.text, self._at(node))
        elif isinstance(node, SequenceNode):
            for item in node.items:
                yield from self._names(item)

    def _defaults(self, mapping: MappingNode) -> tuple[Template | None, Template | None]:
        defaults = mapping.get("defaults")
        run = defaults.get("run") if isinstance(defaults, MappingNode) else None
        if isinstance(run, ScalarNode) and OPEN in run.text:
            message = "Sparki can't compute all of 'run' at once"
            hint = "write the keys out, each with an expression of its own"
            self.problems.append(Problem(code="unsupported_expression", message=message, at=self._at(run), hint=hint))
        if not isinstance(run, MappingNode):
            return None, None
        return template_of(run.get("shell")), template_of(run.get("working-directory"))

    def _jobs(self, jobs: MappingNode, shell: Template | None, folder: Template | None) -> Iterator[JobSource]:
        for key, node in jobs.pairs:
            if not isinstance(node, MappingNode):
                continue
            own_shell, own_folder = self._defaults(node)
            steps = steps_of(node)
            yield JobSource(
                id=key.text,
                at=self._at(key),
                name=template_of(node.get("name")),
                needs=tuple(self._names(node.get("needs"))),
                condition=template_of(node.get("if")),
                strategy=node.get("strategy"),
                continue_on_error=template_of(node.get("continue-on-error")),
                timeout_minutes=template_of(node.get("timeout-minutes")),
                env=self._pairs(node, "env"),
                shell=own_shell or shell,
                working_directory=own_folder or folder,
                outputs=self._pairs(node, "outputs"),
                runs_on=self._runs_on(node.get("runs-on")),
                runner_group=template_of(runs_on.get("group")) if isinstance(runs_on := node.get("runs-on"), MappingNode) else None,
                steps=tuple(self._step(index, step) for index, step in enumerate(steps)),
                step_ids=tuple(name for step in steps if isinstance(step, MappingNode) for name in self._names(step.get("id"))),
                call=self._call(node),
                permissions=_permissions(node.get("permissions")),
                cache=cache_of(node.get("cache")),
                junit=texts_of(node.get("junit")),
                keys=self._keys(node),
            )

    def _call(self, node: MappingNode) -> Call | None:
        uses = node.get("uses")
        if not isinstance(uses, ScalarNode):
            return None
        secrets = node.get("secrets")
        inherited = isinstance(secrets, ScalarNode) and secrets.text == "inherit"
        given = tuple(self._given(node.get("with")))
        return Call(uses=Name(uses.text, self._at(uses)), inputs=given, secrets=None if inherited else tuple(self._given(secrets)))

    def _given(self, node: Node | None) -> Iterator[Given]:
        for key, value in node.pairs if isinstance(node, MappingNode) else ():
            if isinstance(value, ScalarNode):
                yield Given(key.text, value.value, self._at(value))

    def _runs_on(self, node: Node | None) -> tuple[Template, ...]:
        if isinstance(node, MappingNode):
            return self._runs_on(node.get("labels"))
        nodes = node.items if isinstance(node, SequenceNode) else [node]
        return tuple(found for item in nodes if (found := template_of(item)) is not None)

    def _step(self, index: int, node: ScalarNode | MappingNode) -> StepPlan:
        if isinstance(node, ScalarNode):
            return StepPlan(index=index, line=node.line, column=node.column, run=template_of(node))
        uses = node.get("uses")
        action = uses.text if isinstance(uses, ScalarNode) else ""
        if isinstance(uses, ScalarNode) and (problem := _action_problem(action, self._at(uses))):
            self.problems.append(problem)
            self._foreign[self._at(uses)] = action
        ident = node.get("id")
        return StepPlan(
            index=index,
            line=node.line,
            column=node.column,
            id=ident.text if isinstance(ident, ScalarNode) else "",
            uses=action,
            inputs=self._pairs(node, "with"),
            env=self._pairs(node, "env"),
            **{field: template_of(node.get(key)) for field, key in _STEP_TEXTS.items()},
        )


def _permissions(node: Node | None) -> Permissions | None:
    if isinstance(node, MappingNode):
        return {key.text: value.text for key, value in node.pairs if isinstance(value, ScalarNode)}
    return node.text if isinstance(node, ScalarNode) else None


def _action_problem(action: str, at: Position) -> Problem | None:
    """What is wrong with `uses`: no action's name at all, or one that Sparki has no replacement for."""
    if OPEN in action or not action or is_local(action):
        return None  # with an expression it is misshapen: the check has told of that
    name = action_name(action)
    if name in NATIVE:
        return None
    if not name and not action.startswith(("$/", "docker://")):
        message = f"'{action}' names no action"
        return Problem(code="bad_action", message=message, at=at, hint="write OWNER/REPOSITORY@REF, or ./FOLDER")
    message = f"Sparki can't run the action '{action}'"
    names = (known.removeprefix("actions/") for known in NATIVE if known.count("/") == 1)
    hint = f"of actions/ it runs {', '.join(sorted(names))}; besides actions of this repository (./FOLDER), and others' with --action"
    return Problem(code="unsupported_action", message=message, at=at, hint=hint)


def with_mapped(document: Document, repositories: Container[str]) -> Document:
    """The document where folders stand for these repositories (as `Remote.key` has them): their actions are none that can't run."""
    left = (
        problem for problem in document.unsupported if not (problem.at and is_mapped(document.foreign.get(problem.at, ""), repositories))
    )
    return replace(document, unsupported=tuple(left))
