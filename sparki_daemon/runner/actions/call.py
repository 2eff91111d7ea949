"""What an action is given, and how it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.spec import JobSpec, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One use of an action. It runs in a process of its own, whose output is the step's."""

    inputs: dict[str, str]  # `with`, names in lower case
    env: dict[str, str]  # all variables of the step
    workspace: str
    work: str
    temp: str
    run: RunSpec
    job: JobSpec
    state: Mapping[str, str] = field(default_factory=dict)  # at the job's end: what the step has left for it

    @property
    def home(self) -> str:
        """What `~` is in paths."""
        return self.env.get("HOME", "")

    def lines(self, name: str) -> list[str]:
        """The lines of an input, without blanks about them and without empty ones."""
        return [line.strip() for line in self.inputs.get(name, "").splitlines() if line.strip()]

    def flag(self, name: str, *, default: bool) -> bool:
        """An input that is true or false. Raises ValueError for another text."""
        text = self.inputs.get(name, "").strip().lower()
        if text not in {"", "true", "false"}:
            raise ValueError(f"input '{name}' is '{self.inputs[name]}', and must be true or false")
        return default if not text else text == "true"

    def say(self, text: str) -> None:
        """A line of the step's log."""
        data = f"{text}\n".encode("utf-8", "replace")
        while data:
            data = data[os.write(1, data) :]

    def output(self, name: str, value: str) -> None:
        """An output of the step, of one line or more."""
        self._append("GITHUB_OUTPUT", _pair(name, value))

    def leave(self, name: str, value: str) -> None:
        """Something for what this action does at the job's end."""
        self._append("GITHUB_STATE", _pair(name, value))

    def warn(self, text: str) -> None:
        """A warning, which becomes an annotation."""
        self.say(f"::warning::{_escaped(text)}")

    def fail(self, text: str) -> int:
        """An error, which becomes an annotation; gives the exit code for it."""
        self.say(f"::error::{_escaped(text)}")
        return 1

    def export(self, name: str, value: str) -> None:
        """A variable for the steps after this one."""
        self._append("GITHUB_ENV", _pair(name, value))

    def add_path(self, folder: str) -> None:
        """A folder that goes before PATH for the steps after this one."""
        self._append("GITHUB_PATH", f"{folder}\n")

    def _append(self, variable: str, text: str) -> None:
        with open(self.env[variable], "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def _pair(name: str, value: str) -> str:
    if "\n" not in value:
        return f"{name}={value}\n"
    end = f"end_{os.urandom(8).hex()}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
