"""The one place that spawns git, hardened so that looking at a repository never changes it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

# What the user chose about configuration and discovery still counts; every other GIT_* variable is a hook's
# or a shell's leftover (GIT_INDEX_FILE, GIT_DIR, GIT_PREFIX …) that would point git somewhere else.
_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"}
)
_FIXED = {
    "LC_ALL": "C",  # errors are recognised by their text
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    # A missing object of a partial clone is an error and never a fetch: git before 2.45 knows only the second of these two.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
}
# For git folders of our own: nothing of the user's settings but what was copied into their config.
ISOLATED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
_SAFE = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.fsync=none",  # the page cache outlives a SIGKILL; after a power cut no run goes on from here
    "core.looseCompression=1",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
)
SAFE_FLAGS = tuple(word for setting in _SAFE for word in ("-c", setting))


@dataclass(frozen=True, slots=True)
class Result:
    """How one git process ended; `out` and `err` are what it wrote."""

    code: int
    out: bytes
    err: str

    def checked(self) -> bytes:
        """The output of a process that must succeed. Raises SparkiError with what `problem_of` makes of its error."""
        if self.code != 0:
            raise SparkiError(problem_of(self))
        return self.out


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every git process: ours without inherited GIT_*, plus what keeps git quiet and still, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**kept, **_FIXED, **(extra or {})}


class Running:
    """A git process under way. `finish` waits for it."""

    def __init__(self, args: Sequence[str], *, cwd: str, env: Mapping[str, str], has_input: bool) -> None:
        try:
            self._process = subprocess.Popen(
                ["git", *SAFE_FLAGS, *args],
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            if error.filename not in ("git", None):
                raise SparkiError(Problem(code="no_such_folder", message=f"there is no folder {cwd}")) from error
            raise SparkiError(
                Problem(code="git_missing", message="git is not installed, or not on PATH", hint="install git 2.34 or newer")
            ) from error
        except NotADirectoryError as error:
            raise SparkiError(Problem(code="no_such_folder", message=f"{cwd} is not a folder")) from error
        except (OSError, ValueError) as error:  # no right to enter, a name too long or with a NUL, no process left
            reason = getattr(error, "strerror", None) or str(error)
            raise SparkiError(Problem(code="no_such_folder", message=f"can't run git in {cwd}: {reason}")) from error

    def finish(self, stdin: bytes | None = None) -> Result:
        """Give it `stdin`, wait for its end, and return how it ended."""
        out, err = self._process.communicate(stdin)
        return Result(self._process.returncode, out, os.fsdecode(err))


def start(args: Sequence[str], *, cwd: str, env: Mapping[str, str] | None = None, has_input: bool = False) -> Running:
    """Start git in `cwd` without waiting, so that independent questions are asked at once.

    `env`: extra variables. Raises SparkiError `git_missing` or `no_such_folder`.
    """
    return Running(args, cwd=cwd, env=environment(env), has_input=has_input)


def run(args: Sequence[str], *, cwd: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Result:
    """Run git in `cwd` to its end. `env`: extra variables. Raises as `start` does; a failure of git itself is in the result."""
    return start(args, cwd=cwd, env=env, has_input=stdin is not None).finish(stdin)


_FREE = "free some space on the disk of the state folder, or set SPARKI_HOME to another disk"
_ELSEWHERE = "choose a folder that can be written with SPARKI_HOME"
_FETCH = "in a partial clone fetch all content first, for example with `git fetch --refetch --no-filter`"
# What git says → (code, hint). First match wins.
_TOLD = (
    ("dubious ownership", "unsafe_repository", "if you trust it: git config --global --add safe.directory PATH"),
    ("No space left on device", "disk_full", _FREE),
    ("Disk quota exceeded", "disk_full", _FREE),
    ("Read-only file system", "cannot_write", _ELSEWHERE),
    ("insufficient permission for adding an object", "cannot_write", _ELSEWHERE),
    ("unable to create temporary file", "cannot_write", _ELSEWHERE),
    ("unable to read sha1 file", "missing_object", _FETCH),
    ("failed to unpack tree object", "missing_object", _FETCH),
    ("unable to read tree", "missing_object", _FETCH),
    ("invalid object", "missing_object", _FETCH),
    ("bad object", "missing_object", _FETCH),
    ("could not fetch", "missing_object", _FETCH),
    ("Permission denied", "unreadable_file", "make the file readable, or name it in .gitignore"),
    ("not a git repository", "no_repository", "run it inside a git repository, or start one with `git init`"),
)


def problem_of(result: Result) -> Problem:
    """What to tell a user about a git process that failed; code `git_failed` where its words are not known."""
    lines = [line for line in result.err.splitlines() if line.strip() and not line.startswith(("hint:", "warning:"))]
    said = " / ".join(lines[:3]) or f"git ended with {result.code}"
    for words, code, hint in _TOLD:
        if words in result.err:
            return Problem(code=code, message=said.removeprefix("fatal: ").removeprefix("error: "), hint=hint)
    return Problem(code="git_failed", message=f"git failed: {said}")


def os_problem(error: OSError, doing: str) -> SparkiError:
    """An OSError met while writing a folder of ours, as `disk_full` or `cannot_write`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = _FREE if full else _ELSEWHERE
    where = f" ({error.filename})" if error.filename else ""
    problem = Problem(code="disk_full" if full else "cannot_write", message=f"{doing}: {error.strerror}{where}", hint=hint)
    return SparkiError(problem, exit_code=ExitCode.RED)  # the request was right: the machine could not do it


def in_list(path: str) -> str:
    """`path` as one entry of GIT_ALTERNATE_OBJECT_DIRECTORIES, where `:` and a leading `"` mean something."""
    return quoted(path) if ":" in path or path.startswith('"') or "\n" in path else path


def quoted(text: str) -> str:
    """`text` in double quotes as git's C-like quoting has it, for alternates."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
