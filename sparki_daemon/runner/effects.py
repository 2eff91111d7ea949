"""What a step says beside its text: workflow commands, the files that it writes for later steps, and its annotations."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from sparki_daemon.runner import launch
from sparki_daemon.runner.annotations import MOST, MOST_CHARACTERS, Annotation, annotation_of, line_of
from sparki_daemon.runner.commands import NAMES, Command
from sparki_daemon.runner.env_files import MOST_SUMMARY_BYTES, NEVER_SET, EnvFileError, read_pairs, read_paths
from sparki_daemon.runner.matchers import MatcherError
from sparki_daemon.runner.step_files import MOST_BYTES, NotTaken, put_right, take

if TYPE_CHECKING:
    from sparki_daemon.runner.frame import Frame
    from sparki_daemon.runner.job import Job

Pairs = list[tuple[str, str]]
_MOST_MATCHER_BYTES = 1024 * 1024


class Effects:
    """What one step has said. `failed` and `reason` tell of what it must not have."""

    def __init__(self, job: Job, frame: Frame, outer: Effects | None = None) -> None:
        self.outputs: dict[str, str] = {}
        self.state: dict[str, str] = {}
        self.outer = outer
        self.annotations: list[Annotation] = outer.annotations if outer else []
        self.told: Counter[str] = outer.told if outer else Counter()  # annotations by level, those too that were too many
        self.summary_bytes = 0
        self.failed = False
        self.reason = ""
        self._job = job
        self._frame = frame
        self._echo = False

    def fail(self, why: str) -> None:
        """The step has failed by something else than its exit code; the first reason counts."""
        self.failed = True
        self.reason = self.reason or why
        self._job.output.line(f"Error: {why}")

    # -- commands ------------------------------------------------------------------------------------------------------

    def obey(self, command: Command) -> str | None:
        """Carry out a workflow command; gives the line that the log has for it."""
        shown = line_of(command, debug=self._job.run_file.debug) or (command.line.decode("utf-8", "replace") if self._echo else None)
        name, data, output = command.name, command.data, self._job.output
        if name == "add-mask":
            return self._mask(data)
        if found := annotation_of(command, self._job.workspace):
            mask = output.masker.mask_text
            self.annotate({**found, "message": mask(found["message"]), "title": mask(found["title"]), "file": mask(found["file"])})
        elif name in {"set-output", "save-state"}:
            return self._set(self.outputs if name == "set-output" else self.state, command) or shown
        elif name == "echo":
            return self._switch_echo(data) or shown
        elif name == "stop-commands":
            return self._stop_commands(data) or shown
        elif name in {"set-env", "add-path"}:
            return self._unsafe(command)
        elif name in {"add-matcher", "remove-matcher"}:
            return self._matcher(command) or shown
        return shown

    def _refuse(self, why: str) -> str:
        """A command that can't be carried out fails the step; gives the line for the log."""
        self.failed = True
        self.reason = self.reason or why
        return f"Error: {why}"

    def _mask(self, value: str) -> str | None:
        if not value.strip():
            return "Warning: 'add-mask' has no value: nothing is hidden by it"
        self._job.output.masker.add(value)
        return "::add-mask::***" if self._echo else None

    def _set(self, where: dict[str, str], command: Command) -> str | None:
        name = command.properties.get("name")
        if not name:
            return self._refuse(f"the command '{command.name}' has no 'name'")
        where[name] = command.data
        return None

    def _switch_echo(self, word: str) -> str | None:
        if word.strip().lower() not in {"on", "off"}:
            return self._refuse(f"the command 'echo' says '{word}', and can say on or off")
        self._echo = word.strip().lower() == "on"
        return None

    def annotate(self, annotation: Annotation) -> None:
        """Keep an annotation without secrets, if the step may have one more of its level."""
        level = annotation["level"]
        self.told[level] += 1
        if self.told[level] <= MOST:
            self.annotations.append({**annotation, "message": annotation["message"][:MOST_CHARACTERS]})

    def _matcher(self, command: Command) -> str | None:
        matchers = self._job.output.matchers
        matchers.workspace = self._job.workspace
        owner = command.properties.get("owner", "").strip()
        try:
            if command.name == "remove-matcher" and owner:
                matchers.remove(owner)
                return None
            path = os.path.join(self._job.workspace, command.data.strip())
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:  # a pipe would never end
                data = file.read(_MOST_MATCHER_BYTES)
            (matchers.add if command.name == "add-matcher" else matchers.remove_of)(data)
        except (OSError, MatcherError) as error:
            return self._refuse(f"the problem matcher '{command.data.strip()}' can't be read: {launch.why(error)}")
        return None

    def _stop_commands(self, token: str) -> str | None:
        """Take no commands until `::token::`. A token that anybody could guess fails the step. Source: R ActionCommandManager.cs:156."""
        allowed = self._frame.scope.env.get("ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS", "").lower() == "true"
        if not allowed and (not token or token.lower() in {*NAMES, "pause-logging"}):
            return self._refuse(f"'{token}' can't be the token of 'stop-commands': it is empty, or a command's name")
        self._job.output.stop_commands(token)
        return None

    def _unsafe(self, command: Command) -> str | None:
        if self._frame.scope.env.get("ACTIONS_ALLOW_UNSECURE_COMMANDS", "").lower() != "true":
            self.failed = True
            self.reason = f"'{command.name}' is a workflow command that is switched off"
            return f"Error: {self.reason}: write to the file $GITHUB_{'ENV' if command.name == 'set-env' else 'PATH'} instead"
        if command.name == "add-path":
            self._job.added_paths.append(command.data)
        elif name := command.properties.get("name"):
            self._set_env([(name, command.data)])
        else:
            return self._refuse("the command 'set-env' has no 'name'")
        return None

    # -- files ---------------------------------------------------------------------------------------------------------

    def read_files(self) -> None:
        """Take what the step wrote for later ones, also after a failure."""
        try:
            put_right(self._job.temp)
        except OSError as error:
            self.fail(f"the folder of GITHUB_OUTPUT and its like can't be made again: {launch.why(error)}")
            return
        for name, take_in in (("output", self.outputs.update), ("env", self._set_env), ("state", self.state.update)):
            if data := self._taken(name):
                try:
                    take_in(read_pairs(data))
                except EnvFileError as error:
                    take_in(error.pairs)
                    self.fail(f"GITHUB_{name.upper()}: {error}")
        if data := self._taken("path"):
            self._job.added_paths += read_paths(data)
        if data := self._taken("step_summary"):
            self._summarize(data)

    def _taken(self, name: str) -> bytes:
        """What is in one of the files, which is empty then."""
        try:
            return take(f"{self._job.temp}/{name}", MOST_SUMMARY_BYTES if name == "step_summary" else MOST_BYTES)
        except (NotTaken, OSError) as error:
            why = launch.why(error)
        if name == "step_summary":  # it is for people: a step does not fail for it
            self._job.output.line(f"Error: the summary is dropped: {why}")
        else:
            self.fail(f"GITHUB_{name.upper()} can't be read: {why}")
        return b""

    def _set_env(self, pairs: Pairs) -> None:
        for name, value in pairs:
            if name.upper() in NEVER_SET:
                self._job.output.line(f"Error: {name} can't be set for later steps: it would run code in each of them")
            else:
                self._job.env = {**self._job.env, name: value}

    def _summarize(self, data: bytes) -> None:
        try:
            written = self._job.summary.add(self._job.output.masker.mask_text(data.decode("utf-8", "replace")))
        except OSError as error:
            self._job.output.line(f"Error: the summary can't be kept: {launch.why(error)}")
            return
        effects: Effects | None = self
        while effects:
            effects.summary_bytes += written
            effects = effects.outer
