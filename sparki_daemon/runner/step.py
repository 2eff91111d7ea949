"""One step: whether it runs, what it runs, how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.plan import StepPlan
from sparki_daemon.runner import launch
from sparki_daemon.runner.annotations import line_of
from sparki_daemon.runner.child import Child, exit_code
from sparki_daemon.runner.commands import Command
from sparki_daemon.runner.env_files import MOST_SUMMARY_BYTES, NEVER_SET, EnvFileError, read_pairs, read_paths
from sparki_daemon.runner.scope import CANCELLED, FAILURE, SKIPPED, SUCCESS, BadValue
from sparki_daemon.runner.shells import ShellError

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job


class Step:
    """A step of `job`, from its condition to its end."""

    def __init__(self, job: Job, plan: StepPlan) -> None:
        self.job = job
        self.plan = plan
        self.outputs: dict[str, str] = {}
        self.child: Child | None = None
        self._reason = ""
        self._exit_code: int | None = None
        self._timed_out = False
        self._cancelled = False
        self._failed = False  # by something else than its exit code
        self._spared = True  # continue-on-error may make a failure good; not one of env or `if`
        self._echo = False
        self._from = 0
        self._begun = 0.0
        self._name = ""

    # -- from beginning to end -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the step, if it is to be done, and tell what became of it."""
        job, scope = self.job, self.job.scope
        wanted, refused = True, ""
        scope.set_env(job.env)
        try:
            if self.plan.env:
                scope.set_env({**job.env, **scope.pairs(self.plan.env, "env")})
            self._name = self._title()
            wanted = scope.holds(self.plan.condition)
        except BadValue as error:
            refused, self._spared = str(error), False
        self._name = job.output.masker.mask_text(self._name or self._plain_title())
        self._from = job.output.begin(self._name, self)
        self._begun = time.monotonic()
        if not wanted:
            job.hold(self._started())
            self._finish(SKIPPED, SKIPPED)
            return
        job.write(self._started())
        if refused:
            self._fail(refused)
        else:
            self._do()
        self._read_env_files()
        outcome = self._outcome()
        self._finish(outcome, self._conclusion(outcome))

    def ask_to_stop(self) -> None:
        """The job was cancelled: the step goes on only if its `if` still lets it."""
        try:
            stays = self.job.scope.holds(self.plan.condition)
        except BadValue:
            stays = False
        if not stays and self.child:
            self._cancelled = True
            self.child.stop()

    def kill(self) -> None:
        """End it at once."""
        if self.child:
            self._cancelled = True
            self.child.kill()

    def skip(self) -> None:
        """Tell that the step was never begun."""
        self._name = self.job.output.masker.mask_text(self._plain_title())
        self._from = self.job.output.size
        self.job.hold(self._started())
        self._finish(SKIPPED, SKIPPED)

    def _started(self) -> dict[str, Any]:
        return {"kind": "step.started", "step": self.plan.index, "name": self._name, "from": self._from}

    def _do(self) -> None:
        job = self.job
        script = ""
        try:
            minutes = job.scope.minutes(self.plan.timeout_minutes) if self.plan.timeout_minutes else 0
            start, script = launch.action(job, self.plan) if self.plan.uses else launch.script(job, self.plan)
            self.child = Child(job.host.loop, start(), job.host.limits)
        except (BadValue, ShellError) as error:
            self._fail(str(error))
        except (OSError, ValueError) as error:
            self._fail(f"the step could not be started: {launch.why(error)}")
        if self.child:
            if minutes > 0:
                job.host.loop.after("step", minutes * job.host.limits.minute_s, lambda: self._time_out(minutes))
            self._wait(self.child)
        if script:
            launch.remove(script)

    def _wait(self, child: Child) -> None:
        loop, output = self.job.host.loop, self.job.output
        if self.job.forced:
            self.kill()
        while child.status is None:
            loop.turn()
        loop.drop("step")
        output.drain()
        while output.stalled and not self.job.forced:  # a full disk: the rest is still in the pipe
            loop.turn()
            output.drain()
        self.child = None
        self._exit_code = exit_code(child.status)

    def _time_out(self, minutes: int) -> None:
        self._timed_out = True
        self._reason = f"timed out after {minutes} minute{'' if minutes == 1 else 's'}"
        if self.child:
            self.child.stop()

    # -- what it said --------------------------------------------------------------------------------------------------

    def obey(self, command: Command) -> str | None:
        """Carry out a workflow command of the step's output; gives the line that the log has for it."""
        shown = line_of(command) or (command.line.decode("utf-8", "replace") if self._echo else None)
        name, data = command.name, command.data
        if name == "add-mask":
            self.job.output.masker.add(data)
            return None
        if name == "set-output" and command.properties.get("name"):
            self.outputs[command.properties["name"]] = data
        elif name == "echo":
            self._echo = data.strip().lower() == "on"
        elif name == "stop-commands":
            self.job.output.stop_commands(data)
        elif name in {"set-env", "add-path"}:
            return self._unsafe(command)
        return shown

    def _unsafe(self, command: Command) -> str | None:
        if self.job.scope.env.get("ACTIONS_ALLOW_UNSECURE_COMMANDS", "").lower() != "true":
            self._failed = True
            self._reason = f"'{command.name}' is a workflow command that is switched off"
            return f"Error: {self._reason}: write to the file $GITHUB_{'ENV' if command.name == 'set-env' else 'PATH'} instead"
        if command.name == "add-path":
            self.job.added_paths.append(command.data)
        elif name := command.properties.get("name"):
            self._set_env([(name, command.data)])
        return None

    def _read_env_files(self) -> None:
        """Take what the step wrote for later ones, also after a failure."""
        for name, take in (
            ("output", self.outputs.update),
            ("env", self._set_env),
            ("state", None),
            ("path", None),
            ("step_summary", None),
        ):
            path = f"{self.job.temp}/{name}"
            try:
                size = os.stat(path).st_size
                if size == 0:
                    continue
                if name == "step_summary" and size > MOST_SUMMARY_BYTES:
                    self.job.output.line(f"Error: the summary of {size} bytes is dropped: it may have {MOST_SUMMARY_BYTES}")
                with open(path, "rb") as file:
                    data = file.read() if name != "step_summary" else b""
                os.truncate(path, 0)
                if name == "path":
                    self.job.added_paths += read_paths(data)
                elif take:
                    self._take_pairs(data, take, name)
            except FileNotFoundError:
                launch.write(path, "")
            except OSError as error:
                self._fail(f"GITHUB_{name.upper()} can't be read: {launch.why(error)}")

    def _take_pairs(self, data: bytes, take: Callable[[list[tuple[str, str]]], None], name: str) -> None:
        try:
            take(read_pairs(data))
        except EnvFileError as error:
            take(error.pairs)
            self._fail(f"GITHUB_{name.upper()}: {error}")

    def _set_env(self, pairs: list[tuple[str, str]]) -> None:
        for name, value in pairs:
            if name.upper() in NEVER_SET:
                self.job.output.line(f"Error: {name} can't be set for later steps: it would run code in each of them")
            else:
                self.job.env = {**self.job.env, name: value}

    # -- how it ended --------------------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        self._failed = True
        self._reason = self._reason or why
        self.job.output.line(f"Error: {why}")

    def _outcome(self) -> str:
        """Success, failure or cancelled; says in the log and in `reason` why, where nothing else did."""
        code = self._exit_code
        if self._cancelled:
            self._reason = "cancelled"
            self.job.output.line("Error: the step was cancelled")
            return CANCELLED
        if self._timed_out:
            self.job.output.line(f"Error: the step {self._reason} and was ended")
            return FAILURE
        if code and not self._failed:
            self._reason = (
                f"exit code {code}" if code < 128 else f"exit code {code} (signal {code - 128})" if code < 165 else f"exit code {code}"
            )
            self.job.output.line(f"Error: the step ended with {self._reason}")
        return FAILURE if code or self._failed else SUCCESS

    def _conclusion(self, outcome: str) -> str:
        template = self.plan.continue_on_error
        if outcome != FAILURE or template is None or not self._spared:
            return outcome
        try:
            return SUCCESS if self.job.scope.truth(template, "continue-on-error") else FAILURE
        except BadValue as error:
            self.job.output.line(f"Error: {error}")
            return FAILURE

    def _finish(self, outcome: str, conclusion: str) -> None:
        job = self.job
        job.scope.worsen(conclusion)
        job.scope.record_step(self.plan.id, outcome, conclusion, self.outputs)
        job.hold({
            "kind": "step.finished",
            "step": self.plan.index,
            "name": self._name,
            "outcome": outcome,
            "conclusion": conclusion,
            "exit_code": self._exit_code,
            "duration_ms": 0 if outcome == SKIPPED else round((time.monotonic() - self._begun) * 1000),
            "from": self._from,
            "to": job.output.end(),
            "reason": job.output.masker.mask_text(self._reason),
            "left": [],
        })  # fmt: skip

    def _title(self) -> str:
        name, script = self.plan.name, self.plan.run
        if name:
            return self.job.scope.text(name, "name")
        if script and "${{" in script.text:
            try:
                return f"Run {_first_line(self.job.scope.text(script, 'run'))}"
            except BadValue:  # told when the script itself is evaluated
                return self._plain_title()
        return self._plain_title()

    def _plain_title(self) -> str:
        if self.plan.name and "${{" not in self.plan.name.text:
            return self.plan.name.text
        if self.plan.run is None:
            return f"Run {self.plan.uses}"
        return f"Run {_first_line(self.plan.run.text)}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip()
