"""The environment of a job's steps: what of the user's is let in, what is a job's own. Pure but for looking which files are there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from sparki_daemon.model.spec import RunSpec

_MACHINE = os.uname()

_LET_IN = frozenset({
    "PATH", "LANG", "LANGUAGE", "TERM", "USER", "LOGNAME", "SHELL", "COLORTERM",
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOTOOLCHAIN", "GOENV",
    "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_DIST_SERVER", "RUSTUP_UPDATE_ROOT",
    "JAVA_HOME", "M2_HOME", "MAVEN_HOME", "GRADLE_HOME", "GRADLE_USER_HOME", "ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT",
    "NUGET_PACKAGES", "COMPOSER_CACHE_DIR", "YARN_CACHE_FOLDER", "PRE_COMMIT_HOME", "PLAYWRIGHT_BROWSERS_PATH",
    "PYENV_ROOT", "RBENV_ROOT", "NVM_DIR", "VOLTA_HOME", "SDKMAN_DIR", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR",
})  # fmt: skip
_LET_IN_FAMILIES = ("LC_", "PIP_", "UV_", "NPM_CONFIG_", "NIX_")
_SECRET = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "PRIVATE", "_KEY", "_AUTH")
_NO_SECRET = frozenset({"GOPRIVATE"})
_CREDENTIALS = re.compile(r"://[^/@\s]+@")  # user or user:password of an address: it would be kept with the run

# A tool's cache and the home that it would look in: variable, where it lies in the user's home, whether it must be there already.
_CACHES = (
    ("PIP_CACHE_DIR", "{cache}/pip", False),
    ("UV_CACHE_DIR", "{cache}/uv", False),
    ("npm_config_cache", "{home}/.npm", False),
    ("GOCACHE", "{cache}/go-build", False),
    ("GOMODCACHE", "{home}/go/pkg/mod", False),
    ("GOENV", "{config}/go/env", True),
    ("CARGO_HOME", "{home}/.cargo", True),
    ("RUSTUP_HOME", "{home}/.rustup", True),
    ("PYENV_ROOT", "{home}/.pyenv", True),
    ("NVM_DIR", "{home}/.nvm", True),
    ("UV_PYTHON_INSTALL_DIR", "{data}/uv/python", True),
    ("UV_CONFIG_FILE", "{config}/uv/uv.toml", True),
    ("PIP_CONFIG_FILE", "{config}/pip/pip.conf", True),
    ("PIP_CONFIG_FILE", "{home}/.pip/pip.conf", True),
    ("GRADLE_USER_HOME", "{home}/.gradle", True),
    ("NUGET_PACKAGES", "{home}/.nuget/packages", True),
    ("COMPOSER_CACHE_DIR", "{cache}/composer", True),
    ("YARN_CACHE_FOLDER", "{cache}/yarn", True),
    ("PRE_COMMIT_HOME", "{cache}/pre-commit", True),
    ("PLAYWRIGHT_BROWSERS_PATH", "{cache}/ms-playwright", True),
)

# The keys of the github context that become GITHUB_… variables. Source: actions/runner, GitHubContext.
EXPORTED = (
    "action", "action_path", "action_ref", "action_repository", "actor", "actor_id", "api_url", "base_ref", "env", "event_name",
    "event_path", "graphql_url", "head_ref", "job", "output", "path", "ref", "ref_name", "ref_protected", "ref_type",
    "repository", "repository_id", "repository_owner", "repository_owner_id", "retention_days", "run_attempt", "run_id",
    "run_number", "server_url", "sha", "state", "step_summary", "triggering_actor", "workflow", "workflow_ref", "workflow_sha",
    "workspace",
)  # fmt: skip


def choose(client_env: Mapping[str, str]) -> dict[str, str]:
    """What of a client's environment a run may have: paths, language, proxies, certificates, tools' settings; nothing that bears a secret.

    A Python virtual environment in PATH is taken out of it, active or not: a job's `pip install` must not change it.
    """
    chosen = {}
    for name, value in client_env.items():
        upper = name.upper()
        secret = _CREDENTIALS.search(value) or (upper not in _NO_SECRET and any(word in upper for word in _SECRET))
        if (upper in _LET_IN or upper.startswith(_LET_IN_FAMILIES)) and not secret:
            chosen[name] = value
    if "PATH" in chosen:
        active = client_env.get("VIRTUAL_ENV", "")
        folders = chosen["PATH"].split(os.pathsep)
        chosen["PATH"] = os.pathsep.join(folder for folder in folders if not _of_virtual_environment(folder, active))
    return chosen


def _of_virtual_environment(folder: str, active: str) -> bool:
    """Whether programs of a virtual environment lie in a folder. Source: PEP 405; `..` is that of the folder which a link leads to."""
    if active and os.path.normpath(folder) == os.path.normpath(os.path.join(active, "bin")):
        return True
    return os.path.isabs(folder) and os.path.exists(os.path.join(folder, os.pardir, "pyvenv.cfg"))


def host_layer(run: RunSpec) -> dict[str, str]:
    """The lowest layer of every step of a run: the client's variables, and where the user's caches and index settings lie.

    With `home: user` there is nothing to redirect.
    """
    env = {name: value for name, value in run["env"].items() if not name.startswith("XDG_") or run["home"] == "user"}
    env.setdefault("PATH", os.defpath)
    env.setdefault("LANG", "C.UTF-8")
    env["TZ"] = "UTC"
    env["GIT_TERMINAL_PROMPT"] = "0"
    if run["home"] == "user":
        env["HOME"] = run["user_home"]
        return env
    given = run["env"]
    home = run["user_home"]
    folders = {
        "home": home,
        "cache": given.get("XDG_CACHE_HOME") or f"{home}/.cache",
        "config": given.get("XDG_CONFIG_HOME") or f"{home}/.config",
        "data": given.get("XDG_DATA_HOME") or f"{home}/.local/share",
    }
    named = {name.upper() for name in env}
    for variable, place, must_exist in _CACHES if home else ():  # a client without a home has no caches to pass on
        path = place.format_map(folders)
        if variable.upper() not in named and (not must_exist or os.path.exists(path)):
            env[variable] = path
            named.add(variable.upper())
    return env


def job_layer(run: RunSpec, work: str) -> dict[str, str]:
    """What is a job's own: home, folder for temporary files, git's settings, npm's place for global packages."""
    env = {"TMPDIR": f"{work}/tmp"}
    if run["home"] == "user":
        return env
    home = f"{work}/home"
    return env | {
        "HOME": home,
        "XDG_CONFIG_HOME": f"{home}/.config",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_DATA_HOME": f"{home}/.local/share",
        "XDG_STATE_HOME": f"{home}/.local/state",
        "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig",
        "npm_config_prefix": f"{home}/.npm-global",
    }


