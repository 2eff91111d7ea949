"""Reads a remote's URL: whose repository it is, where, and the URL without its credentials; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]]*\]|[^:/]*)(?::(?P<port>\d+))?(?P<path>/.*)?", re.IGNORECASE
)
_SCP_LIKE = re.compile(r"(?:(?P<user>[^@/]+)@)?(?P<host>[^:/]+):(?P<path>(?!//).*)")
_GITHUB = "github.com"
BOUND = "sparkibind"  # of a remote that `sparki bind` added: the project; git keeps it with the remote when that is renamed


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a repository comes from."""

    url: str | None  # without credentials; None: there is no remote
    owner: str
    name: str
    host: str  # "": a folder on this machine


def read_remote(url: str | None, *, folder_name: str) -> Remote:
    """What `url` says. Without an owner in it the repository is `local/NAME`; `folder_name` names it where there is no URL."""
    if not url:
        return Remote(None, "local", folder_name, "")
    if match := _URL.fullmatch(url):
        host, path = match["host"], match["path"] or ""
        user = match["user"] or ""
        # Over ssh the user's name is part of the address; over HTTP it is half a credential, or a token.
        shown = f"{user.partition(':')[0]}@" if user and match["scheme"].endswith("ssh") else ""
        port = f":{match['port']}" if match["port"] else ""
        clean = f"{match['scheme']}://{shown}{host}{port}{path}"
        if match["scheme"] == "file":
            host = ""
    elif match := _SCP_LIKE.fullmatch(url):
        host, path, clean = match["host"], match["path"], url
    else:
        host, path, clean = "", url, url
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part not in ("", ".", "..")]
    name = parts[-1] if parts else folder_name
    return Remote(clean, parts[-2] if host and len(parts) > 1 else "local", name, host)


def remote_name(config: Mapping[str, str], branch: str | None) -> str | None:
    """The remote that a branch (a full ref name) belongs to: its own, else origin, else the first; None: there is none.

    What `sparki bind` added is a way to push and no place that the project comes from, so it doesn't count.
    """
    names = [key.removeprefix("remote.").removesuffix(".url") for key in config if key.startswith("remote.") and key.endswith(".url")]
    names = [name for name in names if f"remote.{name}.{BOUND}" not in config]
    wanted = config.get(f"branch.{branch.removeprefix('refs/heads/')}.remote") if branch else None
    return next((name for name in (wanted, "origin", *names) if name in names), None)


def remote_url(config: Mapping[str, str], name: str | None) -> str | None:
    """The URL of the remote `name` after the longest `url.<base>.insteadOf` that fits. Source: git's Documentation/config/url.txt."""
    url = config.get(f"remote.{name}.url") if name else None
    if not url:
        return None
    fitting = [
        (value, key.removeprefix("url.").removesuffix(".insteadof"))
        for key, value in config.items()
        if key.startswith("url.") and key.endswith(".insteadof") and value and url.startswith(value)
    ]
    if not fitting:
        return url
    prefix, base = max(fitting, key=lambda pair: len(pair[0]))
    return base + url.removeprefix(prefix)


def server_url(host: str) -> str:
    """`github.server_url`: of the host, GitHub's own where there is none."""
    return f"https://{host or _GITHUB}"


def api_url(host: str) -> str:
    """`github.api_url`. Source: GitHub's docs, "Getting started with the REST API"; an Enterprise Server has it under /api/v3."""
    return f"https://api.{_GITHUB}" if host in ("", _GITHUB) else f"https://{host}/api/v3"
