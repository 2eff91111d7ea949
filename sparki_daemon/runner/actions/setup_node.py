"""actions/setup-node: puts a Node.js of this machine before all others, with a place of the job's own for global packages.

Source: actions/setup-node 6, src/main.ts and src/authutil.ts.
"""

from __future__ import annotations

import json
import os
import re

from sparki_daemon.runner.actions.call import Call
from sparki_daemon.toolchains.node import Node, choose, in_path, installed, version_of_file

_PROGRAMS = ("node", "npm", "npx", "corepack")
_NO_TOKEN = "XXXXX-XXXXX-XXXXX-XXXXX"  # noqa: S105  # what GitHub's action sets where there is none: npm wants the variable


def main(call: Call) -> int:
    """Find the Node.js that is asked for, and have later steps find it; output `node-version`."""
    try:
        node = _node(call)
        folder = _folder(call, node)
        if url := call.inputs.get("registry-url", "").strip():
            _registry(call, url)
    except (ValueError, json.JSONDecodeError) as error:
        return call.fail(str(error))
    except OSError as error:
        return call.fail(f"{error.strerror}: '{error.filename}'")
    prefix = f"{call.work}/home/.npm-global"
    call.export("npm_config_prefix", prefix)
    for path in (folder, f"{prefix}/bin"):  # what a job installs globally comes first, also a newer npm
        call.add_path(path)
    version = "v" + ".".join(map(str, node.version))
    call.output("node-version", version)
    call.say(f"Node.js {version}: {node.path}")
    from sparki_daemon.runner.actions import node_packages, problem_matchers  # noqa: PLC0415  # in the fork, where nobody else pays

    try:
        node_packages.bring(call, [f"{prefix}/bin", folder])
        problem_matchers.register(call, problem_matchers.NODE)
    except (ValueError, OSError) as error:
        return call.fail(str(error))
    return 0


def save_at_end(call: Call) -> int:
    """Keep what the package manager has fetched."""
    if "CACHE_KEY" not in call.state:
        return 0
    from sparki_daemon.runner.actions import package_cache  # noqa: PLC0415  # only jobs with a cache pay for it

    return package_cache.save_at_end(call)


def _node(call: Call) -> Node:
    """Raises ValueError that names those that are there, and OSError for a version file that can't be read."""
    text = _wanted(call)
    users = {name: value for name, value in call.run["env"].items() if name.startswith("XDG_")}  # the step's are the job's own
    env = {**{name: value for name, value in call.env.items() if not name.startswith("XDG_")}, **users}
    return choose(text, [*in_path(call.env.get("PATH", "")), *installed(env, call.run["user_home"])])


def _wanted(call: Call) -> str:
    """The version asked for; empty: whichever there is."""
    if text := call.inputs.get("node-version", "").strip():
        if call.inputs.get("node-version-file", "").strip():
            call.warn("both node-version and node-version-file are given: node-version counts")
        return text
    name = call.inputs.get("node-version-file", "").strip()
    if not name:
        return ""
    with open(os.path.join(call.workspace, name), encoding="utf-8") as file:
        text = version_of_file(name, file.read())
    call.say(f"{name} asks for Node.js {text}")
    return text


def _folder(call: Call, node: Node) -> str:
    """A folder with the programs of that Node.js alone: /usr/bin before PATH would bring much else. Raises OSError."""
    folder = f"{call.work}/tools/node/{'.'.join(map(str, node.version))}/bin"
    os.makedirs(folder, exist_ok=True)
    beside = os.path.dirname(node.path)
    for name in _PROGRAMS:
        if os.access(f"{beside}/{name}", os.X_OK) and not os.path.lexists(f"{folder}/{name}"):
            os.symlink(f"{beside}/{name}", f"{folder}/{name}")
    return folder


def _registry(call: Call, url: str) -> None:
    """Have npm use a registry, with the token of the variable NODE_AUTH_TOKEN. Raises ValueError for what is no address, and OSError."""
    if not re.match(r"https?://[^\s/]", url):
        raise ValueError(f"'registry-url' is '{url}', and must be an address with http:// or https://")
    url = url if url.endswith("/") else f"{url}/"
    scope = call.inputs.get("scope", "").strip()
    if not scope and "npm.pkg.github.com" in url:
        scope = str(call.run["github"].get("repository_owner") or "")
    if scope and not scope.startswith("@"):
        scope = f"@{scope}"
    key = f"{scope.lower()}:registry" if scope else "registry"
    path = os.path.join(call.temp, ".npmrc")
    before = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = [line for line in file.read().splitlines() if not line.lower().startswith(key)]
    lines = [*before, f"{url.partition(':')[2]}:_authToken=${{NODE_AUTH_TOKEN}}", f"{key}={url}"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    call.export("NPM_CONFIG_USERCONFIG", path)
    call.export("NODE_AUTH_TOKEN", call.env.get("NODE_AUTH_TOKEN") or _NO_TOKEN)
