"""What an action is given, and how it answers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sparki_daemon.model.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One use of an action. It runs in a process of its own, whose output is the step's."""

    inputs: dict[str, str]  # `with`, names in lower case
    env: dict[str, str]  # all variables of the step
    workspace: str
    work: str
    temp: str
    run: RunSpec

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
        """An output of the step."""
        self._append("GITHUB_OUTPUT", f"{name}={value}\n")

    def export(self, name: str, value: str) -> None:
        """A variable for the steps after this one."""
        self._append("GITHUB_ENV", f"{name}={value}\n")

    def add_path(self, folder: str) -> None:
        """A folder that goes before PATH for the steps after this one."""
        self._append("GITHUB_PATH", f"{folder}\n")

    def _append(self, variable: str, text: str) -> None:
        with open(self.env[variable], "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
