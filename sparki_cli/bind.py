"""`sparki bind` and `sparki unbind`: a remote whose pushes are run and deployed."""

from __future__ import annotations

import os
import sys

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, printable

# What says where the state folder is: a push finds the one that was bound, whatever the shell has that it is made in
WHERE = ("SPARKI_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def bind(output: Output, *, name: str | None, pre_push: list[str], directory: str | None) -> int:
    """Bind the repository, or mend its bind."""
    home = os.environ.get("SPARKI_HOME")
    variables = {variable: os.environ.get(variable) or None for variable in WHERE}
    request = {
        "directory": own_directory(directory),
        "pre_push": pre_push,
        "command": [sys.executable, "-P", "-m", "sparki_cli.main"],
        "variables": {**variables, "SPARKI_HOME": os.path.abspath(home) if home else None},
    }
    made = connect(output).ask("POST", "/v1/binds", {**request, **({"remote": name} if name else {})})
    if output.as_json:
        output.document(made)
        return 0
    remote = printable(made["remote"])
    output.line(
        f"{'bound' if made['new'] else 'bound already'}: git push {remote} BRANCH runs it, and deploys as `branches:` in sparki.yml says"
    )
    output.line(f"  {remote} is {printable(made['address'])}")
    for one in made["pre_push"]:
        output.line(f"  what goes to {printable(one)} is run first")
    return 0


def unbind(output: Output, *, directory: str | None) -> int:
    """Take all of it away."""
    gone = connect(output).ask("POST", "/v1/unbinds", {"directory": own_directory(directory)})
    if output.as_json:
        output.document(gone)
        return 0
    output.line(f"unbound: the remote {printable(gone['remote'])} is gone" + (" and so are its hooks" if gone["pre_push"] else ""))
    if not gone["removed"]:
        output.line("  what was pushed stays until what runs from it has ended")
    return 0
