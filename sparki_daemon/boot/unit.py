"""The files by which a user's system starts the daemon: a unit of systemd's, an agent of launchd's. Pure."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

# What says where the folders are, and what the services and tools of this user are found by
KEPT = ("SPARKI_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What is to be started: the command that serves one state folder, with what it needs in its environment."""

    name: str  # of the unit, without its ending
    state: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def boot_of(state: str, *, usual: bool, python: str, environ: Mapping[str, str]) -> Boot:
    """The daemon of a state folder; `usual`: it is this user's own one, and needs no name beside others."""
    name = "sparki" if usual else f"sparki-{blake2b(state.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}"
    kept = {name: environ[name] for name in KEPT if environ.get(name) and environ[name].isprintable()}
    if "SPARKI_HOME" in kept:
        kept["SPARKI_HOME"] = state
    return Boot(name=name, state=state, command=(python, "-P", "-m", "sparki_daemon", "serve", "--home", state), environment=kept)


def systemd_unit(boot: Boot) -> str:
    """A unit of a user's systemd. Stopping it ends the daemon alone: what it deployed goes on serving.

    Source: systemd.service(5), systemd.exec(5) and systemd.kill(5), systemd 252.
    """
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in boot.environment.items())
    return f"""\
# Written by `sparki daemon install`; `sparki daemon uninstall` takes it away.
[Unit]
Description=Sparki, which runs pipelines and brings deployed services back ({boot.state.replace("%", "%%")})
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=exec
ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in boot.command)}
{environment}Restart=on-failure
RestartSec=1
KillMode=process
TimeoutStopSec=30

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """A word as unit files have it. Source: systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def launchd_label(boot: Boot) -> str:
    return f"dev.{boot.name.replace('-', '.', 1)}"


def launchd_plist(boot: Boot) -> bytes:
    """An agent of launchd's. Source: launchd.plist(5)."""
    return plistlib.dumps(
        {
            "Label": launchd_label(boot),
            "ProgramArguments": list(boot.command),
            "EnvironmentVariables": dict(boot.environment),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "AbandonProcessGroup": True,
            "ProcessType": "Background",
        }
    )
