"""What the expressions of a job see: its contexts, its status functions, and errors that say where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparki_daemon.model.plan import JobPlan, Pairs, Template
from sparki_daemon.model.spec import JobSpec
from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate
from sparki_daemon.pipeline.expression.template import condition, evaluate_template
from sparki_daemon.pipeline.expression.values import Value, is_truthy, to_number, to_string
from sparki_daemon.pipeline.pairs import texts
from sparki_daemon.runner.run_file import RunFile

SUCCESS, FAILURE, CANCELLED, SKIPPED, LOST = "success", "failure", "cancelled", "skipped", "lost"


class BadValue(Exception):  # noqa: N818  # reads as what happened
    """A template that has no usable value; the text says what and where."""


class JobScope:
    """The contexts of one job, which its steps change, and its status."""

    def __init__(self) -> None:
        self.file = ""
        self.workspace = ""
        self.home = ""  # what `~` is in patterns
        self.contexts: dict[str, Value] = {}
        self.env: dict[str, str] = {}
        self.steps: dict[str, Value] = {}
        self._job: dict[str, Value] = {"status": SUCCESS}
        self._scope = Scope(
            self.contexts,
            {
                "success": lambda: self.status == SUCCESS,
                "failure": lambda: self.status == FAILURE,
                "cancelled": self._is_cancelled,
                "always": lambda: True,
                "hashFiles": self._hash_files,
            },
        )

    def open(self, run: RunFile, plan: JobPlan, spec: JobSpec, github: dict[str, Any], runner: dict[str, str]) -> None:
        """Fill in the contexts that stay as they are while the job runs."""
        self.file = run.file
        self.contexts |= {
            "env": self.env,
            "github": github,
            "inputs": run.spec["inputs"],
            "job": self._job,
            "matrix": plan.matrix or None,  # GitHub prints null for a job without one
            "needs": spec["needs"],
            "runner": runner,
            "secrets": dict(spec.get("secrets", ())),
            "steps": self.steps,
            "strategy": plan.strategy,
            "vars": run.spec["vars"],
        }

    @property
    def status(self) -> str:
        """The job's status so far: success, failure, cancelled."""
        return str(self._job["status"])

    def worsen(self, status: str) -> None:
        """Take a step's conclusion into the job's status; cancelled outweighs failure, failure success."""
        if status == CANCELLED or (status == FAILURE and self.status == SUCCESS):
            self._job["status"] = status

    def set_env(self, env: dict[str, str]) -> None:
        """What the `env` context is from now on."""
        self.env = env
        self.contexts["env"] = env

    def enter(self, action: str, variables: Mapping[str, str]) -> None:
        """A step begins: what the `github` context says of its action."""
        github = self.contexts["github"]
        assert isinstance(github, dict)
        github["action"] = action
        github |= {name.removeprefix("GITHUB_").lower(): value for name, value in variables.items()}

    def value(self, template: Template, what: str) -> Value:
        """The value of a template. Raises BadValue; `what` names the key for its text."""
        if "${{" not in template.text:
            return template.text
        try:
            return evaluate_template(template.text, self._scope)
        except ExpressionError as error:
            raise BadValue(f"{self._place(template)}: '{what}' can't be evaluated: {error.message}") from None

    def text(self, template: Template, what: str) -> str:
        """The value as text. Raises BadValue."""
        return to_string(self.value(template, what)) if "${{" in template.text else template.text

    def pairs(self, pairs: Pairs, what: str) -> dict[str, str]:
        """Each pair's text, of those too whose names or whole are computed. Raises BadValue."""
        if all(name and "${{" not in name for name, _ in pairs):
            return {name: self.text(template, f"{what}.{name}") for name, template in pairs}
        try:
            return dict(texts(pairs, lambda template, name: self.value(template, f"{what}.{name}" if name else what)))
        except ExpressionError as error:
            raise BadValue(f"{self._place(pairs[0][1])}: '{what}' can't be evaluated: {error.message}") from None

    def truth(self, template: Template, what: str) -> bool:
        """Whether a template's value counts as true; the text `false` does not. Raises BadValue."""
        value = self.value(template, what)
        return is_truthy(value) and value != "false"

    def holds(self, template: Template | None) -> bool:
        """Whether an `if` lets its step run now. Raises BadValue."""
        if template is None:
            return self.status == SUCCESS
        try:
            return is_truthy(evaluate(condition(template.text), self._scope))
        except ExpressionError as error:
            raise BadValue(f"{self._place(template)}: 'if' can't be evaluated: {error.message}") from None

    def minutes(self, template: Template) -> int:
        """A `timeout-minutes`, cut to a whole number. Raises BadValue for what is no number."""
        number = to_number(self.value(template, "timeout-minutes"))
        if not -1e9 < number < 1e9:  # NaN, too
            raise BadValue(f"{self._place(template)}: 'timeout-minutes' is no number: {template.text}")
        return int(number)

    def record_step(self, step: str, outcome: str, conclusion: str, outputs: Mapping[str, str]) -> None:
        """What later steps see of one that has ended; one without an id is seen by none."""
        if step:
            self.steps[step] = {"outputs": dict(outputs), "outcome": outcome, "conclusion": conclusion}

    def _is_cancelled(self) -> bool:
        return self.status == CANCELLED

    def _hash_files(self, *arguments: Value) -> Value:
        from sparki_daemon.runner.hash_files import hash_files  # noqa: PLC0415  # few jobs need it

        return hash_files(self.workspace, self.home, *arguments)

    def _place(self, template: Template) -> str:
        return f"{self.file}:{template.line}:{template.column}" if template.line else self.file


class CompositeScope(JobScope):
    """The contexts of one use of a composite action, whose steps see no secrets, no variables and no needs.

    Its status is that of its own steps so far; once it has `ended`, for what its actions do at the job's end, it is the job's.
    Source: actions/runner, action_yaml.json and Expressions/SuccessFunction.cs.
    """

    def __init__(self, outer: JobScope, file: str, inputs: Mapping[str, str], github: Mapping[str, Value]) -> None:
        super().__init__()
        self.file, self.workspace, self.home = file, outer.workspace, outer.home
        self.ended = False
        self._outer = outer
        self._status = SUCCESS
        outer_github = outer.contexts["github"]
        assert isinstance(outer_github, Mapping)
        self.contexts |= {name: outer.contexts[name] for name in ("job", "matrix", "runner", "strategy")}
        self.contexts |= {"env": self.env, "github": {**outer_github, **github}, "inputs": dict(inputs), "steps": self.steps}

    @property
    def status(self) -> str:
        return self._outer.status if self.ended else self._status

    def worsen(self, status: str) -> None:
        if self.ended:
            self._outer.worsen(status)
        elif status == CANCELLED or (status == FAILURE and self._status == SUCCESS):
            self._status = status

    def _is_cancelled(self) -> bool:
        return self._outer._is_cancelled()  # noqa: SLF001  # the job's
