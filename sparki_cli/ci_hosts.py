"""How each CI service wants groups and annotations written into a log. Pure: environment in, texts out.

Sources: GitHub's docs, "Workflow commands"; GitLab's docs, "Job logs" (collapsible sections); Buildkite's docs, "Managing log output";
Microsoft's docs, "Azure Pipelines logging commands".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DETECTED = {"GITHUB_ACTIONS": "github", "GITLAB_CI": "gitlab", "BUILDKITE": "buildkite", "TF_BUILD": "azure"}


def detect(environ: Mapping[str, str]) -> str:
    """The format of the CI service that `environ` is of; `plain` where it is of none that is known."""
    for name, form in _DETECTED.items():
        if environ.get(name, "").lower() in ("true", "1"):
            return form
    return "plain"


class Host:
    """A log without any service's syntax: a line before each step's text, and remarks as the tools of old have them."""

    def open(self, key: str, title: str, now_s: int) -> str:  # noqa: ARG002  # each service uses what it needs
        """Begin a group. `key`: of letters, digits and `_`, unique in the log."""
        return f"▸ {title}\n"

    def close(self, key: str, now_s: int) -> str:  # noqa: ARG002
        """End the group."""
        return ""

    def failed(self) -> str:
        """Have the group that is open shown, for its step failed."""
        return ""

    def annotation(self, level: str, message: str, at: Mapping[str, Any]) -> str:
        """A remark about a place (`file`, `line`, `column`, `title`; what is unknown is absent)."""
        place = ":".join(str(at[name]) for name in ("file", "line", "column") if at.get(name))
        said = " ".join(part for part in (str(at.get("title") or ""), message) if part)
        return f"{place}: {level}: {said}\n" if place else f"{level}: {said}\n"

    def guard(self, token: str) -> str:  # noqa: ARG002
        """Have the service take no line of what follows for a command."""
        return ""

    def unguard(self, token: str) -> str:  # noqa: ARG002
        """Have it take commands again."""
        return ""

    def text(self, data: bytes) -> bytes:
        """A step's text as it may stand in the log."""
        return data


class Github(Host):
    def open(self, key: str, title: str, now_s: int) -> str:  # noqa: ARG002
        return f"::group::{_github_data(title)}\n"

    def close(self, key: str, now_s: int) -> str:  # noqa: ARG002
        return "::endgroup::\n"

    def annotation(self, level: str, message: str, at: Mapping[str, Any]) -> str:
        names = (
            ("file", "file"),
            ("line", "line"),
            ("end_line", "endLine"),
            ("column", "col"),
            ("end_column", "endColumn"),
            ("title", "title"),
        )
        told = ",".join(f"{theirs}={_github_property(str(at[ours]))}" for ours, theirs in names if at.get(ours))
        return f"::{level}{' ' + told if told else ''}::{_github_data(message)}\n"

    def guard(self, token: str) -> str:
        return f"::stop-commands::{token}\n"

    def unguard(self, token: str) -> str:
        return f"::{token}::\n"


class Gitlab(Host):
    def open(self, key: str, title: str, now_s: int) -> str:
        return f"\x1b[0Ksection_start:{now_s}:{key}[collapsed=true]\r\x1b[0K{title}\n"

    def close(self, key: str, now_s: int) -> str:
        return f"\x1b[0Ksection_end:{now_s}:{key}\r\x1b[0K\n"


class Buildkite(Host):
    def open(self, key: str, title: str, now_s: int) -> str:  # noqa: ARG002
        return f"--- {title}\n"

    def failed(self) -> str:
        return "^^^ +++\n"


class Azure(Host):
    def open(self, key: str, title: str, now_s: int) -> str:  # noqa: ARG002
        return f"##[group]{title}\n"

    def close(self, key: str, now_s: int) -> str:  # noqa: ARG002
        return "##[endgroup]\n"

    def annotation(self, level: str, message: str, at: Mapping[str, Any]) -> str:
        kind = "error" if level == "error" else "warning"  # it has no notices
        names = (("file", "sourcepath"), ("line", "linenumber"), ("column", "columnnumber"))
        told = "".join(f"{theirs}={_azure(str(at[ours]))};" for ours, theirs in names if at.get(ours))
        said = " ".join(part for part in (str(at.get("title") or ""), message) if part)
        return f"##vso[task.logissue type={kind};{told}]{_azure_data(said)}\n"

    def text(self, data: bytes) -> bytes:
        return data.replace(b"##vso[", b"## vso[").replace(b"##[", b"## [") if b"##" in data else data


HOSTS: dict[str, Host] = {"github": Github(), "gitlab": Gitlab(), "buildkite": Buildkite(), "azure": Azure(), "plain": Host()}


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _azure_data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _azure(text: str) -> str:
    return _azure_data(text).replace(";", "%3B").replace("]", "%5D")
