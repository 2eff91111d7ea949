"""The texts of the git hooks that `sparki bind` installs: POSIX shell, small, and pure here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

KEPT = "pre-push.before-sparki"
MARK = "# Made by `sparki bind`"

_WAITS = "the push is kept, and is seen to when the daemon starts next (`sparki bind` mends the hook)"

_POST_RECEIVE = """\
#!/bin/sh
{mark}: what is pushed here is run, and deployed where sparki.yml says so. `sparki unbind` takes it away.
# Whoever pushes may leave at any moment. The push is on disk before anything is said, and the daemon sees to it.
trap '' HUP INT TERM PIPE
umask 077
pending={pending}
say() {{ printf '%s\\n' "sparki: $1" >&2; exit 0; }}
file=$(mktemp "$pending/.XXXXXXXXXXXX") || say "can't write into $pending: the push is kept, and nothing is run"
{{
  n=0
  while [ "$n" -lt "${{GIT_PUSH_OPTION_COUNT:-0}}" ]; do
    eval "printf 'option %s\\n' \\"\\$GIT_PUSH_OPTION_$n\\""
    n=$((n + 1))
  done
  cat && echo end
}} >"$file" || say "can't write $file: the push is kept, and nothing is run"
name=${{file##*/.}}
mv "$file" "$pending/$name" || say "can't write into $pending: the push is kept, and nothing is run"
{environment}
[ -x {program} ] || say {gone}
exec {command} hook post-receive {project} "$name"
"""

_PRE_PUSH = """\
#!/bin/sh
{mark} --pre-push: what goes to {names} is run first. `sparki unbind` brings back the hook that was here before.
input=$(cat; echo .)
input=${{input%.}}
before="${{0%/*}}/{kept}"
if [ -x "$before" ]; then
  printf '%s' "$input" | "$before" "$@" || exit $?
fi
case "$1" in
{cases}) ;;
*) exit 0 ;;
esac
[ -n "$input" ] || exit 0
{environment}
if [ ! -x {program} ]; then
  printf '%s\\n' {gone} >&2
  exit 0
fi
printf '%s' "$input" | {command} hook pre-push "$1"
"""


def post_receive(*, pending: str, project: str, command: Sequence[str], variables: Mapping[str, str | None]) -> str:
    """The hook of a bare repository. `command`: what starts sparki, its program an absolute path. `variables`: None unsets one."""
    return _POST_RECEIVE.format(
        mark=MARK,
        pending=shlex.quote(pending),
        project=shlex.quote(project),
        program=shlex.quote(command[0]),
        command=shlex.join(command),
        gone=shlex.quote(f"{command[0]} is gone: {_WAITS}"),
        environment=_environment(variables),
    )


def pre_push(*, remotes: Sequence[str], command: Sequence[str], variables: Mapping[str, str | None]) -> str:
    """The hook of the user's own repository. It calls the one that was there before, which lies beside it as `KEPT`."""
    return _PRE_PUSH.format(
        mark=MARK,
        names=", ".join(remotes),
        kept=KEPT,
        cases=" | ".join(shlex.quote(remote) for remote in remotes),
        program=shlex.quote(command[0]),
        command=shlex.join(command),
        gone=shlex.quote(f"sparki: {command[0]} is gone, so nothing was run (`sparki bind` again mends that)"),
        environment=_environment(variables),
    )


def _environment(variables: Mapping[str, str | None]) -> str:
    """The state folder is the one that was bound, whatever the shell that pushes has."""
    lines = [f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines)
