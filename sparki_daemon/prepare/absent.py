"""Looks whether the versions that a pipeline sets up are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Read = Callable[[str], bytes | None]
"""The content of a file of the source; None: there is no such file."""


class Absent:
    """Answers for one request, with the environment of whoever asked; looks only when it is asked."""

    def __init__(self, client_env: Mapping[str, str], read: Read) -> None:
        self._env = client_env
        self._home = client_env.get("HOME", "")
        self._read = read

    def lacking(self, action: str, inputs: Mapping[str, str]) -> str:
        """Why a setup action with these inputs will find no version; empty: it will find one, or nobody can tell before it runs."""
        try:
            if action == "actions/setup-python":
                self._python(inputs)
            elif action == "actions/setup-node":
                self._node(inputs)
        except ValueError as error:
            return str(error)
        return ""

    def _python(self, inputs: Mapping[str, str]) -> None:
        from sparki_daemon.toolchains import python  # noqa: PLC0415  # many pipelines set up neither

        texts = [line.strip() for line in inputs.get("python-version", "").splitlines() if line.strip()]
        if not texts:
            name = inputs.get("python-version-file", "").strip() or ".python-version"
            text = self._text(name)
            texts = python.versions_of_file(name, text) if text else []
        there = python.installed(self._env, self._home) if texts else []
        for text in texts:
            python.choose(text, there)

    def _node(self, inputs: Mapping[str, str]) -> None:
        from sparki_daemon.toolchains import node  # noqa: PLC0415  # as above

        text = inputs.get("node-version", "").strip()
        name = inputs.get("node-version-file", "").strip()
        if not text and name and (content := self._text(name)):
            text = node.version_of_file(name, content)
        there = node.installed(self._env, self._home)
        if not text or node.best(node.read_range(text), there) is None:  # no program is started where one of those will do
            node.choose(text, [*node.in_path(self._env.get("PATH", "")), *there])

    def _text(self, name: str) -> str:
        data = self._read(name.removeprefix("./"))
        return data.decode("utf-8", "replace") if data is not None else ""