def own_programs(run: RunSpec, work: str) -> list[str]:
    """Where `npm install --global` and `pip install --user` put programs in a home of the job's own; later ones rule, for `with_paths`."""
    return [] if run["home"] == "user" else [f"{work}/home/.npm-global/bin", f"{work}/home/.local/bin"]


def github_layer(github: Mapping[str, object]) -> dict[str, str]:
    """The GITHUB_… variables of a github context: those of its keys that GitHub exports and that are plain."""
    env = {}
    for key in EXPORTED:
        value = github.get(key)
        if isinstance(value, str):
            env[f"GITHUB_{key.upper()}"] = value
        elif isinstance(value, bool):
            env[f"GITHUB_{key.upper()}"] = "true" if value else "false"
        elif isinstance(value, (int, float)):
            env[f"GITHUB_{key.upper()}"] = f"{value:.15g}"
    env["GITHUB_ACTIONS"] = "true"
    return env


def runner_context(name: str, work: str, temp: str) -> dict[str, str]:
    """The `runner` context, of which RUNNER_… variables are made."""
    return {
        "os": {"Linux": "Linux", "Darwin": "macOS"}.get(_MACHINE.sysname, _MACHINE.sysname),
        "arch": {"x86_64": "X64", "aarch64": "ARM64", "arm64": "ARM64", "i686": "X86"}.get(_MACHINE.machine, _MACHINE.machine.upper()),
        "name": name,
        "temp": temp,
        "tool_cache": f"{work}/tools",
        "workspace": work,
        "environment": "self-hosted",
    }


def with_paths(env: dict[str, str], added: list[str]) -> None:
    """Put folders that steps added before PATH, the newest first."""
    if added:
        env["PATH"] = os.pathsep.join([*reversed(added), env["PATH"]] if env.get("PATH") else reversed(added))
